"""Programs that are told events, a webhook or a file, and the service that translates. Pure."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bot.errors import SettingsError, words_of
from bot.faults import fault
from bot.phrases import phrase

if TYPE_CHECKING:
    from pathlib import Path

PREFIX: Final = "whsec_"
PORTS: Final = {"http": 80, "https": 443}
LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})?")
LONGEST_WAIT: Final = timedelta(seconds=60)
MARK_LIMIT: Final = 100  # characters
KEY_BYTES: Final = range(24, 65)  # by the rules of https://www.standardwebhooks.com


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook. `fresh_for`: for how long a signal is new, counted from its own date."""

    url: str = field(repr=False)  # a part of it may be a secret
    secret: str = field(repr=False)
    allow_private: bool = False
    fresh_for: timedelta = timedelta(minutes=10)
    skip_late: bool = False  # what is not new any more is not told

    @property
    def address(self) -> str:
        """Two that are written in two ways and are one have the same."""
        parts = urlsplit(self.url)
        port = parts.port or PORTS[parts.scheme]
        return f"webhook {parts.scheme}://{parts.hostname}:{port}{parts.path or '/'}?{parts.query}"

    def check_url(self) -> None:
        """Raises `SettingsError`, which shows nothing of it; so does the other."""
        check_endpoint(self.url, allow_private=self.allow_private)

    def check_secret(self) -> None:
        check_secret(self.secret)


@dataclass(frozen=True, slots=True)
class FileEndpoint:
    """A file of events. `name`: what it is told apart by; below DATA_DIR the way from there. The rest as above."""

    path: Path
    name: str
    fresh_for: timedelta = timedelta(minutes=10)
    skip_late: bool = False

    @property
    def address(self) -> str:
        return f"jsonl {self.name}"


@dataclass(frozen=True, slots=True)
class Translation:
    """A service that speaks LibreTranslate's API, and what is asked of it for a place.

    `wait`: for how long a post waits for its words; then it goes out in the original, below `mark`.
    """

    to: str  # a language, as the service calls it
    url: str = field(repr=False)  # a part of it may be a secret; "/translate" comes behind it
    key: str = field(default="", repr=False)  # from `.env`; empty: none
    wait: timedelta = timedelta(seconds=10)
    mark: str = "(original, not translated)"
    allow_private: bool = False

    @property
    def service(self) -> str:
        """Who is asked, as may be shown."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def __post_init__(self) -> None:
        """Raises `SettingsError`, which begins with the key that is wrong."""
        if not LANGUAGE.fullmatch(self.to):
            raise fault("to", phrase('give the code of a language, such as "en" or "pt-BR"'))
        if not timedelta(seconds=1) <= self.wait <= LONGEST_WAIT:
            raise fault("wait", phrase('give 1 to 60 seconds, such as 10 or "10s"'))
        if not self.mark.strip() or "\n" in self.mark or len(self.mark) > MARK_LIMIT:
            limit = phrase("give one line of up to {limit} characters", limit=MARK_LIMIT)
            raise fault("mark", limit)
        try:
            self._check_url()
        except SettingsError as exc:
            raise fault("url", words_of(exc)) from None

    def _check_url(self) -> None:
        if re.match(r"\w+://[^/?#]*@", self.url):
            raise SettingsError(
                phrase("leave the password out: the key is TRANSLATE_API_KEY in .env")
            )
        check_endpoint(self.url, allow_private=self.allow_private, allow_http=self.allow_private)
        parts = urlsplit(self.url)
        if parts.query or parts.fragment:
            raise SettingsError(
                phrase("nothing stands behind ? or #: the key is TRANSLATE_API_KEY in .env")
            )
        if parts.path.rstrip("/").endswith("/translate"):
            raise SettingsError(phrase("leave /translate out: the bot puts it behind"))


def check_endpoint(url: str, *, allow_private: bool = False, allow_http: bool = False) -> None:
    """Raises `SettingsError`. The URL is a secret, as a part of it may be: it is not shown.

    `allow_http`: also to what is not on this machine; whoever connects sees to it that it is near.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SettingsError(
            phrase("this is no URL: write one such as https://example.org/hook")
        ) from None
    if parts.scheme not in {"http", "https"} or not host:
        raise SettingsError(phrase("this is no URL: write one such as https://example.org/hook"))
    if parts.username or parts.password:
        raise SettingsError(
            phrase("a URL with a password in it is not taken: the signature says who we are")
        )
    near = allow_http and not (_is_address(host) and is_public(host))
    if parts.scheme != "https" and not (near or is_loopback(host)):
        raise SettingsError(phrase("what is not on this machine is told by https only"))
    if _is_address(host) and not (allow_private or is_public(host) or is_loopback(host)):
        raise SettingsError(phrase("this is a private address: allow it, if it is meant"))


def check_secret(secret: str) -> None:
    """Raises `SettingsError`, which does not show it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise SettingsError(
            phrase(
                "a secret is whsec_ and 24 to 64 bytes in base64: "
                "make one with `echo whsec_$(openssl rand -base64 32)`"
            )
        )


def is_public(address: str) -> bool:
    """An address of the internet, as it is, or as IPv6 has it."""
    found = ipaddress.ip_address(address.partition("%")[0])
    inside: Any = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    return found.is_global and not found.is_multicast and (inside is None or inside.is_global)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    if not _is_address(host):
        return host == "localhost"
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback
