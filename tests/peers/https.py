"""A small HTTPS server (RFC 9112) for servers of our own: each runs in a thread, with a loop of its own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

import trustme

_LARGEST_HEADER = 64 * 1024
LARGEST_BODY = 160 * 1024 * 1024
_LAST_TURNS = 5
"""Of the loop, in which connections that are being made can still come."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    """As it was sent."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes = field(repr=False)

    @property
    def path(self) -> str:
        """Still quoted: a quoted slash is no separator."""
        return urlsplit(self.target).path

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's parts, unquoted."""
        return tuple(unquote(part) for part in self.path.strip("/").split("/"))

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Response:
    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    is_dropped: bool = False
    """The connection ends without a word instead."""
    is_truncated: bool = False
    """It ends in the middle of the body."""


Handler = Callable[[Request], Awaitable[Response]]


class BadRequestError(Exception):
    """What came is no HTTP."""


class HttpsServer:
    """Serves `handler` at `https://localhost:PORT`; its certificate is from `authority`."""

    def __init__(
        self,
        handler: Handler,
        authority: trustme.CA,
        *,
        port: int = 0,
        certificate: trustme.LeafCert | None = None,
        largest_body: int = LARGEST_BODY,
    ) -> None:
        self._handler = handler
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (certificate or authority.issue_cert("localhost", "127.0.0.1")).configure_cert(self._context)
        self._largest_body = largest_body
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="https-server", daemon=True)
        self._connections: set[asyncio.Task[None]] = set()
        self.port = port
        self.connections = 0
        """How many have been made."""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=self._context, limit=_LARGEST_HEADER, backlog=512
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        # Transports say goodbye in the loop's next turn; and whose handshake ends now, begins only then.
        for _ in range(_LAST_TURNS):
            await asyncio.sleep(0)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.connections += 1
        try:
            while await self._serve(reader, writer):
                pass
        except (OSError, EOFError):  # gone
            pass
        except asyncio.CancelledError:  # we end: a client that is idle would take its time to say goodbye
            writer.transport.abort()
        except (BadRequestError, asyncio.LimitOverrunError) as error:
            with suppress(OSError):
                writer.write(_written(Response(400, str(error).encode(), "text/plain"), close=True))
                await writer.drain()
        finally:
            self._connections.discard(task)
            if not writer.is_closing():  # a second end leaves abort() with nothing to abort in Python 3.11.2
                with suppress(OSError, TimeoutError):
                    writer.close()  # what was written still goes out
                    async with asyncio.timeout(1):
                        await writer.wait_closed()
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = await _read(reader, writer, self._largest_body)
        if request is None:
            return False
        response = await self._handler(request)
        if response.is_dropped:
            writer.transport.abort()
            return False
        close = request.headers.get("connection", "").lower() == "close" or response.is_truncated
        written = _written(response, close=close)
        writer.write(written[: -1 - len(response.body) // 2] if response.is_truncated else written)
        await writer.drain()
        return not close


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, largest: int) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequestError("no request line")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequestError("no header field")
        headers[name.lower()] = value.strip()
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return Request(words[0], words[1], headers, await _read_body(reader, headers, largest))


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str], largest: int) -> bytes:
    if "transfer-encoding" in headers:
        return await _read_chunks(reader, largest)
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > largest:
        raise BadRequestError("a body of that length is not taken")
    return await reader.readexactly(int(length))


async def _read_chunks(reader: asyncio.StreamReader, largest: int) -> bytes:
    body = bytearray()
    while True:
        try:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        except ValueError as error:
            raise BadRequestError("no chunk") from error
        if size < 0 or len(body) + size > largest:
            raise BadRequestError("a body of that length is not taken")
        body += (await reader.readexactly(size + 2))[:size]
        if size == 0:
            return bytes(body)


def _written(response: Response, *, close: bool) -> bytes:
    reason = HTTPStatus(response.status).phrase
    lines = [f"HTTP/1.1 {response.status} {reason}", f"Content-Length: {len(response.body)}"]
    if response.body:
        lines.append(f"Content-Type: {response.content_type}")
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines.append("Connection: close" if close else "Connection: keep-alive")
    body = b"" if response.status in (204, 304) else response.body
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Authority:
    """A certificate authority of the tests, and its certificate as a file."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(self.file))
