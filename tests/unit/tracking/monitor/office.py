"""An organisation with monitored mailboxes: a server in memory that fails as it is told, a real store, real rules."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mta import events
from mta.adapters.store.tracking import SqliteTrackingStore
from mta.config.tracking_schema import MaildirMailbox, MonitoredMailbox, Pop3Mailbox, TrackingSettings
from mta.events import Level
from mta.message.letters import CannotWriteError, Letter
from mta.model.tracking import MailboxNotes
from mta.ports.mailbox import ItemGoneError, RefusedError
from mta.ports.mailbox_reader import WaitingMessage
from mta.tracking.desk import Desk
from mta.tracking.intake import take
from mta.tracking.monitor import Assignment, Monitors
from mta.tracking.monitor.poll import Take
from mta.tracking.notify import NoticeContext
from mta.tracking.people import KnownPeople
from mta.tracking.record import load_business_rules
from mta.tracking.turns import MESSAGES, Turns
from tests.unit.tracking.scene import KEY, MemoryDirectory

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
RULES = """\
rules:
  - name: everything-new
    when: {outcome: new}
    actions: [create, note]
"""


@dataclass
class Time:
    """A clock, and seconds that go with it; a leap of the clock leaves those alone."""

    time: datetime = NOON
    steady: float = 0.0

    def now(self) -> datetime:
        return self.time

    def steady_s(self) -> float:
        return self.steady

    def go(self, **by: float) -> None:
        self.time += timedelta(**by)
        self.steady += timedelta(**by).total_seconds()

    def leap(self, **by: float) -> None:
        self.time += timedelta(**by)


@dataclass
class Mailbox:
    """On a server. `faults`: a call's name → what it raises, for ever or as often as the list is long."""

    waiting: dict[str, bytes] = field(default_factory=dict)
    folders: dict[str, dict[str, bytes]] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    deleted: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, Exception | list[Exception | None]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    open_sessions: int = 0
    marks_read: bool = False
    puts_away_together: bool = False
    gate: asyncio.Event | None = None
    """Closed: a fetch waits for it."""

    def put(self, number: int, *, data: bytes | None = None) -> str:
        ref = f"u{number:05}"
        self.waiting[ref] = data if data is not None else message(number)
        return ref

    def fails(self, call: str) -> None:
        self.calls[call] += 1
        fault = self.faults.get(call)
        if isinstance(fault, list):
            fault = fault.pop(0) if fault else None
        if fault is not None:
            raise fault


def message(number: int, **fields: str) -> bytes:
    head = {
        "From": f"Jane <jane{number}@example.net>", "To": "help@example.com", "Subject": f"Printer {number}",
        "Message-ID": f"<m{number}@example.net>", "Date": "Sun, 22 Nov 2026 11:00:00 +0000", **fields,
    }  # fmt: skip
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items() if value)
    return lines.encode() + b"\r\nIt prints nothing.\r\n"


class Reader:
    """The port `MailboxReader`, for one mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def sign_in(self) -> str:
        self._mailbox.fails("sign_in")
        self._mailbox.open_sessions += 1
        return "a server in memory"

    async def folders(self) -> Sequence[str]:
        return list(self._mailbox.folders)

    async def waiting(self, limit: int) -> Sequence[WaitingMessage]:
        self._mailbox.fails("waiting")
        box = self._mailbox
        refs = [ref for ref in sorted(box.waiting) if ref not in box.read and ref not in box.deleted]
        return [WaitingMessage(ref, len(box.waiting[ref])) for ref in refs[:limit]]

    async def fetch(self, ref: str, largest: int) -> bytes:
        self._mailbox.fails("fetch")
        self._mailbox.fails(f"fetch {ref}")
        if self._mailbox.gate is not None:
            await self._mailbox.gate.wait()
        data = self._mailbox.waiting.get(ref)
        if data is None:
            raise ItemGoneError("gone")
        if len(data) > largest:
            raise RefusedError("too-large", "it is")
        return data

    async def mark_read(self, ref: str) -> None:
        self._mailbox.fails("mark_read")
        self._mailbox.read.add(ref)

    async def delete(self, ref: str) -> None:
        self._mailbox.fails("delete")
        if ref in self._mailbox.waiting:
            self._mailbox.deleted[ref] = self._mailbox.waiting[ref]

    async def move(self, ref: str, folder: str) -> None:
        self._mailbox.fails("move")
        self._mailbox.fails(f"move {folder}")
        if ref in self._mailbox.waiting:
            self._mailbox.folders.setdefault(folder, {})[ref] = self._mailbox.waiting.pop(ref)

    async def end_session(self, *, purge: bool) -> None:
        self._mailbox.fails("end_session")
        if purge:
            for ref in self._mailbox.deleted:
                self._mailbox.waiting.pop(ref, None)
        self._mailbox.deleted.clear()

    async def close(self) -> None:
        """A session that is broken off deletes nothing, as POP3 has it."""
        self._mailbox.calls["close"] += 1
        self._mailbox.deleted.clear()


class ReaderOfMany(Reader):
    """Of a server that puts many away at once. Adds the port `PutsAwayTogether`."""

    async def put_away(self, refs: Sequence[str], do: str, folder: str) -> None:
        self._mailbox.fails("put_away")
        for ref in refs:
            match do:
                case "mark-read":
                    await self.mark_read(ref)
                case "delete":
                    await self.delete(ref)
                case _:
                    await self.move(ref, folder)


class Log:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, level: Level, action: str, line: str, day: str) -> None:
        self.lines.append(line)

    def count(self, action: str) -> int:
        return sum(f" action={action}" in line for line in self.lines)

    def last(self, action: str) -> str:
        return [line for line in self.lines if f" action={action}" in line][-1]


def settings(name: str = "help", **more: Any) -> MonitoredMailbox:
    plain = {"name": name, "kind": "maildir", "address": f"{name}@example.com", "path": f"/var/mail/{name}"}
    return MaildirMailbox.model_validate({**plain, **more})


def pop3(name: str = "help") -> MonitoredMailbox:
    plain = {"name": name, "kind": "pop3", "address": f"{name}@example.com", "host": "pop.example.com"}
    return Pop3Mailbox.model_validate({**plain, "password": {"env": "NOT_SET"}})


@dataclass(frozen=True)
class Words:
    subject: str
    text: str
    html: str = ""
    pictures: tuple[()] = ()


def render(template: str, context: NoticeContext) -> Letter:
    if template != "known":
        raise CannotWriteError(f"no template {template}")
    mailbox = context.values["mailbox"]
    return Words(f"TEMPLATE {mailbox['name']}", f"It is {mailbox['reason']}")


@dataclass
class Office:
    """`monitors` are those of the running process; `restart` kills it and begins another."""

    folder: Path
    clock: Time
    tracking: TrackingSettings
    log: Log = field(default_factory=Log)
    mailbox_log: Log = field(default_factory=Log)
    mailboxes: dict[str, Mailbox] = field(default_factory=dict)
    desk: Desk | None = None
    store: SqliteTrackingStore | None = None
    monitors: Monitors | None = None
    turns: Turns = field(default_factory=Turns)
    take: Take = take
    unopened: dict[str, Exception] = field(default_factory=dict)

    @property
    def the_store(self) -> SqliteTrackingStore:
        assert self.store is not None
        return self.store

    @property
    def the_monitors(self) -> Monitors:
        assert self.monitors is not None
        return self.monitors

    async def start(self, *mailboxes: MonitoredMailbox) -> None:
        self.store = await SqliteTrackingStore.open(self.folder / "spool", works=True, reserve=0, clock=self.clock)
        rules = self.folder / "rules"
        if not rules.exists():
            rules.mkdir()
            (rules / "10.yaml").write_text(RULES)
        self.desk = Desk(
            "default", self.tracking, (KEY,), load_business_rules(rules, self.tracking),
            KnownPeople(MemoryDirectory(), self.tracking), frozenset({"example.com"}), frozenset(), "relay.example.com",
            render,
        )  # fmt: skip
        self.turns = Turns(MESSAGES)
        self.monitors = Monitors(
            self.store, lambda *given: self.take(*given), self._open, self.clock, lambda name: (self.mailbox_log,),
            self.turns, steady_s=self.clock.steady_s,
        )  # fmt: skip
        self.equip(*mailboxes)
        await self.monitors.begin()

    def equip(self, *mailboxes: MonitoredMailbox) -> None:
        assert self.desk is not None
        for each in mailboxes:
            self.mailboxes.setdefault(each.name, Mailbox())
        self.the_monitors.equip(Assignment(each, self.desk) for each in mailboxes)

    def _open(self, settings: MonitoredMailbox) -> Reader:
        if settings.name in self.unopened:
            raise self.unopened[settings.name]
        mailbox = self.mailboxes[settings.name]
        return ReaderOfMany(mailbox) if mailbox.puts_away_together else Reader(mailbox)

    async def look(self) -> None:
        """One look, and the polls that it began."""
        await self.the_monitors.look()
        await self.settled()

    async def settled(self) -> None:
        if tasks := self.the_monitors.in_hand:
            await asyncio.wait(tasks)

    async def looks(self, minutes: int) -> None:
        """One each minute."""
        for _ in range(minutes):
            await self.look()
            self.clock.go(minutes=1)

    async def until_nothing_waits(self) -> None:
        while any(each["next_poll"] for each in self.the_monitors.report().values()):
            before = [each["polls"] for each in self.the_monitors.report().values()]
            await self.look()
            if [each["polls"] for each in self.the_monitors.report().values()] == before:
                return

    async def crash(self) -> None:
        """As by SIGKILL: what is in hand is gone, nothing is noted."""
        for task in self.the_monitors.in_hand:
            task.cancel()
        await self.settled()
        await self.the_store.close()
        for mailbox in self.mailboxes.values():
            mailbox.deleted.clear()

    async def stop(self) -> None:
        if self.monitors is None:
            return
        await self.the_monitors.drain(5)
        await self.the_monitors.close()
        await self.the_store.close()

    async def notes(self, name: str = "help") -> MailboxNotes:
        return (await self.the_store.mailbox_notes()).get(name, MailboxNotes(name))

    async def taken(self) -> Counter[str]:
        """Message-IDs of entries, which the store has once or not at all."""
        return Counter(entry.message_id for entry in await self.the_store.entries(limit=10_000))


@asynccontextmanager
async def office(folder: Path, *mailboxes: MonitoredMailbox, **tracking: Any) -> AsyncIterator[Office]:
    plain = {"keys": [{"env": "NOT_READ"}], "modules": [{"name": "ticket"}], "rules": "rules"}
    place = Office(folder, Time(), TrackingSettings.model_validate({**plain, **tracking}))
    events.configure([place.log], level="debug")
    try:
        await place.start(*mailboxes)
        yield place
    finally:
        await place.stop()
        events.configure([])
