"""Events to a program of somebody's, over HTTPS: one POST each, signed.

The rules are those of https://www.standardwebhooks.com; see docs/WEBHOOK.md for what is told.
"""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.endpoints import is_loopback, is_public
from bot.errors import PostRefused, RetryLater, TargetUnavailable, words_of
from bot.phrases import joined, later, phrase

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.delivery.events import Event
    from bot.models import ChatId

TIMEOUT: Final = aiohttp.ClientTimeout(total=15, connect=5)
PUBLIC: Final = later("the {whose}'s host {host} has a public address")
PRIVATE: Final = later("the {whose}'s host {host} has a private address")
RETRY_AFTER_AT_MOST: Final = timedelta(hours=1)
# Of what was said, and not of who said it or where: the next event may well be taken.
ABOUT_THE_EVENT: Final = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}


class Webhook:
    """One endpoint, which `check_endpoint` takes; `secret`: as `check_secret` takes it.

    `allow_private`: it may be at an address of a private network. `resolver`: who knows addresses; None: the
    system. `clock`: unix seconds.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        target: ChatId,
        *,
        allow_private: bool = False,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
        resolver: AbstractResolver | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        from standardwebhooks import Webhook as Signer  # noqa: PLC0415  # most bots have no webhook

        self._url = url
        self._signer = Signer(secret)
        self._target = target
        self._timeout = timeout
        self._clock = clock
        self._resolver = CheckedResolver(
            resolver or aiohttp.ThreadedResolver(),
            allow_private=allow_private,
            allow_loopback=is_loopback(urlsplit(url).hostname or ""),
        )
        self._session: aiohttp.ClientSession | None = None  # it wants a running loop

    async def look(self) -> str:
        """What a look finds: its address is known and may be connected to. Nothing is told. Raises as `tell`."""
        parts = urlsplit(self._url)
        try:
            await self._resolver.resolve(parts.hostname or "", family=socket.AF_UNSPEC)
        except PrivateAddress as exc:
            raise TargetUnavailable(words_of(exc), self._target) from exc
        except OSError as exc:
            said = phrase(
                "the webhook's host {host} is not known: {error}",
                host=parts.hostname,
                error=exc.strerror or str(exc),
            )
            raise RetryLater(said) from exc
        return phrase(
            "the address of {host} may be connected to; it was not asked", host=parts.hostname
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def tell(self, event: Event) -> None:
        try:
            status, retry_after = await self._post(event.id, event.body())
        except PrivateAddress as exc:
            raise TargetUnavailable(words_of(exc), self._target) from exc
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            none = phrase("the webhook gave no answer: {error}", error=type(exc).__name__)
            raise RetryLater(none) from exc
        self._judge(status, retry_after)

    async def _post(self, event_id: str, body: str) -> tuple[int, str]:
        """The status and `Retry-After`. What else is answered is not read, however long it is."""
        at = int(self._clock())
        signed_at = datetime.fromtimestamp(at, UTC)
        headers = {
            "content-type": "application/json",
            "user-agent": "telegram-signal-relay",
            "webhook-id": event_id,
            "webhook-timestamp": str(at),
            "webhook-signature": self._signer.sign(event_id, signed_at, body),
        }
        # No redirects: what is signed for one receiver is not to be led to another.
        async with self._connected().post(
            self._url, data=body.encode(), headers=headers, allow_redirects=False
        ) as answer:
            return answer.status, answer.headers.get("retry-after", "")

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No cache: an address is checked each time that it is connected to.
            connector = aiohttp.TCPConnector(resolver=self._resolver, use_dns_cache=False)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    def _judge(self, status: int, retry_after: str) -> None:
        """What is refused is told apart by what it is about."""
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return
        said = phrase("the webhook answered {status}", status=status)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise RetryLater(said, after=wait_for(retry_after, self._clock()))
        if status in ABOUT_THE_EVENT:
            raise PostRefused(said)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            raise RetryLater(said)
        if status == HTTPStatus.GONE:
            said = joined(": ", [said, phrase("it wants no more events")])
        elif status < HTTPStatus.BAD_REQUEST:
            redirect = phrase("redirects are not followed, name the address that it leads to")
            said = joined(": ", [said, redirect])
        raise TargetUnavailable(said, self._target)


class PrivateAddress(Exception):
    """What the name of an endpoint leads to is not to be connected to. No `OSError`: aiohttp keeps those."""


class CheckedResolver(AbstractResolver):
    """Gives addresses that may be connected to. Whoever connects takes these, and asks nobody again.

    `called`: whose host it is, for people.
    """

    def __init__(
        self,
        resolver: AbstractResolver,
        *,
        allow_private: bool,
        allow_loopback: bool,
        allow_public: bool = True,
        called: str = later("webhook"),
    ) -> None:
        self._resolver = resolver
        self._allow_private = allow_private
        self._allow_loopback = allow_loopback
        self._allow_public = allow_public
        self._called = called

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            if not self._may_be(each["host"]):
                text = PUBLIC if is_public(each["host"]) else PRIVATE
                raise PrivateAddress(phrase(text, whose=phrase(self._called), host=host))
        return found

    async def close(self) -> None:
        await self._resolver.close()

    def _may_be(self, address: str) -> bool:
        if is_public(address):
            return self._allow_public
        return self._allow_private or (self._allow_loopback and is_loopback(address))


def wait_for(retry_after: str, now: float) -> timedelta | None:
    """Seconds or a date; None: it names neither."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  # rarely needed

    if retry_after.isascii() and retry_after.isdigit():
        seconds = float(retry_after[:9])
    else:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return min(timedelta(seconds=max(seconds, 0.1)), RETRY_AFTER_AT_MOST)
