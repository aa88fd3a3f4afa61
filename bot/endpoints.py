"""Where events may be sent to, and what they are signed with. Pure."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from bot.errors import SettingsError

PREFIX: Final = "whsec_"
KEY_BYTES: Final = range(24, 65)  # by the rules of https://www.standardwebhooks.com


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook. `fresh_for`: for how long a signal is new, counted from its own date."""

    url: str = field(repr=False)  # a part of it may be a secret
    secret: str = field(repr=False)
    allow_private: bool = False
    fresh_for: timedelta = timedelta(minutes=10)
    skip_late: bool = False  # what is not new any more is not told

    def check_url(self) -> None:
        """Raises `SettingsError`, which shows nothing of it; so does the other."""
        check_endpoint(self.url, allow_private=self.allow_private)

    def check_secret(self) -> None:
        check_secret(self.secret)


def check_endpoint(url: str, *, allow_private: bool = False) -> None:
    """Raises `SettingsError`. The URL is a secret, as a part of it may be: it is not shown."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SettingsError("this is no URL: write one such as https://example.org/hook") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise SettingsError("this is no URL: write one such as https://example.org/hook")
    if parts.username or parts.password:
        raise SettingsError(
            "a URL with a password in it is not taken: the signature says who we are"
        )
    if parts.scheme != "https" and not is_loopback(host):
        raise SettingsError("what is not on this machine is told by https only")
    if _is_address(host) and not (allow_private or is_public(host) or is_loopback(host)):
        raise SettingsError("this is a private address: allow it, if it is meant")


def check_secret(secret: str) -> None:
    """Raises `SettingsError`, which does not show it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise SettingsError(
            "a secret is whsec_ and 24 to 64 bytes in base64: "
            "make one with `echo whsec_$(openssl rand -base64 32)`"
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
