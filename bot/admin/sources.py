"""By whose rules an operator is answered, and which message a question is about."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from bot.admin.links import IN_A_SOURCE, Pointer, pointer
from bot.errors import UsageError
from bot.models import MessageId, MessageRef
from bot.phrases import joined, phrase
from bot.routes import main_route
from bot.storage import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from bot.config import Settings
    from bot.routes import Routes, Source
    from bot.storage.records import Recorded

T = TypeVar("T")


class Tables(Protocol):
    """The store, as far as an operator's questions go."""

    async def ask(self, query: Callable[[Connection], T]) -> T: ...


async def current(tables: Tables, settings: Settings, routes: Routes | None) -> Routes:
    """By the ids that chats have now. `routes` None: those of the settings."""
    routes = main_route(settings) if routes is None else routes
    return routes.where_chats_are(await tables.ask(records.moved))


async def source_of(tables: Tables, routes: Routes, record: Recorded) -> Source | None:
    """Whose message it is; None: nobody's any more, or that cannot be told.

    The tables tell the topic of a signal, and by that of its flow. Of what was refused outside of
    flows only the chat is known.
    """
    if record.signal_id is not None:
        signal = await tables.ask(partial(records.signal, signal_id=record.signal_id))
        if signal is not None:
            return routes.rules_for(signal.ref.chat_id, signal.topic)
    return only_source_in(routes, record.ref)


def only_source_in(routes: Routes, ref: MessageRef) -> Source | None:
    """None: the chat has several, or none."""
    if not routes.named:
        return routes.sources[0]
    found = routes.sources_in(ref.chat_id)
    return found[0] if len(found) == 1 else None


def named(routes: Routes, name: str) -> Source:
    """Raises `UsageError`."""
    found = routes.source(name)
    if found is None:
        there_are = ", ".join(each.name for each in routes.sources)
        raise UsageError(
            phrase("there is no source {name}: there are {known}", name=name, known=there_are)
        )
    return found


def key_of(routes: Routes, source: Source | None, setting: str, key: str) -> str:
    """What a rule is called where the operator wrote it."""
    if not routes.named:
        return setting
    if source is None:
        return key
    return phrase("{key} of {source}", key=key, source=source.name)


def asked(routes: Routes, text: str) -> Pointer:
    """Read SOURCE:ID, a link, `chat:message` or a bare message id. Raises `UsageError`."""
    in_source = IN_A_SOURCE.fullmatch(text.strip())
    if in_source is None or not routes.named:
        return pointer(text)
    source = routes.source(in_source[1])
    if source is None and in_source[1].isdecimal():
        return pointer(text)
    return Pointer(MessageId(int(in_source[2])), named(routes, in_source[1]).chat)


async def find_message(tables: Tables, routes: Routes, which: Pointer) -> MessageRef:
    """The message that is meant. Raises `UsageError` where that cannot be told offline."""
    if which.chat_id is not None:
        return MessageRef(which.chat_id, which.message_id)
    if which.name is None and routes.chats:
        return _bare(routes, which.message_id)
    return await _by_number(tables, routes, which)


def _bare(routes: Routes, message_id: MessageId) -> MessageRef:
    """Topics of one chat share its numbers."""
    if len(routes.chats) == 1:
        return MessageRef(routes.chats[0], message_id)
    raise UsageError(
        phrase(
            "which source's message {id}? Give {which}, a link to it, or chat:message",
            id=message_id,
            which=either(f"{source.name}:{message_id}" for source in routes.sources),
        )
    )


async def _by_number(tables: Tables, routes: Routes, which: Pointer) -> MessageRef:
    found = await tables.ask(partial(records.messages_with_id, message_id=which.message_id))
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            phrase(
                "message {id} stands in several chats: give {which}",
                id=which.message_id,
                which=either(f"{ref.chat_id}:{ref.message_id}" for ref in found),
            )
        )
    example = f"{next(iter(routes.chats), -1001234567890)}:{which.message_id}"
    raise UsageError(
        phrase(
            "no message {id} is recorded, and which chat {name} is cannot be looked up "
            "offline: give the chat's id and the message's, such as {example}",
            id=which.message_id,
            name=which.name or phrase("that"),
            example=example,
        )
    )


def either(names: Iterable[str]) -> str:
    return joined(phrase(" or "), names)
