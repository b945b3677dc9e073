"""The supervisor's side of the control socket."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from mta import events
from mta.file_identity import identity

REQUEST_MAX = 65_536
IDLE_S = 10.0

Answer = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class AlreadyRunningError(Exception):
    """Another supervisor serves this control socket."""


class ControlServer:
    """Serves `path` with what `answer` says; holds a lock beside it, so that only one supervisor runs."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path = path
        self._lock_path = path.with_name(path.name + ".lock")
        self._identity: tuple[int, int] | None = None
        self._answer = answer
        self._lock_fd = -1
        self._server: asyncio.Server | None = None

    def lock(self) -> None:
        """Make sure that we are alone. Raises AlreadyRunningError, OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_fd = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
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
        self._identity = identity(self._path)

    async def keep(self) -> None:
        """Serve again where somebody took the socket away; call it often. Raises OSError, AlreadyRunningError."""
        if self._server is None or identity(self._path) == self._identity:
            return
        self._server.close()
        if identity(self._lock_path) is None:  # the folder was taken away with the lock in it
            os.close(self._lock_fd)
            self._lock_fd = -1
            self.lock()
        await self.start()
        events.control_socket_back(str(self._path))

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
