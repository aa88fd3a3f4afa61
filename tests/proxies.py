"""Proxies on 127.0.0.1: socks5 and http CONNECT, with a password or without, and an mtproxy.

https://www.rfc-editor.org/rfc/rfc1928, /rfc1929, /rfc9110#CONNECT;
https://core.telegram.org/mtproto/mtproto-transports#transport-obfuscation
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
import struct

from pyrogram.crypto import aes

HOST = "127.0.0.1"
REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"


class ProxyServer:
    """`led` is where its clients were led to, `refused` how many were not."""

    def __init__(self, scheme, *, user=None, password=None, secret=None, to=None):
        self._meet = {"socks5": self._socks5, "http": self._http, "mtproxy": self._mtproxy}[scheme]
        self._login = None if user is None else (user, password)
        self._secret = secret
        self._to = to  # an mtproxy is not told where to go
        self.led = []
        self.refused = 0
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, EOFError):
                await self._meet(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _socks5(self, reader, writer):
        _version, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        wanted = 0 if self._login is None else 2
        if wanted not in methods:
            self.refused += 1
            writer.write(b"\x05\xff")
            return
        writer.write(bytes([5, wanted]))
        if wanted and not await self._knows_the_password(reader, writer):
            return
        _version, _connect, _reserved, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, await reader.readexactly(size))
        (port,) = struct.unpack(">H", await reader.readexactly(2))
        await self._lead(reader, writer, host, port, b"\x05\0\0\x01" + bytes(6))

    async def _knows_the_password(self, reader, writer):
        await reader.readexactly(1)
        said = [
            (await reader.readexactly((await reader.readexactly(1))[0])).decode() for _ in range(2)
        ]
        right = tuple(said) == self._login
        self.refused += not right
        writer.write(b"\x01\0" if right else b"\x01\x01")
        return right

    async def _http(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked, *headers = head.splitlines()
        if self._login is not None:
            basic = base64.b64encode(":".join(self._login).encode()).decode()
            if not any(line.lower().endswith(f"basic {basic}".lower()) for line in headers):
                self.refused += 1
                writer.write(REFUSED)
                await writer.drain()
                return
        host, port = asked.split()[1].rsplit(":", 1)
        await self._lead(reader, writer, host, int(port), b"HTTP/1.1 200 Connected\r\n\r\n")

    async def _mtproxy(self, reader, writer):
        header = await reader.readexactly(64)
        other = header[55:7:-1]
        key, iv = hashlib.sha256(header[8:40] + self._secret).digest(), bytearray(header[40:56])
        decrypt = (key, iv, bytearray(1))
        key, iv = hashlib.sha256(other[:32] + self._secret).digest(), bytearray(other[32:48])
        encrypt = (key, iv, bytearray(1))
        if aes.ctr256_decrypt(header, *decrypt)[56:60] != b"\xef" * 4:
            self.refused += 1
            return
        await self._lead(
            reader,
            writer,
            *self._to,
            b"",
            first=b"\xef",
            up=lambda data: aes.ctr256_decrypt(data, *decrypt),
            down=lambda data: aes.ctr256_encrypt(data, *encrypt),
        )

    async def _lead(self, reader, writer, host, port, answer, *, first=b"", up=bytes, down=bytes):
        other, there = await asyncio.open_connection(host, port)
        self.led.append((host, port))
        writer.write(answer)
        there.write(first)
        try:
            await asyncio.gather(_copy(reader, there, up), _copy(other, writer, down))
        finally:
            there.close()


async def _copy(source, target, change):
    while data := await source.read(65536):
        target.write(change(data))
        await target.drain()
    target.close()
