"""A TCP proxy that can be slow, stingy, deaf, dead or a liar: what a network does to a connection, on demand."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

CHUNK = 16384
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with every connection. Nothing, by default."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: int = 0
    """0: as fast as it goes."""
    slow_close_s: float = 0.0
    """How long the other side does not hear that one side has closed."""
    half_open: bool = False
    """Bytes vanish, sockets stay open: also for good on every connection that was there meanwhile."""
    corrupt: bool = False
    """From its next answer on, a connection's answers are nothing but bytes of 0xff."""
    refuse: bool = False
    """Nobody listens."""


@dataclass(slots=True, eq=False)
class _Link:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    asked: bool = False
    rotten: bool = False
    deaf: bool = False
    pumps: list[asyncio.Task[None]] = field(default_factory=list)


class FaultProxy:
    """Listens on a free port of loopback and passes everything on to `upstream`, with the faults of the moment.

    It runs in a thread of its own; every method may be called from any other.
    """

    def __init__(self, upstream: int, usual: Faults | None = None) -> None:
        """`usual`: what is wrong also when nothing else is."""
        self.upstream = upstream
        self.port = 0
        self.connections = 0
        """How many were accepted so far."""
        self._usual = usual or Faults()
        self._faults = self._usual
        self._rng = random.Random(upstream)
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set(self, faults: Faults) -> None:
        """From now on these and no others."""
        self._do(self._change(faults))

    def heal(self) -> None:
        """Nothing unusual is wrong any more; connections that went deaf or rotten stay so until someone closes them."""
        self.set(self._usual)

    def cut(self) -> int:
        """Resets every connection; how many there were."""
        return int(self._do(self._cut()))

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _change(self, faults: Faults) -> None:
        self._faults = faults
        if faults.half_open:
            for link in self._links:
                link.deaf = True
        if faults.refuse and self._server:
            self._server.close()
            self._server = None
        elif not faults.refuse and self._server is None:
            await self._listen()

    async def _cut(self) -> int:
        links = list(self._links)
        for link in links:
            for writer in (link.client, link.server):
                _reset(writer)
        return len(links)

    async def _stop(self) -> None:
        if self._server:
            self._server.close()
        await self._cut()
        pumps = [pump for link in self._links for pump in link.pumps]
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            _reset(writer)
            return
        link = _Link(writer, server, deaf=self._faults.half_open)
        link.pumps = [
            asyncio.ensure_future(self._pump(link, reader, server, answer=False)),
            asyncio.ensure_future(self._pump(link, answers, writer, answer=True)),
        ]
        self._links.add(link)
        await asyncio.gather(*link.pumps, return_exceptions=True)
        self._links.discard(link)

    async def _pump(
        self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answer: bool
    ) -> None:
        try:
            while data := await source.read(CHUNK):
                if not link.deaf:
                    await self._pass_on(link, data, sink, answer=answer)
            while link.deaf and self._faults.half_open:
                await asyncio.sleep(0.05)
            await asyncio.sleep(self._faults.slow_close_s)
        except OSError:
            _reset(sink)
        else:
            sink.close()

    async def _pass_on(self, link: _Link, data: bytes, sink: asyncio.StreamWriter, *, answer: bool) -> None:
        faults = self._faults
        if faults.latency_s or faults.jitter_s:
            await asyncio.sleep(faults.latency_s + faults.jitter_s * self._rng.random())
        # Only from the start of an answer: a byte changed inside a payload is what no protocol without a checksum sees.
        if faults.corrupt and answer and link.asked:
            link.rotten = True
        if link.rotten and answer:
            data = b"\xff" * len(data)
        link.asked = not answer
        step = max(1, faults.bytes_per_s // 20) if faults.bytes_per_s else len(data)
        for at in range(0, len(data), step):
            if link.deaf:
                return
            sink.write(data[at : at + step])
            await sink.drain()
            if self._faults.bytes_per_s:  # a heal ends the trickle
                await asyncio.sleep(step / faults.bytes_per_s)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes with RST: what is under way is lost, and the other side hears so at once."""
    held: socket.socket | None = writer.get_extra_info("socket")
    if held is not None and held.fileno() >= 0:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
