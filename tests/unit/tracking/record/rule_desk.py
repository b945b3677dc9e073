"""A desk with business rules at a real store: messages go in, records, notes and tasks are looked at."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.config.tracking_schema import TrackingSettings
from mta.message.letters import CannotWriteError, Letter
from mta.model.person import Person
from mta.model.record import Note, Record, RecordFilter
from mta.model.tracking import Entry, Task, TaskFilter, TaskKind
from mta.ports.clock import SystemClock
from mta.tracking.desk import Desk
from mta.tracking.intake import Taken, take
from mta.tracking.notify import NoticeContext
from mta.tracking.notify.words import PlainLetter
from mta.tracking.people import KnownPeople
from mta.tracking.record import load_business_rules, overdue_work
from tests.unit.tracking.scene import AGENT, DOMAIN, KEY, NOW, SUPPORT, MemoryDirectory, desk_settings

JANE = Person(AGENT, attributes={"displayName": "Jane Doe"}, groups=frozenset({"helpdesk"}))
ACCOUNT = {"kind": "smtp", "name": "desk", "host": "127.0.0.1", "senders": [SUPPORT]}
DESK_RULES = Path(__file__).parents[4] / "rules" / "tracking"


def rule_settings(**changes: Any) -> TrackingSettings:
    modules = [
        {
            "name": "ticket", "owner": AGENT, "staff_url": "https://desk.example.com/{module}/{id}",
            "self_service_url": "https://help.example.com/{module}/{number}",
        },
        {"name": "case", "label": "Case", "subject_token": ""},
    ]  # fmt: skip
    wanted = {"modules": modules, "accounts": [ACCOUNT], "technicians": {"groups": ["Helpdesk"]}, **changes}
    return desk_settings(**wanted)


def write_rules(folder: Path, text: str, name: str = "10-test.yaml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


class Templates:
    """Stands for the organisation's templates: by name, the text with `{record.title}` and the like filled in."""

    def __init__(self, **texts: str) -> None:
        self.texts = texts
        self.seen: list[NoticeContext] = []

    def __call__(self, template: str, context: NoticeContext) -> Letter:
        self.seen.append(context)
        if template not in self.texts:
            raise CannotWriteError(f"no template {template}")
        text = self.texts[template]
        for name, values in context.values.items():
            for key, value in values.items():
                text = text.replace(f"{{{name}.{key}}}", str(value))
        return PlainLetter("", text)


@dataclass
class RuleDesk:
    desk: Desk
    store: SqliteTrackingStore
    directory: MemoryDirectory
    now: datetime = NOW

    async def take(self, data: bytes) -> Taken:
        return await take(data, self.desk.settings.mailboxes[0], self.desk, self.store, self.now)

    async def by_time(self, later: timedelta = timedelta()) -> int:
        self.now += later
        return await overdue_work(self.desk, self.store, self.now)

    async def records(self) -> list[Record]:
        which = RecordFilter(organisation=self.desk.name, with_deleted=True)
        return [record for _, record in await self.store.records(which)]

    async def record(self) -> Record:
        (record,) = await self.records()
        return record

    async def notes(self) -> Sequence[Note]:
        return await self.store.notes((await self.record()).transaction)

    async def tasks(self, kind: TaskKind = TaskKind.NOTICE) -> list[Task]:
        """Oldest first, with payload."""
        listed = await self.store.tasks(TaskFilter(organisation=self.desk.name, kind=kind))
        tasks = [await self.store.task(each.number) for each in reversed(listed)]
        return [task for task in tasks if task is not None]

    async def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(task.payload, policy=policy.default) for task in await self.tasks()]

    async def calls(self) -> list[Mapping[str, Any]]:
        return [json.loads(task.payload) for task in await self.tasks(TaskKind.CALL)]

    async def entry(self, key: str) -> Entry:
        entry = await self.store.entry(self.desk.name, key)
        assert entry is not None
        return entry

    def equip(self, **changes: Any) -> None:
        self.desk = replace(self.desk, **changes)


@asynccontextmanager
async def rule_desk(
    folder: Path,
    rules: str | Path,
    *,
    people: Iterable[Person] = (JANE,),
    templates: Templates | None = None,
    **settings: Any,
) -> AsyncIterator[RuleDesk]:
    """`rules`: a folder of them, or the text of one file."""
    made = rule_settings(**settings)
    where = rules if isinstance(rules, Path) else write_rules(folder / "rules", rules)
    directory = MemoryDirectory(people)
    store = await SqliteTrackingStore.open(folder / "store", works=True, patient=False, clock=SystemClock())
    desk = Desk(
        "Example", made, (KEY,), load_business_rules(where, made), KnownPeople(directory, made), frozenset({DOMAIN}),
        frozenset({f"mx.{DOMAIN}"}), DOMAIN, templates or Templates(),
    )  # fmt: skip
    try:
        yield RuleDesk(desk, store, directory)
    finally:
        await store.close()
