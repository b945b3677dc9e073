"""The supervisor: validates the configuration, holds the sockets, keeps the workers, passes orders on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mta import __version__, events
from mta.config.problems import ConfigurationError, Problem
from mta.config.schema import Configuration
from mta.control.server import AlreadyRunningError, ControlServer
from mta.model.bypass import Bypass
from mta.shared_counts import SharedCounts
from mta.supervise.bypass_file import read_bypass, write_bypass
from mta.supervise.channel import bypass_from_json, bypass_to_json, problem_to_json
from mta.supervise.companions import Companion, Companions
from mta.supervise.notify import Notifier
from mta.supervise.slot import Prepared, Slot
from mta.supervise.sockets import SlotSockets, free_ports

TICK_S = 1.0
OVERSLEPT_S = 5.0
"""A tick that comes so late: the machine was asleep, and the workers' silence is no sign of anything."""
PREPARE_MAX_S = 60.0
ASK_MAX_S = 30.0
"""How long a companion may take to answer the command line."""
CONFIRM_MAX_S = 5.0
"""So long is waited until orders are carried out; a process that is stuck carries them out when it goes on."""
AFTER_DRAIN_S = 5.0
"""Workers end their drain by themselves; this much later they are killed."""
HOPELESS_DEATHS = 4
"""If no worker has ever been ready when each has died so often, starting is given up."""

WORKER_COMMAND = (sys.executable, "-m", "mta", "_worker")

_NEEDS_RESTART = ("workers", "spool", "logs", "control")


class StartError(Exception):
    """No worker gets ready; the text says what to look at."""


@dataclass(frozen=True, slots=True)
class Validated:
    """A configuration that passed every check, with what the supervisor needs of it."""

    name: str
    """The snapshot's name: equal content, equal name, in every process."""
    configuration: Configuration
    rules: int
    templates: int


Validate = Callable[[Path], Validated]
"""Load and check everything. Raises ConfigurationError. Runs in a thread."""


class Supervisor:
    """One `stampline serve`: `run` returns when all workers have drained."""

    def __init__(
        self, config: Path, current: Validated, validate: Validate, *, workers: int | None = None,
        worker_command: Sequence[str] = WORKER_COMMAND, companions: Mapping[str, Companion] | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:  # fmt: skip
        """`companions`: what runs beside the workers, by name. They are given the configuration that is in use, have no
        say in whether it is taken, and whatever becomes of them, mail goes on."""
        self._config = config.absolute()
        self._current = current
        self._validate = validate
        self._worker_command = worker_command
        self._workers = workers or current.configuration.workers or len(os.sched_getaffinity(0))
        self._notifier = Notifier(environment)
        self._control = ControlServer(current.configuration.control.socket, self.answer)
        self._spool = current.configuration.spool.folder
        self._bypass = Bypass()
        self._slots: list[Slot] = []
        self._companions = Companions(companions or {}, self._companion)
        self._ports: dict[str, int] = {}
        self._counts = SharedCounts.create(self._workers)
        self._started_at = datetime.now(UTC)
        self._stop = asyncio.Event()
        self._up = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._last_reload: Mapping[str, Any] | None = None
        self._background: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises AlreadyRunningError, PortTakenError, OSError, or StartError if no worker ever gets ready.
        """
        self._control.lock()
        try:
            listeners = self._current.configuration.listeners
            self._ports = await asyncio.to_thread(free_ports, listeners)
            self._spool.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._bypass = read_bypass(self._spool)
            await self._control.start()
            self._handle_signals()
            events.started("supervisor", version=__version__, snapshot=self._current.name, pid=os.getpid())
            self._slots = [self._slot(index) for index in range(self._workers)]
            await self._supervise([asyncio.create_task(slot.keep_running()) for slot in self._slots])
        finally:
            await self._control.close()
            self._counts.close()

    def stop(self, reason: str) -> None:
        """Drain; said a second time: at once."""
        if self._stop.is_set():
            for slot in self._every_slot:
                slot.kill()
            return
        events.stopping("supervisor", reason=reason, in_hand=sum(s.worker is not None for s in self._slots))
        self._notifier.stopping()
        self._stop.set()

    async def reload(self) -> Mapping[str, Any]:
        """Read the configuration anew and have every worker use it: whole or not at all. The control socket's answer.

        Workers first prepare, and only if each has loaded the same they are told to use it.
        """
        async with self._reloading:
            if self._up.is_set():  # before, READY would come too early
                self._notifier.reloading()
            problems = await self._reload()
            if self._up.is_set():
                self._notifier.ready(self._status_line())
        if problems:
            events.reload_refused(str(problems[0]), problems=len(problems), kept=self._current.name)
        else:
            events.reloaded(self._current.name, rules=self._current.rules, templates=self._current.templates)
        self._last_reload = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "ok": not problems,
            "problems": len(problems),
        }
        return {
            "ok": not problems,
            "snapshot": self._current.name,
            "problems": [problem_to_json(problem) for problem in problems],
            **({"error": "the new configuration was refused, the old one goes on"} if problems else {}),
        }

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer one request of the control socket."""
        match request.get("do"):
            case "status":
                return {"ok": True, **self.status()}
            case "reload":
                return await self.reload()
            case "wake":
                self._tell_all({"do": "wake"})
                return {"ok": True}
            case "bypass":
                return await self._answer_bypass(request)
            case "ask":
                return await self._answer_of_companion(request)
        return {"ok": False, "error": "no such request"}

    def status(self) -> dict[str, Any]:
        """What `stampline status` shows, as JSON values."""
        now = asyncio.get_running_loop().time()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started_at": self._started_at.isoformat(timespec="seconds"),
            "snapshot": self._current.name,
            "config": str(self._config),
            "is_up": self._up.is_set(),
            "is_stopping": self._stop.is_set(),
            "bypass": bypass_to_json(self._bypass),
            "last_reload": self._last_reload,
            "listeners": [
                {"name": name, "address": listener.address, "port": self._ports[name], "role": listener.role}
                for name, listener in ((listener.name, listener) for listener in self._current.configuration.listeners)
            ],
            "workers": [_slot_status(slot, now) for slot in self._slots],
            "companions": {slot.component: _slot_status(slot, now) for slot in self._companions.slots},
        }

    @property
    def _every_slot(self) -> list[Slot]:
        return [*self._slots, *self._companions.slots]

    def _slot(self, index: int) -> Slot:
        sockets = SlotSockets(self._current.configuration.listeners, self._ports)
        return Slot(
            index, sockets, self._worker_command, self._config, self._hello, self._on_ready, counts=self._counts
        )  # fmt: skip

    def _hello(self) -> dict[str, Any]:
        return {"bypass": bypass_to_json(self._bypass)}

    def _configuration(self) -> dict[str, Any]:
        """What companions go by: what is in use, whatever the files have become since."""
        return {"configuration": self._current.configuration.model_dump(mode="json")}

    def _companion(self, name: str, command: Sequence[str]) -> Slot:
        def on_ready(slot: Slot) -> None:
            """Nobody waits for it."""

        sockets = SlotSockets((), {})
        return Slot(
            0, sockets, command, self._config, lambda: self._hello() | self._configuration(), on_ready, component=name
        )  # fmt: skip

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, signal.Signals(number).name)
        loop.add_signal_handler(signal.SIGHUP, self._soon, self.reload)

    def _soon(self, what: Callable[[], Coroutine[Any, Any, object]]) -> None:
        async def run() -> None:
            await what()

        task = asyncio.create_task(run())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _supervise(self, lives: Sequence[asyncio.Task[None]]) -> None:
        """Keep house until it is time to stop, then drain."""
        housekeeping = asyncio.create_task(self._keep_house())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([housekeeping, stopping, *lives], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for slot in self._every_slot:
                slot.stop()
            self._stop.set()
            await self._drain([*lives, *self._companions.lives])
            stopping.cancel()
            if not housekeeping.done():
                housekeeping.cancel()
        for task in (housekeeping, *lives):
            with suppress(asyncio.CancelledError):
                await task  # raises what went wrong
        events.stopped("supervisor", left=0)

    async def _drain(self, lives: Sequence[asyncio.Task[None]]) -> None:
        limit_s = self._current.configuration.drain.total_seconds() + AFTER_DRAIN_S
        _, late = await asyncio.wait(lives, timeout=limit_s)
        if late:
            for slot in self._every_slot:
                slot.kill()
            await asyncio.wait(late)

    async def _keep_house(self) -> None:
        """Once a second: hanging workers, bypass that ends, the manager's watchdog. Raises StartError."""
        loop = asyncio.get_running_loop()
        last_tick = last_word = loop.time()
        while True:
            await asyncio.sleep(TICK_S)
            now = loop.time()
            for slot in self._every_slot:
                if now - last_tick > OVERSLEPT_S:
                    slot.forgive_silence(now)
                slot.check_alive(now)
            last_tick = now
            with suppress(OSError, AlreadyRunningError):  # tried again with the next tick
                await self._control.keep()
            if self._bypass.on and not self._bypass.is_on(datetime.now(UTC)):
                with suppress(OSError):  # what stands on disk ends by itself as well
                    self._set_bypass(Bypass())
            if self._notifier.watchdog_s is not None and now - last_word >= self._notifier.watchdog_s - TICK_S:
                self._notifier.alive()
                last_word = now
            if not self._up.is_set() and all(slot.early_deaths >= HOPELESS_DEATHS for slot in self._slots):
                raise StartError("no worker gets ready: see the worker's log and standard error")

    def _on_ready(self, slot: Slot) -> None:
        if not self._up.is_set() and all(s.worker is not None and s.worker.is_ready for s in self._slots):
            self._up.set()
            self._notifier.ready(self._status_line())
            self._companions.attend(self._current.configuration)
        if slot.worker is not None and slot.worker.snapshot != self._current.name:
            self._soon(lambda: self._unite(slot))

    async def _unite(self, slot: Slot) -> None:
        """A worker was restarted and read files that were changed since the last reload: all are to go by the same."""
        async with self._reloading:
            pass  # a reload that is under way may have it settled
        if slot.worker is not None and slot.worker.snapshot != self._current.name:
            await self.reload()

    def _status_line(self) -> str:
        return f"{len(self._slots)} workers, snapshot {self._current.name}"

    async def _reload(self) -> Sequence[Problem]:
        try:
            fresh = await asyncio.to_thread(self._validate, self._config)
        except ConfigurationError as exc:
            return exc.problems
        except Exception as exc:  # noqa: BLE001 - the process's edge: the old configuration must go on
            events.internal_error("reload", error=repr(exc), traceback=traceback.format_exc())
            return [Problem(self._config, 0, 0, f"loading it failed: {type(exc).__name__}", "the log has the details")]
        problems = self._unchangeable(fresh.configuration)
        if problems:
            return problems
        problems = await self._prepare_all(fresh)
        if problems:
            return problems
        for slot in self._slots:
            _commit(slot, fresh.name)
            slot.start_now()  # what waits after many deaths may have died of the old configuration
        self._current = fresh
        for companion in self._companions.slots:
            companion.say({"do": "commit", **self._configuration()})
            companion.start_now()
        await self._confirmed()
        if self._up.is_set() and not self._stop.is_set():
            self._companions.attend(fresh.configuration)
        return []

    def _unchangeable(self, fresh: Configuration) -> list[Problem]:
        running = self._current.configuration
        keys = [key for key in _NEEDS_RESTART if getattr(fresh, key) != getattr(running, key)]
        if _places(fresh) != _places(running):
            keys.append("listeners: name, address and port")
        mend = "restart the service, or undo it"
        return [Problem(self._config, 0, 0, f"can't be changed while running: {key}", mend) for key in keys]

    async def _prepare_all(self, fresh: Validated) -> list[Problem]:
        try:
            async with asyncio.timeout(PREPARE_MAX_S):
                answers = await asyncio.gather(*(slot.prepare() for slot in self._slots))
        except TimeoutError:
            return [Problem(self._config, 0, 0, "a worker takes too long to load it", "try again, or restart")]
        return _disagreements(self._config, fresh.name, [answer for answer in answers if answer is not None])

    async def _answer_of_companion(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        slot = self._companions.of(str(request.get("companion")))
        inner = request.get("request")
        if not isinstance(inner, dict):
            return {"ok": False, "error": "no such request"}
        answer: Mapping[str, Any] | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(ASK_MAX_S):
                answer = await slot.ask(inner) if slot is not None else None
        return answer if answer is not None else {"ok": False, "error": "that process does not run", "runs": False}

    async def _answer_bypass(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if "bypass" in request:
            try:
                wanted = bypass_from_json(request["bypass"])
            except (KeyError, TypeError, ValueError) as exc:
                return {"ok": False, "error": f"not a bypass: {exc}"}
            since = self._bypass.since or datetime.now(UTC).replace(microsecond=0) if wanted.on else None
            try:
                self._set_bypass(replace(wanted, since=since))
            except OSError as exc:
                return {"ok": False, "error": f"it works, but a restart will forget it: {exc}"}
            await self._confirmed()
        return {"ok": True, "bypass": bypass_to_json(self._bypass)}

    def _set_bypass(self, bypass: Bypass) -> None:
        """Tell the workers first: in trouble the switch must work even where the disk is full."""
        self._bypass = bypass
        self._tell_all({"do": "bypass", "bypass": bypass_to_json(bypass)})
        events.bypass_changed(bypass.on, until=bypass.until.isoformat() if bypass.until else "")
        write_bypass(self._spool, bypass)

    async def _confirmed(self) -> None:
        """Until whoever serves goes by what was ordered: what comes from now on is treated so."""
        serving = [slot for slot in self._every_slot if slot.worker is not None and slot.worker.is_ready]
        with suppress(TimeoutError):
            async with asyncio.timeout(CONFIRM_MAX_S):
                await asyncio.gather(*(slot.confirm() for slot in serving))

    def _tell_all(self, order: Mapping[str, Any]) -> None:
        for slot in self._every_slot:
            slot.say(order)


def _places(configuration: Configuration) -> list[tuple[str, str, int]]:
    """Where it listens; everything else of a listener may change while running."""
    return [(listener.name, listener.address, listener.port) for listener in configuration.listeners]


def _commit(slot: Slot, snapshot: str) -> None:
    slot.say({"do": "commit"})
    if slot.worker is not None:
        slot.worker.snapshot = snapshot


def _disagreements(config: Path, name: str, answers: Sequence[Prepared]) -> list[Problem]:
    for answer in answers:
        if answer.problems:
            return list(answer.problems)
    if any(answer.snapshot != name for answer in answers):
        return [Problem(config, 0, 0, "the files changed while they were read", "reload again")]
    return []


def _slot_status(slot: Slot, now: float) -> dict[str, Any]:
    worker = slot.worker
    if worker is None:
        return {
            "slot": slot.index, "state": "waiting", "deaths": slot.deaths, "early_deaths": slot.early_deaths,
        }  # fmt: skip
    return {
        "slot": slot.index,
        "state": "ready" if worker.is_ready else "starting",
        "pid": worker.process.pid,
        "snapshot": worker.snapshot,
        "up_s": round(now - worker.started_at, 1),
        "silent_s": round(now - worker.last_beat_at, 1),
        "deaths": slot.deaths,
        "early_deaths": slot.early_deaths,
        "report": dict(worker.report),
    }
