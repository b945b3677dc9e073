"""The line between the supervisor and one worker, and the worker's end of it.

A connected AF_UNIX stream socket whose number the worker gets as `--channel FD`; each message is one JSON object on one
line. End of file means that the other side is gone: a worker then drains by itself.

From the supervisor:
- `{"do": "hello", "bypass": …}`: always the first, written before the worker starts.
- `{"do": "prepare", "id": N}`: read the configuration anew and keep it aside.
- `{"do": "commit"}`: use it; said only after every worker has prepared the same. What runs beside the workers is told
  without having prepared, and gets the `"configuration"` with it, as with its hello.
- `{"do": "bypass", "bypass": …}`, `{"do": "wake"}`, `{"do": "drain"}`.
- `{"do": "confirm", "id": N}`: answered when all orders before it are carried out.
- `{"do": "ask", "id": N, "request": {…}}`: what the command line wants to know of this process.

From the worker:
- `{"is": "alive", "report": {…}}`: every few seconds, from its event loop.
- `{"is": "ready", "snapshot": NAME}`: it accepts connections.
- `{"is": "prepared", "id": N, "snapshot": NAME, "problems": […]}`.
- `{"is": "answered", "id": N, "answer": {…}}`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mta import events
from mta.config.problems import ConfigurationError, Problem
from mta.model.bypass import Bypass

HEARTBEAT_S = 5.0
LINE_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """What a worker process is told on its command line."""

    slot: int
    listen_fds: Mapping[str, int]
    """Listener name → bound socket with SO_REUSEPORT, not listening yet when it is new."""
    channel_fd: int
    config: Path
    counts_fd: int = -1
    """The table of `mta.shared_counts`; -1: the worker counts for itself alone."""


class Worker(Protocol):
    """What the supervisor wants of a worker; called on the worker's event loop."""

    async def prepare_reload(self) -> str:
        """Load and validate the configuration anew, keep it aside, return its snapshot's name.

        Raises ConfigurationError.
        """
        ...

    async def commit_reload(self) -> None:
        """Use from now on what was prepared last."""
        ...

    async def set_bypass(self, bypass: Bypass) -> None:
        """Relay unstamped while `bypass.is_on(now)`."""
        ...

    async def wake(self) -> None:
        """The queue was changed by an administrator: look at it now."""
        ...

    async def drain(self) -> None:
        """Begin to stop: accept no more, finish what is in hand; then `run_worker` returns. May be called twice."""
        ...

    def report(self) -> Mapping[str, Any]:
        """Figures for `stampline status`, e.g. sessions and messages in hand; JSON values."""
        ...


@runtime_checkable
class Answering(Protocol):
    """A worker that the command line can ask something, through the supervisor."""

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """JSON values: `ok`, and `error` where that is false. Waits for nothing."""
        ...


def bypass_to_json(bypass: Bypass) -> dict[str, Any]:
    """`{"on": bool, "until": ISO 8601 or null}`, and `since` where that is known."""
    since = {"since": bypass.since.isoformat()} if bypass.since else {}
    return {"on": bypass.on, "until": bypass.until.isoformat() if bypass.until else None, **since}


def bypass_from_json(data: Mapping[str, Any]) -> Bypass:
    """The reverse of `bypass_to_json`. Raises KeyError, TypeError or ValueError for anything else."""
    return Bypass(bool(data["on"]), _moment(data["until"]), _moment(data.get("since")))


def _moment(text: str | None) -> datetime | None:
    moment = datetime.fromisoformat(text) if text is not None else None
    if moment is not None and moment.tzinfo is None:
        raise ValueError("a time needs its zone")
    return moment


def problem_to_json(problem: Problem) -> dict[str, Any]:
    """A problem as plain JSON values."""
    return {**asdict(problem), "file": str(problem.file)}


def problem_from_json(data: Mapping[str, Any]) -> Problem:
    """The reverse of `problem_to_json`."""
    return Problem(Path(data["file"]), data["line"], data["column"], data["what"], data["mend"])


class WorkerChannel:
    """The worker's end: `async with WorkerChannel.open(order.channel_fd) as channel`, then `start`, then `ready`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bypass: Bypass,
        configuration: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.bypass = bypass
        """The switch as it stood when this worker was started."""
        self.configuration = configuration
        """What a companion has to go by, as JSON values; it changes before `commit_reload` is called."""
        self._reader = reader
        self._writer = writer
        self._tasks: list[asyncio.Future[None]] = []

    @classmethod
    async def open(cls, fd: int) -> WorkerChannel:
        """Take over the inherited socket and read the supervisor's hello."""
        end = socket.socket(fileno=fd)
        end.set_inheritable(False)
        reader, writer = await asyncio.open_unix_connection(sock=end, limit=LINE_MAX)
        hello = json.loads(await reader.readline())
        return cls(reader, writer, bypass_from_json(hello["bypass"]), hello.get("configuration"))

    def start(self, worker: Worker) -> None:
        """Begin to beat and to take orders, and drain on SIGTERM; do it early: a worker that never beats is killed."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._drain_soon, worker)
        self._tasks = [asyncio.create_task(self._beat(worker)), asyncio.create_task(self._obey(worker))]

    async def ready(self, snapshot: str) -> None:
        """Say that this worker accepts connections, under the named snapshot."""
        await self._say({"is": "ready", "snapshot": snapshot})

    async def close(self) -> None:
        """Stop beating and close the socket; for when `run_worker` is about to return."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writer.close()

    def _drain_soon(self, worker: Worker) -> None:
        self._tasks.append(asyncio.ensure_future(worker.drain()))

    async def _say(self, message: Mapping[str, Any]) -> None:
        with suppress(ConnectionError):  # the supervisor is gone; _obey reads the end of file and drains
            self._writer.write(json.dumps(message).encode() + b"\n")
            await self._writer.drain()

    async def _beat(self, worker: Worker) -> None:
        while True:
            await self._say({"is": "alive", "report": dict(worker.report())})
            await asyncio.sleep(HEARTBEAT_S)

    async def _obey(self, worker: Worker) -> None:
        with suppress(ConnectionError):
            while line := await self._reader.readline():
                try:
                    await self._carry_out(worker, json.loads(line))
                except Exception as exc:  # noqa: BLE001 - the process's edge: the next order must still be heard
                    events.internal_error("worker-order", error=repr(exc), traceback=traceback.format_exc())
        await worker.drain()

    async def _carry_out(self, worker: Worker, order: Mapping[str, Any]) -> None:
        match order["do"]:
            case "prepare":
                await self._say({"is": "prepared", "id": order["id"], **await _prepared(worker)})
            case "commit":
                self.configuration = order.get("configuration")
                await worker.commit_reload()
            case "bypass":
                await worker.set_bypass(bypass_from_json(order["bypass"]))
            case "wake":
                await worker.wake()
            case "drain":
                await worker.drain()
            case "confirm":
                await self._say({"is": "answered", "id": order["id"], "answer": {}})
            case "ask":
                await self._say({"is": "answered", "id": order["id"], "answer": _answer(worker, order["request"])})


def _answer(worker: Worker, request: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(worker, Answering):
        return {"ok": False, "error": "no such request"}
    try:
        return worker.answer(request)
    except Exception as exc:  # noqa: BLE001 - the process's edge: somebody waits for an answer
        events.internal_error("worker-answer", error=repr(exc), traceback=traceback.format_exc())
        return {"ok": False, "error": f"it failed: {type(exc).__name__}; the log has the details"}


async def _prepared(worker: Worker) -> dict[str, Any]:
    try:
        return {"snapshot": await worker.prepare_reload(), "problems": []}
    except ConfigurationError as exc:
        return {"snapshot": "", "problems": [problem_to_json(problem) for problem in exc.problems]}
    except Exception as exc:  # noqa: BLE001 - the process's edge: the supervisor waits for an answer
        events.internal_error("prepare-reload", error=repr(exc), traceback=traceback.format_exc())
        problem = Problem(Path(), 0, 0, f"a worker failed to load it: {type(exc).__name__}", "its log has the details")
        return {"snapshot": "", "problems": [problem_to_json(problem)]}
