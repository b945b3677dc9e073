"""A recording SMTP server: the next hop of the tests. It runs in a thread of its own."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.servers.wait import free_port, wait_until

Script = Callable[[str, str], str | None]
"""Called with a verb (MAIL, RCPT, DATA, or "." for the end of data) and its argument; None answers as usual."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message as it arrived: paths without angle brackets, content un-stuffed with CRLF line ends."""

    mail_from: str
    rcpt_to: tuple[str, ...]
    data: bytes
    at: float
    """time.monotonic()"""


_LOOSE_LINE_END = re.compile(rb"\r\n|\r|\n")


def _path(argument: bytes) -> str:
    return argument.rpartition(b">")[0].partition(b"<")[2].decode()  # a quoted local part may hold brackets


class _Session(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._scanned = -1
        self._stream = bytearray() if sink.keeps_streams else None
        self._reset()

    def _reset(self) -> None:
        self._mail_from: str | None = None
        self._rcpt_to: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sink._transports.append(transport)
        self._sink.connections += 1
        if self._stream is not None:
            self._sink.streams.append(self._stream)
        if not self._sink.silent:
            transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        if self._sink.silent:
            return
        if self._stream is not None:
            self._stream += data
        self._buffer += data
        while self._step():
            pass

    def _step(self) -> bool:
        if self._scanned >= 0:
            return self._take_content()
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        verb, _, argument = line.partition(b" ")
        self._answer(verb.decode("ascii", "replace").upper(), argument)
        return True

    def _take_content(self) -> bool:
        if self._buffer.startswith(b".\r\n"):
            content, used = b"", 3
        else:
            end = self._buffer.find(b"\r\n.\r\n", max(0, self._scanned - 4))
            if end < 0:
                self._scanned = len(self._buffer)
                return False
            content, used = bytes(self._buffer[: end + 2]), end + 5
        del self._buffer[:used]
        self._scanned = -1
        content = content[1:] if content.startswith(b".") else content
        refusal = self._sink.script(".", ",".join(self._rcpt_to))
        if refusal is None:
            arrived = Arrived(
                self._mail_from or "", tuple(self._rcpt_to), content.replace(b"\r\n..", b"\r\n."), time.monotonic()
            )
            self._sink.arrived.append(arrived)
        self._say(refusal or f"250 2.0.0 taken {len(self._sink.arrived)}")
        self._reset()
        return True

    def _answer(self, verb: str, argument: bytes) -> None:
        scripted = self._sink.script(verb, _path(argument)) if verb in ("MAIL", "RCPT", "DATA") else None
        if scripted is not None:
            self._say(scripted)
        elif verb == "EHLO":
            extensions = ("sink.example", *self._sink.extensions)
            self._transport.write(
                b"".join(f"250-{name}\r\n".encode() for name in extensions[:-1]) + f"250 {extensions[-1]}\r\n".encode()
            )
        elif verb == "DATA" and not self._rcpt_to:
            self._say("503 5.5.1 no recipients")
        elif verb == "DATA":
            self._scanned = 0
            self._say("354 go on")
        elif verb == "QUIT":
            self._say("221 2.0.0 bye")
            self._transport.close()
        else:
            if verb == "MAIL":
                self._reset()
                self._mail_from = _path(argument)
            elif verb == "RCPT":
                self._rcpt_to.append(_path(argument))
            elif verb == "RSET":
                self._reset()
            self._say("250 2.0.0 ok")

    def _say(self, text: str) -> None:
        self._transport.write(text.encode() + b"\r\n")
        if text.startswith("421"):
            self._transport.close()


def read_loosely(stream: bytes | bytearray) -> list[Arrived]:
    """What a server makes of a client's stream that takes CR and LF alone for line ends and overlooks NUL, in data too.

    So did all that SMTP smuggling went by. The content has CRLF line ends, its dots are unstuffed.
    """
    arrived: list[Arrived] = []
    mail_from, rcpt_to, content = "", list[str](), list[bytes]()
    is_content = False
    for line in _LOOSE_LINE_END.split(bytes(stream).replace(b"\0", b"")):
        verb = line[:4].upper()
        if is_content and line == b".":
            arrived.append(Arrived(mail_from, tuple(rcpt_to), b"".join(content), time.monotonic()))
            is_content = False
        elif is_content:
            content.append(line.removeprefix(b".") + b"\r\n")
        elif verb == b"MAIL":
            mail_from, rcpt_to, content = _path(line), [], []
        elif verb == b"RCPT":
            rcpt_to.append(_path(line))
        elif verb == b"DATA":
            is_content = bool(rcpt_to)
    return arrived


def _usual(_verb: str, _argument: str) -> str | None:
    return None


class Sink:
    """Use as a context manager.

    `silent` takes connections and never says a word; `keeps_streams` is for `read_loosely`.
    """

    def __init__(
        self,
        script: Script = _usual,
        *,
        port: int = 0,
        silent: bool = False,
        keeps_streams: bool = False,
        extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE 200000000"),
    ) -> None:
        self.script = script
        self.silent = silent
        self.keeps_streams = keeps_streams
        self.streams: list[bytearray] = []
        """Where they are kept: all that clients said, one for each connection."""
        self.extensions = extensions
        self.port = port or free_port()
        self.connections = 0
        self.arrived: list[Arrived] = []
        self._transports: list[asyncio.Transport] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._listening = threading.Event()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await self._loop.create_server(lambda: _Session(self), "127.0.0.1", self.port, backlog=512)
        self._listening.set()
        await self._stop.wait()
        server.close()
        being_let_in = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*being_let_in, return_exceptions=True)
        for each in self._transports:
            each.abort()
        await asyncio.sleep(0)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(60)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    def wait_for(self, count: int, timeout_s: float = 60) -> list[Arrived]:
        """The messages so far, once there are at least `count`."""
        wait_until(
            lambda: len(self.arrived) >= count, timeout_s, lambda: f"{count} messages ({len(self.arrived)} arrived)"
        )
        return list(self.arrived)

    def wait_for_message(self, needle: bytes, timeout_s: float = 60) -> Arrived:
        """The first message that contains `needle`."""

        def found() -> Arrived | None:
            return next((message for message in list(self.arrived) if needle in message.data), None)

        result = wait_until(found, timeout_s, f"a message with {needle!r}")
        assert result is not None
        return result
