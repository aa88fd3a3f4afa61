"""Asks a service that speaks LibreTranslate's API for a text in another language.

https://docs.libretranslate.com: `POST /translate`. It answers `{"translatedText": …}`, or `{"error": …}`.
"""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp

from bot.delivery.webhook import CheckedResolver, PrivateAddress, wait_for
from bot.endpoints import is_loopback
from bot.errors import NotTranslated, RetryLater, words_of
from bot.phrases import joined, later, phrase

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.abc import AbstractResolver

    from bot.endpoints import Translation

TIMEOUT: Final = aiohttp.ClientTimeout(total=60, connect=5)  # whoever asks has a shorter one
LONGEST_ANSWER: Final = 256 * 1024  # bytes
LONGEST_ERROR: Final = 100  # characters
KEY_IS_WRONG: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
TROUBLES: Final = (aiohttp.ClientError, OSError, TimeoutError, ValueError)


class LibreTranslate:
    """`resolver`: who knows addresses; None: the system. `clock`: unix seconds."""

    def __init__(
        self,
        how: Translation,
        *,
        resolver: AbstractResolver | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._how = how
        self._clock = clock
        parts = urlsplit(how.url)
        near = is_loopback(parts.hostname or "")
        self._resolver = CheckedResolver(
            resolver or aiohttp.ThreadedResolver(),
            allow_private=how.allow_private,
            allow_loopback=near,
            allow_public=parts.scheme == "https",  # without it only what is near is asked
            called=later("translation service"),
        )
        self._session: aiohttp.ClientSession | None = None  # it wants a running loop

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def translate(self, text: str) -> str:
        """Raises `RetryLater` where it may answer another time, else `NotTranslated`."""
        try:
            status, headers, body = await self._post(text)
        except PrivateAddress as exc:
            raise NotTranslated(words_of(exc)) from exc
        except TROUBLES as exc:
            raise RetryLater(
                phrase("the translation service gave no answer: {error}", error=type(exc).__name__)
            ) from exc
        if status == HTTPStatus.OK:
            return _words(headers, body)
        raise self._refusal(status, headers, body)

    async def _post(self, text: str) -> tuple[int, Any, bytes]:
        asked = {"q": text, "source": "auto", "target": self._how.to, "format": "text"}
        if self._how.key:
            asked["api_key"] = self._how.key
        # No redirects: what is meant for one service, and the key, are not to be led to another.
        async with self._connected().post(
            f"{self._how.url.rstrip('/')}/translate", json=asked, allow_redirects=False
        ) as answer:
            return answer.status, answer.headers, await _read(answer.content)

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(resolver=self._resolver, use_dns_cache=False)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=TIMEOUT,
                cookie_jar=aiohttp.DummyCookieJar(),
                # A few bytes can be unpacked into more than there is room for.
                auto_decompress=False,
                headers={"accept-encoding": "identity", "user-agent": "telegram-signal-relay"},
            )
        return self._session

    def _refusal(self, status: int, headers: Any, body: bytes) -> Exception:
        said = phrase(
            "the translation service answered {status}{words}",
            status=status,
            words=self._said(body),
        )
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            after = wait_for(headers.get("retry-after", ""), self._clock())
            return RetryLater(said, after=after)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            return RetryLater(said)
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            mend = phrase("redirects are not followed, name the address that it leads to")
            said = joined(": ", [said, mend])
        elif status in KEY_IS_WRONG:
            said = joined(": ", [said, phrase("look at TRANSLATE_API_KEY in .env")])
        return NotTranslated(said)

    def _said(self, body: bytes) -> str:
        """In one line, and without the key, which it may repeat."""
        found = _object(body).get("error")
        if not isinstance(found, str) or not found.strip():
            return ""
        if self._how.key:
            found = found.replace(self._how.key, "[secret]")
        plain = "".join(each if each.isprintable() else " " for each in found)
        return f" ({' '.join(plain.split())[:LONGEST_ERROR]})"


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Up to a byte more than is taken."""
    body = b""
    while len(body) <= LONGEST_ANSWER and (piece := await content.readany()):
        body += piece
    return body


def _words(headers: Any, body: bytes) -> str:
    if len(body) > LONGEST_ANSWER:
        raise NotTranslated(phrase("the translation service's answer is too long"))
    if headers.get("content-encoding", "identity") != "identity":
        raise NotTranslated(
            phrase("the translation service's answer is packed, and was not asked for so")
        )
    found = _object(body).get("translatedText")
    if not isinstance(found, str):
        raise NotTranslated(
            phrase("the translation service's answer is not what LibreTranslate says")
        )
    return found


def _object(body: bytes) -> dict[str, Any]:
    """Empty: it is none."""
    try:
        found = json.loads(body) if len(body) <= LONGEST_ANSWER else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
