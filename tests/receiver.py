"""A program that is told of signals: it takes each event once by its id, and has troubles of its own."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections import deque

from aiohttp import web

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


class Receiver:
    """`fates`: what it does with the next requests; after that it takes all.

    A number is an answer; "lost": taken, and cut before the answer; "cut": not even taken; "hang": taken,
    and never answered; "redirect": to `elsewhere`; "endless": taken, with an answer without end.
    """

    def __init__(self):
        self.fates = deque()
        self.fails = {}  # how often it answers 500 yet to what says this
        self.heard = {}  # by id, in the order in which they were first taken
        self.bodies = {}  # all that were said under an id
        self.wrong, self.calls, self.elsewhere = [], 0, 0
        self._runner = None
        self.port = 0
        self._gone = asyncio.Event()

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        await self.stop()

    async def start(self):
        """On the port that it had before, if it was there."""
        self._gone = asyncio.Event()
        app = web.Application()
        app.router.add_post("/hook", self._take)
        app.router.add_post("/elsewhere", self._take_elsewhere)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self):
        self._gone.set()
        await self._runner.cleanup()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def events(self):
        return list(self.heard.values())

    async def _take_elsewhere(self, _request):
        self.elsewhere += 1
        return web.Response(status=204)

    async def _take(self, request):
        body = await request.read()
        self.calls += 1
        number, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        mac = hmac.new(KEY, f"{number}.{at}.".encode() + body, hashlib.sha256).digest()
        if request.headers["webhook-signature"] != f"v1,{base64.b64encode(mac).decode()}":
            self.wrong.append(number)
        fate = self.fates.popleft() if self.fates else 204
        said = json.loads(body)["data"]["text"]
        if self.fails.get(said):
            self.fails[said] -= 1
            fate = 500
        if fate in {204, "lost", "hang", "endless"}:
            event = json.loads(body)
            self.heard.setdefault(number, event)
            self.bodies.setdefault(number, []).append(event)
        return await self._answer(request, fate)

    async def _answer(self, request, fate):
        if fate == "redirect":
            raise web.HTTPTemporaryRedirect("/elsewhere")
        if fate in {"lost", "cut"}:
            request.transport.abort()
        if fate == "hang":
            await self._gone.wait()
        if fate == "endless":
            return await self._without_end(request)
        headers = {"retry-after": "7"} if fate == 429 else {}
        return web.Response(status=fate if isinstance(fate, int) else 204, headers=headers)

    async def _without_end(self, request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        while not self._gone.is_set():
            await answer.write(b"x" * 65_536)
        return answer
