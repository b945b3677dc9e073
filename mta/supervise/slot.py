"""One slot: its process, the supervisor's end of the channel, and the sockets it keeps between processes."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mta import events
from mta.config.problems import Problem
from mta.shared_counts import SharedCounts
from mta.supervise.channel import LINE_MAX, problem_from_json
from mta.supervise.sockets import SlotSockets

SILENT_MAX_S = 30.0
"""A worker that does not beat for so long hangs, and is killed."""
START_MAX_S = 120.0
"""The same before its first beat: loading may take its time."""
LAST_WORDS_S = 2.0
"""Between SIGABRT, at which a worker writes its tracebacks to standard error, and SIGKILL."""
STEADY_S = 60.0
"""A worker that lived so long did not die of its start: its death counts as the first."""
LET_GO_AFTER_S = 5.0
"""A slot that waits so long before its next start lets go of its ports."""

_RESTART_DELAYS_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


def restart_delay_s(deaths: int) -> float:
    """The wait before a restart, after so many deaths in a row: none at first, up to half a minute."""
    return _RESTART_DELAYS_S[min(max(deaths, 1), len(_RESTART_DELAYS_S)) - 1]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A worker's answer to `prepare`."""

    snapshot: str
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class WorkerProcess:
    """One running worker as the supervisor sees it."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    started_at: float
    """On the event loop's clock, like `last_beat_at`."""
    last_beat_at: float
    snapshot: str = ""
    is_ready: bool = False
    has_beaten: bool = False
    report: Mapping[str, Any] = field(default_factory=dict)
    answers: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    """What is waited for, by the number of the order; None where it dies before."""

    def say(self, order: Mapping[str, Any]) -> None:
        """Send an order; one that has gone gets none."""
        if not self.writer.is_closing():
            self.writer.write(json.dumps(order).encode() + b"\n")

    def kill(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


class Slot:
    """Keeps one worker running: `keep_running` is the slot's life, `stop` ends it."""

    _order_ids = itertools.count(1)

    def __init__(
        self, index: int, sockets: SlotSockets, command: Sequence[str], config: Path,
        hello: Callable[[], Mapping[str, Any]], on_ready: Callable[[Slot], None], *, component: str = "relay",
        counts: SharedCounts | None = None,
    ) -> None:  # fmt: skip
        """`hello` is what each new process is told first; `counts` is where it counts, in the section of its index."""
        self.index = index
        self.component = component
        """What its process is, for log lines: "relay", or the name of what runs beside the relay's workers."""
        self.worker: WorkerProcess | None = None
        self.deaths = 0
        """In all."""
        self.early_deaths = 0
        """In a row, without a steady life between them."""
        self._sockets = sockets
        self._command = [*command, "--slot", str(index), "--config", str(config)]
        self._hello = hello
        self._on_ready = on_ready
        self._counts = counts
        self._stopping = asyncio.Event()
        self._start_now = asyncio.Event()

    async def keep_running(self, begins_after_s: float = 0.0) -> None:
        """Start a worker, and another one whenever it dies, until `stop`."""
        if begins_after_s:
            await self._wait(begins_after_s)
        while not self._stopping.is_set():
            started_at = asyncio.get_running_loop().time()
            try:
                worker = await self._start()
                pid, status = worker.process.pid, await self._live(worker)
            except OSError as exc:  # no process to be had, or no port
                pid, status = 0, f"not started: {exc}"
            if self._stopping.is_set():
                break
            delay_s = self._after_death(asyncio.get_running_loop().time() - started_at)
            events.worker_died(self.index, component=self.component, pid=pid, status=status, restart_in_s=delay_s)
            await self._wait(delay_s)
        self._sockets.close()

    def stop(self) -> None:
        """Drain the worker and start no other; the ports are let go of at once."""
        self._stopping.set()
        self._sockets.close()
        self._start_now.set()
        if self.worker is not None:
            self.worker.say({"do": "drain"})

    def kill(self) -> None:
        """End a worker that does not stop by itself."""
        if self.worker is not None:
            self.worker.kill(signal.SIGKILL)

    def start_now(self) -> None:
        """Don't wait any longer for the next start: what it died of may be mended."""
        self.early_deaths = 0
        self._start_now.set()

    def say(self, order: Mapping[str, Any]) -> None:
        if self.worker is not None:
            self.worker.say(order)

    async def prepare(self) -> Prepared | None:
        """Have the worker load the configuration anew; None where there is none, or it dies over it."""
        prepared: Prepared | None = await self._answer_to({"do": "prepare"})
        return prepared

    async def ask(self, request: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What its process answers to a request of the command line; None where there is none, or it dies over it."""
        answer: Mapping[str, Any] | None = await self._answer_to({"do": "ask", "request": request})
        return answer

    async def _answer_to(self, order: Mapping[str, Any]) -> Any:
        worker = self.worker
        if worker is None:
            return None
        number = next(self._order_ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        worker.answers[number] = answer
        worker.say({**order, "id": number})
        try:
            return await answer
        finally:
            worker.answers.pop(number, None)

    async def confirm(self) -> None:
        """Until its process has carried out all orders so far, or is gone."""
        await self._answer_to({"do": "confirm"})

    def check_alive(self, now: float) -> None:
        """Kill a worker that has been silent for too long; `now` is on the event loop's clock."""
        worker = self.worker
        if worker is None:
            return
        silent_s = now - worker.last_beat_at
        if silent_s > (SILENT_MAX_S if worker.has_beaten else START_MAX_S):
            events.worker_stuck(self.index, component=self.component, pid=worker.process.pid, silent_s=silent_s)
            worker.last_beat_at = now
            worker.kill(signal.SIGABRT)
            asyncio.get_running_loop().call_later(LAST_WORDS_S, worker.kill, signal.SIGKILL)

    def forgive_silence(self, now: float) -> None:
        """Count silence from now on: it was us who slept."""
        if self.worker is not None:
            self.worker.last_beat_at = now

    async def _start(self) -> WorkerProcess:
        ours, theirs = socket.socketpair()
        try:
            # Written before the worker is born, so that it knows before its first message.
            ours.sendall(json.dumps({"do": "hello", **self._hello()}).encode() + b"\n")
            process = await self._spawn(theirs.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=LINE_MAX)
        now = asyncio.get_running_loop().time()
        self.worker = WorkerProcess(process, reader, writer, now, now)
        if self._stopping.is_set():
            self.worker.say({"do": "drain"})
        return self.worker

    async def _spawn(self, channel_fd: int) -> asyncio.subprocess.Process:
        fds = self._sockets.fds()
        listen = [argument for name, fd in fds.items() for argument in ("--listen", f"{fd}:{name}")]
        shared = [self._counts.fd] if self._counts is not None else []
        counts = [argument for fd in shared for argument in ("--counts", str(fd))]
        return await asyncio.create_subprocess_exec(
            *self._command, "--channel", str(channel_fd), *counts, *listen,
            pass_fds=[channel_fd, *shared, *fds.values()], stdin=asyncio.subprocess.DEVNULL, env=_worker_environment(),
            process_group=0,  # Ctrl-C is for the supervisor, which then drains
        )  # fmt: skip

    async def _live(self, worker: WorkerProcess) -> str:
        """Listen to a worker until it has ended; say how it did."""
        with suppress(ConnectionError):
            while line := await worker.reader.readline():
                self._hear(worker, json.loads(line))
        code = await worker.process.wait()
        self.worker = None
        if self._counts is not None:
            self._counts.clear(self.index)
        for answer in worker.answers.values():
            if not answer.done():
                answer.set_result(None)
        worker.writer.close()
        return f"exit {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"

    def _hear(self, worker: WorkerProcess, message: Mapping[str, Any]) -> None:
        worker.last_beat_at = asyncio.get_running_loop().time()
        match message["is"]:
            case "alive":
                worker.has_beaten = True
                worker.report = message["report"]
            case "ready":
                worker.is_ready = True
                worker.snapshot = message["snapshot"]
                events.worker_ready(
                    self.index, component=self.component, pid=worker.process.pid, snapshot=worker.snapshot
                )
                self._on_ready(self)
            case "prepared":
                problems = tuple(problem_from_json(problem) for problem in message["problems"])
                _give(worker, message["id"], Prepared(message["snapshot"], problems))
            case "answered":
                _give(worker, message["id"], message["answer"])

    def _after_death(self, lived_s: float) -> float:
        self.deaths += 1
        self.early_deaths = 1 if lived_s >= STEADY_S else self.early_deaths + 1
        delay_s = restart_delay_s(self.early_deaths)
        if delay_s >= LET_GO_AFTER_S:
            self._sockets.close()
        return delay_s

    async def _wait(self, delay_s: float) -> None:
        self._start_now.clear()
        if self._stopping.is_set():
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._start_now.wait(), delay_s)


def _give(worker: WorkerProcess, number: int, result: object) -> None:
    answer = worker.answers.get(number)
    if answer is not None and not answer.done():
        answer.set_result(result)


def _worker_environment() -> dict[str, str]:
    """Ours without what is between the service manager and us."""
    private = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
    return {key: value for key, value in os.environ.items() if key not in private}
