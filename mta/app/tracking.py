"""Composition root of the process that monitors mailboxes, keeps records and tells other systems."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from mta import events
from mta.adapters.directory import open_directory
from mta.adapters.mailbox import open_reader
from mta.adapters.outgoing import open_account
from mta.adapters.records import open_sink
from mta.adapters.records.columns import PluggedColumns
from mta.adapters.store.sentitems import SqliteSentItemJobs
from mta.app.author_prover import ProverOnDemand
from mta.app.companion import NO_SUCH_REQUEST, run_companion
from mta.app.desks import MAILBOX_LOG, Directories, desks_of, directories_of
from mta.app.spool import open_tracking_store
from mta.config.authentication_schema import Dns
from mta.config.schema import Configuration
from mta.config.tracking_schema import MonitoredMailbox, set_aside_folder
from mta.events import Sink
from mta.log_sinks import forget_old_logs, sinks_from
from mta.model.reply import MailError
from mta.ports.author_prover import AuthorProver
from mta.ports.clock import SystemClock
from mta.ports.directory import Directory
from mta.ports.mailbox_reader import MailboxReader
from mta.ports.tracking_store import TrackingStore
from mta.relay.clock_watch import ClockWatch
from mta.tracking.desk import Desk
from mta.tracking.intake import take
from mta.tracking.monitor import Assignment, Monitors
from mta.tracking.notify import digests_due
from mta.tracking.record import overdue_work
from mta.tracking.sink.runner import TaskRunner
from mta.tracking.turns import MESSAGES, TASKS, Turns
from mta.tracking.writeback.mark_copies import MarkCopies

HOUSE_EVERY_S = 60.0
"""How late time-triggered rules and digests may be."""
FORGET_EVERY_S = 600.0
FORGET_AT_ONCE = 1000
TELL_EVERY_S = 0.5

Report = Mapping[str, Mapping[str, Any]]
"""By a mailbox's name, what `Monitor.report` says."""

_ByTime = Callable[[Desk, TrackingStore, datetime], Awaitable[int]]


@dataclass(slots=True)
class _Equipped:
    """What one configuration came to."""

    desks: Mapping[str, Desk]
    directories: Directories
    prover: AuthorProver | None = None
    dns: Dns | None = None
    """That the prover asks."""

    @property
    def closed_at_last(self) -> list[Directory | AuthorProver]:
        """What polls in hand may still go by."""
        directories = [directory for _, directory in self.directories.values()]
        return [*directories, *([self.prover] if self.prover is not None else [])]


class MailboxLogs:
    """A log of its own for each monitored mailbox; the same sinks for the same name and settings."""

    def __init__(self) -> None:
        self._configuration: Configuration | None = None
        self._open: dict[str, Sequence[Sink]] = {}

    def equip(self, configuration: Configuration) -> None:
        """`logs` can't change while we run."""
        self._configuration = configuration

    def __call__(self, name: str) -> Sequence[Sink]:
        assert self._configuration is not None
        if name not in self._open:
            self._open[name] = sinks_from(self._configuration.logs, MAILBOX_LOG.format(name=name))
        return self._open[name]

    def forget(self) -> None:
        """Old files of mailboxes that write no more; those that do see to their own."""
        if self._configuration is not None:
            logs = self._configuration.logs
            forget_old_logs(logs.folder, MAILBOX_LOG.format(name=""), keep_days=logs.keep_days)


class TrackingProcess:
    """What the supervisor asks of it is `app.companion.Life`."""

    def __init__(self, store: TrackingStore, configuration: Configuration) -> None:
        self._store = store
        self._clock = SystemClock()
        self._logs = MailboxLogs()
        self._turns = Turns(MESSAGES, TASKS)
        self._monitors = Monitors(
            store, take, partial(reader_of, configuration.spool.folder), self._clock, self._logs, self._turns
        )  # fmt: skip
        self._marks = MarkCopies(
            partial(SqliteSentItemJobs.open, configuration.spool.folder), PluggedColumns, self._clock
        )  # fmt: skip
        self._runner = TaskRunner(
            store, open_sink, partial(open_account, hostname=configuration.hostname), self._marks, self._clock,
            self._turns, ClockWatch(),
        )  # fmt: skip
        self._equipped = _Equipped({}, {})
        self._clock_watch = ClockWatch()
        self._drain_s = 0.0
        self._closing: set[asyncio.Task[None]] = set()
        self._house = asyncio.Lock()
        """Held while rules and digests go by what is equipped."""

    # --- its life -----------------------------------------------------------------------------------------------------

    async def serve(self, draining: asyncio.Event) -> None:
        await self._monitors.begin()
        lives = [asyncio.create_task(life) for life in (self._monitors.run(), self._runner.run(), self._keep_house())]
        for life in lives:
            life.add_done_callback(lambda task: draining.set())
        await draining.wait()
        left, undone = await asyncio.gather(
            self._monitors.drain(self._drain_s), self._runner.drain(self._drain_s)
        )  # fmt: skip
        lives[-1].cancel()
        ended = await asyncio.gather(*lives, return_exceptions=True)
        await self.close()
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome
        events.stopped("tracking", left=left + undone)

    async def close(self) -> None:
        """End connections, and let go of the store."""
        await self._monitors.close()
        await self._runner.close()
        await self._marks.close()
        await asyncio.gather(*self._closing, return_exceptions=True)
        for each in self._equipped.closed_at_last:
            await each.close()
        await self._store.close()

    async def equip(self, configuration: Configuration) -> None:
        """Raises ConfigurationError, OSError, KeyError where rules, templates, a directory or a key have become bad."""
        former = self._equipped
        # In a thread: large directories and many templates take their time.
        fresh = await asyncio.to_thread(_equipped, configuration, former)
        self._logs.equip(configuration)
        self._equipped = fresh
        self._drain_s = configuration.drain.total_seconds()
        in_hand = self._monitors.in_hand
        self._monitors.equip(assignments_of(configuration, fresh.desks))
        self._marks.equip(fresh.desks)
        self._runner.equip(fresh.desks)
        kept = {id(each) for each in fresh.closed_at_last}
        retired = [each for each in former.closed_at_last if id(each) not in kept]
        if retired:
            closing = asyncio.create_task(self._close_behind(in_hand, retired))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        gc.collect()

    async def _close_behind(
        self, in_hand: Sequence[asyncio.Task[None]], retired: Iterable[Directory | AuthorProver]
    ) -> None:
        """Polls end by what they began with."""
        if in_hand:
            await asyncio.wait(in_hand)
        async with self._house:
            for each in retired:
                await each.close()

    def wake(self) -> None:
        self._monitors.wake()
        self._runner.wake()

    # --- what is asked of it ------------------------------------------------------------------------------------------

    def report(self) -> Mapping[str, Any]:
        tasks = self._runner.report()
        return {**self._monitors.summary(), "tasks_in_hand": tasks["in_hand"], "tasks": tasks}

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """`mailboxes`: how each stands. `poll`: now, these `names`. `hold`: begin no poll of `name` for `for_s`.

        Polls are counted anew by each `process`. `try-tasks`: whatever their targets are left alone for.
        """
        match request.get("do"):
            case "mailboxes":
                return {"ok": True, "process": os.getpid(), "mailboxes": self._monitors.report()}
            case "poll":
                names = [name for name in request.get("names", ()) if name in self._monitors.names]
                return {"ok": True, "process": os.getpid(), "polls": self._monitors.ask(names)}
            case "hold":
                name = request.get("name")
                if name not in self._monitors.names:
                    return {"ok": True, "is_free": True}
                return {"ok": True, "is_free": self._monitors.hold(str(name), float(request.get("for_s", 0.0)))}
            case "try-tasks":
                self._runner.try_now()
                return {"ok": True}
        return NO_SUCH_REQUEST

    # --- beside the monitors ------------------------------------------------------------------------------------------

    async def _keep_house(self) -> None:
        """Each minute what time does to records, and digests; now and then what may be forgotten.

        While the clock is in doubt only digests: what it does to records and what it forgets could not be undone.
        """
        loop = asyncio.get_running_loop()
        forget_at_s = loop.time()
        while True:
            self._clock_watch.look()
            is_doubtful = self._clock_watch.is_in_doubt
            async with self._house:
                for desk in self._equipped.desks.values():
                    async with self._turns.of_task():
                        await self._by_time(desk, (digests_due,) if is_doubtful else (overdue_work, digests_due))
                if loop.time() >= forget_at_s and not is_doubtful:
                    is_more = await self._forget()
                    forget_at_s = loop.time() + (0.0 if is_more else FORGET_EVERY_S)
            await asyncio.sleep(HOUSE_EVERY_S)

    async def _by_time(self, desk: Desk, works: Iterable[_ByTime]) -> None:
        for work in works:
            try:
                if await work(desk, self._store, self._clock.now()):
                    self._runner.wake()
            except MailError:
                pass  # the monitors tell of a store that can't be used; it is done a minute later
            except Exception as exc:  # noqa: BLE001 - one organisation's rules are not to stop the others'
                events.own_fault(f"tracking {desk.name}", exc)

    async def _forget(self) -> bool:
        """Whether there is more."""
        keep = max((desk.settings.keep for desk in self._equipped.desks.values()), default=timedelta.max)
        if keep == timedelta.max:
            return False
        forgotten = 0
        with suppress(MailError):
            forgotten = await self._store.forget(self._clock.now() - keep, FORGET_AT_ONCE)
        if forgotten:
            events.tracking_forgotten(forgotten)
        await asyncio.to_thread(self._logs.forget)
        return forgotten >= FORGET_AT_ONCE


def _equipped(configuration: Configuration, former: _Equipped) -> _Equipped:
    directories = directories_of(configuration, former.directories, open_directory)
    is_known = former.prover is not None and former.dns == configuration.dns
    prover = former.prover if is_known else ProverOnDemand(configuration)
    return _Equipped(desks_of(configuration, directories, prover), directories, prover, configuration.dns)


def assignments_of(configuration: Configuration, desks: Mapping[str, Desk]) -> list[Assignment]:
    """The monitored mailboxes of all organisations."""
    return [
        Assignment(mailbox, desks[organisation.name])
        for organisation in configuration.every_organisation
        if organisation.tracking is not None
        for mailbox in organisation.tracking.mailboxes
    ]


def reader_of(spool: Path, settings: MonitoredMailbox) -> MailboxReader:
    """Raises OSError or KeyError where a secret or file can't be read."""
    return open_reader(settings, set_aside_folder=set_aside_folder(spool, settings.name))


async def begin_tracking(configuration: Configuration) -> TrackingProcess:
    """Raises StoreError, ConfigurationError, OSError, KeyError."""
    store = await open_tracking_store(configuration, works=True)
    process = TrackingProcess(store, configuration)
    await process.equip(configuration)
    return process


async def poll_here(configuration: Configuration, names: Collection[str], tell: Callable[[Report], None]) -> Report:
    """Poll these mailboxes in this process, where no tracking process runs, until nothing waits; how each one ended.

    `tell` is called now and then with how they stand. Raises StoreError where another process works on the store,
    ConfigurationError, OSError, KeyError.
    """
    store = await open_tracking_store(configuration, works=True)
    logs = MailboxLogs()
    logs.equip(configuration)
    monitors = Monitors(
        store, take, partial(reader_of, configuration.spool.folder), SystemClock(), logs, Turns(MESSAGES)
    )  # fmt: skip
    equipped = _Equipped({}, {})
    try:
        equipped = await asyncio.to_thread(_equipped, configuration, equipped)
        monitors.equip(each for each in assignments_of(configuration, equipped.desks) if each.settings.name in names)
        await monitors.begin()
        monitors.ask(names)
        while True:
            await monitors.look()
            report = monitors.report()
            tell(report)
            if all(is_polled(each, 0) for each in report.values()):
                return report
            if monitors.in_hand:
                await asyncio.wait(monitors.in_hand, timeout=TELL_EVERY_S)
            else:  # one is not due any more, or the store can't be read just now
                await asyncio.sleep(TELL_EVERY_S)
    finally:
        await monitors.drain(0.0)
        await monitors.close()
        for each in equipped.closed_at_last:
            await each.close()
        await store.close()


def is_polled(report: Mapping[str, Any], polls_before: int) -> bool:
    """Whether a mailbox was polled since so many polls of it had ended, until nothing waits or it failed."""
    progress = report["progress"]
    is_over = report["polls"] > polls_before and (progress is None or progress["is_over"])
    return is_over and (bool(report["failure"]) or progress is None or not progress["has_more"])


async def run_tracking(channel_fd: int) -> int:
    """The life of the process; returns its exit code. Raises what keeps it from beginning."""
    return await run_companion("tracking", channel_fd, begin_tracking)
