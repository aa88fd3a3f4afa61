"""Links to messages: what people copy from Telegram, and what they can open in it.

https://core.telegram.org/api/links#message-links
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

from bot.errors import UsageError
from bot.models import CHANNELS, ChatId, MessageId
from bot.phrases import later, phrase

if TYPE_CHECKING:
    from bot.models import MessageRef

HOSTS: Final = {"t.me", "telegram.me", "telegram.dog"}
ID: Final = re.compile(r"[1-9][0-9]{0,17}")
IN_A_SOURCE: Final = re.compile(rf"([a-z0-9][a-z0-9_-]*):({ID.pattern})")  # majors:15
FORMS: Final = later("a link such as https://t.me/c/1234567890/15, or -1001234567890:15, or 15")


class Pointer(NamedTuple):
    """A message, as far as what was given says which."""

    message_id: MessageId
    chat_id: ChatId | None = None  # None: it does not say
    name: str | None = None  # what it says instead; None: it is a bare number


def pointer(text: str) -> Pointer:
    """Read a link, `chat:message` or a bare message id. Raises `UsageError`."""
    text = text.strip()
    pair = re.fullmatch(rf"(-?{ID.pattern}):({ID.pattern})", text)
    if pair is not None:
        return Pointer(MessageId(int(pair[2])), ChatId(int(pair[1])))
    if ID.fullmatch(text):
        return Pointer(MessageId(int(text)))
    found = _of_link(text)
    if found is None:
        raise UsageError(
            phrase("{text} names no message: give {forms}", text=repr(text), forms=phrase(FORMS))
        )
    return found


def names_a_message(text: str) -> bool:
    """Also in a source, whether there is such a one or not."""
    if IN_A_SOURCE.fullmatch(text.strip()):
        return True
    try:
        pointer(text)
    except UsageError:
        return False
    return True


def link(ref: MessageRef) -> str:
    """What opens the message in Telegram; where there is no such link, `chat:message`."""
    return ref.link or f"{ref.chat_id}:{ref.message_id}"


def _of_link(text: str) -> Pointer | None:
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        host = (url.hostname or "").removeprefix("www.")
    except ValueError:
        return None
    asked = {name: values[-1] for name, values in parse_qs(url.query).items()}
    path = [part for part in url.path.split("/") if part]
    if url.scheme == "tg":
        path = _path_of(host, asked)
    elif host.endswith(".t.me"):  # https://name.t.me/15
        path = [host.removesuffix(".t.me"), *path]
    elif host not in HOSTS:
        return None
    return _of_path(path, asked.get("comment"))


def _path_of(command: str, asked: dict[str, str]) -> list[str]:
    """The path of the https link that says the same as a tg:// link."""
    if command == "privatepost":
        return ["c", asked.get("channel", ""), asked.get("post", "")]
    return [asked.get("domain", ""), asked.get("post", "")] if command == "resolve" else []


def _of_path(path: list[str], comment: str | None) -> Pointer | None:
    """`path`: `c`, channel, maybe a topic, message; or name, maybe a topic, message."""
    private = path[:1] == ["c"]
    if private or path[:1] == ["s"]:
        path = path[1:]
    if len(path) not in {2, 3} or not all(map(ID.fullmatch, path[0 if private else 1 :])):
        return None
    if comment is not None:
        # It stands in the group that discusses the channel, and that group is not named.
        if not ID.fullmatch(comment):
            return None
        return Pointer(
            MessageId(int(comment)), name=phrase("the discussion of {chat}", chat=path[0])
        )
    message_id = MessageId(int(path[-1]))
    if private:
        return Pointer(message_id, ChatId(CHANNELS - int(path[0])))
    return Pointer(message_id, name=f"@{path[0]}")
