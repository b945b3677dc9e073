"""A thousand open connections, and a steady load over them: how long clients wait for their 250."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from dataclasses import dataclass

_CONTENT = (
    b"From: <sender@example.com>\r\nTo: <rcpt@example.net>\r\nSubject: held\r\n"
    b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <held-%d@load.example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    + b"Good morning, this is a line of text like many others.\r\n" * 180
    + b".\r\n"
)
_ENVELOPE = b"MAIL FROM:<sender@example.com>\r\nRCPT TO:<rcpt@example.net>\r\nDATA\r\n"
OPENED_AT_ONCE = 50


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def reply(self) -> bytes:
        while True:
            line = await self.reader.readline()
            if len(line) < 4 or line[3:4] != b"-":
                return line

    async def send(self, number: int) -> float:
        """One message; seconds from its final dot to the 250."""
        self.writer.write(_ENVELOPE)
        for _ in range(3):
            line = await self.reply()
        if not line.startswith(b"354"):
            raise RuntimeError(f"refused: {line!r}")
        self.writer.write(_CONTENT % number)
        await self.writer.drain()
        began = time.perf_counter()
        line = await self.reply()
        if not line.startswith(b"250"):
            raise RuntimeError(f"refused: {line!r}")
        return time.perf_counter() - began


async def _open(port: int, limit: asyncio.Semaphore) -> _Connection:
    async with limit:
        connection = _Connection(*await asyncio.open_connection("127.0.0.1", port))
        await connection.reply()
        connection.writer.write(b"EHLO load.example.com\r\n")
        await connection.reply()
        return connection


async def _held(port: int, connections: int, per_s: float, seconds: float) -> dict[str, float]:
    chance = random.Random(1)
    began = time.perf_counter()
    limit = asyncio.Semaphore(OPENED_AT_ONCE)
    held = list(await asyncio.gather(*(_open(port, limit) for _ in range(connections))))
    opened_s = time.perf_counter() - began
    waits: list[float] = []
    busy: set[asyncio.Task[None]] = set()

    async def one(connection: _Connection, number: int) -> None:
        waits.append(await connection.send(number))
        held.append(connection)

    for number in range(int(per_s * seconds)):
        connection = held.pop(chance.randrange(len(held)))
        task = asyncio.create_task(one(connection, number))
        busy.add(task)
        task.add_done_callback(busy.discard)
        await asyncio.sleep(chance.expovariate(per_s))
    await asyncio.gather(*busy)
    for connection in held:
        connection.writer.close()
    cuts = statistics.quantiles(waits, n=100)
    return {
        "opened_s": round(opened_s, 2), "messages": len(waits), "p50_ms": round(cuts[49] * 1000, 2),
        "p95_ms": round(cuts[94] * 1000, 2), "p99_ms": round(cuts[98] * 1000, 2), "max_ms": round(max(waits) * 1000, 2),
    }  # fmt: skip


def held_connections(port: int, *, connections: int, per_s: float, seconds: float) -> dict[str, float]:
    """Hold so many connections, and send at that rate over ones picked at random."""
    return asyncio.run(_held(port, connections, per_s, seconds))
