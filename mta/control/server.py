"""The supervisor's side of the control socket."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

REQUEST_MAX = 65_536
IDLE_S = 10.0

Answer = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class AlreadyRunningError(Exception):
    """Another supervisor serves this control socket."""


class ControlServer:
    """Serves `path` with what `answer` says; holds a lock beside it, so that only one supervisor runs."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._lock_fd = -1
        self._server: asyncio.Server | None = None

    def lock(self) -> None:
        """Make sure that we are alone. Raises AlreadyRunningError, OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_fd = os.open(self._path.with_name(self._path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise AlreadyRunningError(f"a supervisor runs already on {self._path}") from exc

    async def start(self) -> None:
        """Serve from now on; a socket that a killed supervisor left is replaced. Raises OSError."""
        self._path.unlink(missing_ok=True)  # ours to remove: we hold the lock
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=REQUEST_MAX)
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Stop serving, remove the socket, let go of the lock."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
            self._server = None
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), IDLE_S)
            if line:
                writer.write(json.dumps(await self._answer_line(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, TimeoutError, ValueError):
            pass  # the client has gone, says nothing, or says too much at once
        finally:
            writer.close()

    async def _answer_line(self, line: bytes) -> Mapping[str, Any]:
        try:
            request = json.loads(line)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            return {"ok": False, "error": "a request is one JSON object on one line"}
        return await self._answer(request)
