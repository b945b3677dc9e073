"""Organisations with sinks and accounts, the other side of these, and a store with tasks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.config.tracking_schema import OutgoingAccount, Sink, TrackingSettings
from mta.model.tracking import NewTask, Task, TaskFilter, TaskKind, TaskState
from mta.model.transaction import Opening, Transaction
from mta.ports.outgoing import MailAccount, OutgoingMail, Sent
from mta.ports.record_sink import RecordSink, SinkCall
from mta.ports.task_errors import TaskError
from mta.tracking.sink.runner import TaskRunner
from mta.tracking.sink.ways import WriteBack
from mta.tracking.turns import TASKS, Turns

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOTICE = b"From: Desk <desk@example.com>\r\nTo: jane@example.net\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"


@dataclass
class SetClock:
    """Stands still until it is set."""

    time: datetime = NOON

    def now(self) -> datetime:
        return self.time

    def go(self, **by: float) -> None:
        self.time += timedelta(**by)


@dataclass
class Leaps:
    """A clock watch that says what it is told."""

    is_in_doubt: bool = False
    leap: timedelta = timedelta(0)

    def look(self) -> timedelta:
        leap, self.leap = self.leap, timedelta(0)
        return leap


@dataclass(frozen=True, slots=True)
class Desk:
    name: str
    settings: TrackingSettings


def settings(**more: Any) -> TrackingSettings:
    """Two sinks and an account, and whatever else is said."""
    hook = {"kind": "webhook", "url": "https://desk.example.com/hook", "key": {"env": "KEY"}}
    account = {"name": "post", "kind": "smtp", "host": "mail.example.com", "senders": ["desk@example.com"]}
    base = {
        "keys": [{"env": "KEY"}],
        "modules": [{"name": "ticket"}],
        "rules": "rules",
        "allowed_senders": ["desk@example.com"],
        "sinks": [{**hook, "name": "desk"}, {**hook, "name": "other"}],
        "accounts": [account],
    }
    return TrackingSettings.model_validate({**base, **more})


@dataclass
class Other:
    """The other side of all sinks and accounts: does what it is told, or notes what it was asked."""

    calls: list[tuple[str, str]] = field(default_factory=list)
    """(name of the sink or account, key of the call or Message-ID's line)."""
    answers: dict[str, Callable[[], TaskError | Sent | None]] = field(default_factory=dict)
    """By the sink's name; else it is done."""
    opened: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None
    at_a_time: dict[str, int] = field(default_factory=dict)
    most_at_a_time: dict[str, int] = field(default_factory=dict)
    mails: list[OutgoingMail] = field(default_factory=list)

    def open_sink(self, sink: Sink) -> RecordSink:
        self.opened.append(sink.name)
        return _Side(self, sink.name)

    def open_account(self, account: OutgoingAccount) -> MailAccount:
        self.opened.append(account.name)
        return _Side(self, account.name)

    async def asked(self, name: str, what: str) -> Sent:
        now = self.at_a_time[name] = self.at_a_time.get(name, 0) + 1
        self.most_at_a_time[name] = max(now, self.most_at_a_time.get(name, 0))
        try:
            self.calls.append((name, what))
            if self.gate is not None:
                await self.gate.wait()
            answer = self.answers.get(name, lambda: None)()
            if isinstance(answer, TaskError):
                raise answer
            return answer or Sent()
        finally:
            self.at_a_time[name] -= 1


@dataclass
class _Side:
    other: Other
    name: str

    async def call(self, call: SinkCall) -> None:
        await self.other.asked(self.name, call.key)

    async def sign_in(self) -> str:
        return "here"

    async def send(self, mail: OutgoingMail) -> Sent:
        self.other.mails.append(mail)
        return await self.other.asked(self.name, mail.sender)

    async def close(self) -> None:
        self.other.closed.append(self.name)


@dataclass
class Bench:
    """A runner on a store of its own."""

    store: SqliteTrackingStore
    clock: SetClock
    other: Other
    leaps: Leaps
    runner: TaskRunner
    turns: Turns

    async def add(self, *tasks: NewTask) -> None:
        assert await self.store.add_tasks(tasks) == len(tasks)

    async def work(self, rounds: int = 1) -> None:
        """Look until nothing more is taken, so many times, and wait for what is in hand."""
        for _ in range(rounds):
            while await self.runner.look():
                await self.settled()
            await self.settled()

    async def settled(self) -> None:
        """Everything in hand has ended."""
        async with asyncio.timeout(60):
            while self.runner.report()["in_hand"]:
                await asyncio.sleep(0.001)

    async def tasks(self, **which: Any) -> Sequence[Task]:
        """Oldest first."""
        return tuple(reversed(await self.store.tasks(TaskFilter(**which), limit=20_000)))

    async def states(self) -> dict[str, tuple[TaskState, str]]:
        return {task.key: (task.state, task.reason) for task in await self.tasks()}

    async def transaction(self, message_id: str) -> Transaction:
        return await self.store.open_transaction(Opening("example", "ticket", message_id, self.clock.now()))


async def bench(folder: Path, tracking: TrackingSettings | None = None, write_back: WriteBack | None = None) -> Bench:
    """With one organisation, `example`."""
    clock, other, leaps, turns = SetClock(), Other(), Leaps(), Turns(TASKS)
    store = await SqliteTrackingStore.open(folder, works=True, clock=clock)
    runner = TaskRunner(store, other.open_sink, other.open_account, write_back, clock, turns, leaps)
    runner.equip([Desk("example", tracking or settings())])
    return Bench(store, clock, other, leaps, runner, turns)


def call(key: str, target: str = "desk", transaction: Transaction | None = None, due_at: datetime = NOON) -> NewTask:
    return NewTask(key, TaskKind.CALL, "example", target, b'{"event": "created"}', due_at, transaction)


def notice(key: str, *recipients: str, message: bytes = NOTICE, account: str = "post") -> NewTask:
    return NewTask(key, TaskKind.NOTICE, "example", account, message, NOON, recipients=recipients)
