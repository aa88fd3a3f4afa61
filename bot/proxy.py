"""The proxy of the setting PROXY: read, and never shown with what is secret of it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote, urlsplit

from bot.phrases import later, phrase

if TYPE_CHECKING:
    from urllib.parse import SplitResult

FORMS: Final = later(
    "socks5://user:password@host:port, http://host:port or mtproxy://secret@host:port"
)
SCHEMES: Final = ("socks5", "http", "mtproxy")
LINK: Final = re.compile(r"(?:tg://|(?:https?://)?(?:t|telegram)\.(?:me|dog)/)(proxy|socks)\?(.+)")
SECRET: Final = re.compile(r"[0-9A-Za-z+/=_-]{22,512}")


@dataclass(frozen=True, slots=True)
class Proxy:
    """`secret` is that of an mtproxy; the others may have a `user` and a `password`."""

    scheme: str
    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_proxy(text: str) -> Proxy:
    """Raises `ValueError`; nothing of the text is in it, since that may be a secret."""
    text = text.strip()
    if found := LINK.fullmatch(text):
        return _of_link(found[1], parse_qs(found[2]))
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme not in SCHEMES or parts.path.strip("/"):
        raise ValueError(phrase("is not a proxy: write {forms}", forms=phrase(FORMS)))
    return _of_parts(parts, host, port)


def _of_parts(parts: SplitResult, host: str, port: int) -> Proxy:
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    if parts.scheme == "mtproxy":
        return _mtproxy(host, port, user or "")
    return Proxy(parts.scheme, host, port, user, password)


def _of_link(kind: str, asked: dict[str, list[str]]) -> Proxy:
    """As Telegram's apps share them."""
    said = {name: values[0] for name, values in asked.items()}
    host, port = said.get("server", ""), said.get("port", "")
    if not host or not re.fullmatch(r"[1-9][0-9]{0,4}", port):
        raise ValueError(
            phrase("is a link without server and port: write {forms}", forms=phrase(FORMS))
        )
    if kind == "proxy":
        return _mtproxy(host, int(port), said.get("secret", ""))
    return Proxy("socks5", host, int(port), said.get("user"), said.get("pass"))


def _mtproxy(host: str, port: int, secret: str) -> Proxy:
    if not SECRET.fullmatch(secret):
        raise ValueError(
            phrase("is an mtproxy without its secret: write mtproxy://secret@host:port")
        )
    return Proxy("mtproxy", host, port, secret=secret)
