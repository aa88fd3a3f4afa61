"""A service that translates, on loopback: it writes Cyrillic letters as Latin ones, and has troubles of its own."""

from __future__ import annotations

import asyncio
import json
from collections import deque

from aiohttp import web

CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
LATIN = "a b v g d e zh z i y k l m n o p r s t u f h c ch sh sch q y x e yu ya"
LETTERS = dict(zip(CYRILLIC, LATIN.split(" "), strict=True))
KEY = "a-key-of-the-service-1234"


def latin(text):
    """What it answers, if it has nothing else to say."""
    return "".join(LETTERS.get(each.lower(), each) for each in text)


class Translator:
    """`fates`: what it does with the next requests; after that it translates.

    A number is an answer; "hang": none; "cut": the connection is; "redirect": to another address;
    "endless": an answer without end; whatever else is the body. `answers`: other words for some texts.
    """

    def __init__(self, *, key=None):
        self.key = key
        self.fates, self.answers = deque(), {}
        self.asked, self.elsewhere = [], 0
        self.retry_after = "7"
        self.port = 0
        self.began = asyncio.Event()  # a request has come that is not answered
        self.left = asyncio.Event()  # who asked it waits no more
        self._runner = None
        self.gone = asyncio.Event()  # set: no request hangs any more

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/translate", self._take)
        app.router.add_post("/elsewhere", self._take_elsewhere)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_):
        self.gone.set()
        await self._runner.cleanup()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def texts(self):
        return [each["q"] for each in self.asked]

    async def _take_elsewhere(self, _request):
        self.elsewhere += 1
        return web.json_response({"translatedText": "elsewhere"})

    async def _take(self, request):
        said = await request.json()
        self.asked.append(said)
        if self.fates:
            return await self._trouble(request, self.fates.popleft())
        if said.get("api_key") != self.key:
            return web.json_response(
                {"error": f"Invalid API key {said.get('api_key')}"}, status=403
            )
        if said["target"] not in {"en", "pt-BR"}:
            return web.json_response({"error": f"{said['target']} is not supported"}, status=400)
        found = self.answers.get(said["q"], latin(said["q"]))
        more = {"detectedLanguage": {"confidence": 90, "language": "ru"}}
        return web.json_response({"translatedText": found, **more})

    async def _trouble(self, request, fate):
        if fate == "redirect":
            raise web.HTTPTemporaryRedirect("/elsewhere")
        if fate == "cut":
            request.transport.abort()
        if fate == "hang":
            self.began.set()
            try:
                await self.gone.wait()
            except asyncio.CancelledError:
                self.left.set()
                raise
        if fate == "endless":
            return await self._without_end(request)
        if fate == "packed":
            headers = {"content-encoding": "gzip"}
            return web.Response(body=b"\x1f\x8b", headers=headers)
        if isinstance(fate, int):
            headers = {"retry-after": self.retry_after} if fate == 429 else {}
            return web.json_response({"error": "Slow\ndown"}, status=fate, headers=headers)
        return web.Response(text=fate, content_type="text/html")

    async def _without_end(self, request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(json.dumps({"translatedText": "x" * 300_000}).encode()[:-2])
        while not self.gone.is_set():
            await answer.write(b"x" * 65_536)
        return answer
