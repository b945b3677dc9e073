"""Erasing a person on SQLite: the port mta/ports/erasure.py, in the database of the spool.

The tables are gone through in pages, by the reader, and each thing that names the person is changed in a transaction of
its own or few, in which it is looked at again. So mail goes on, and what was broken off is gone on with by the same
call: it finds what is left.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from mta.adapters.store.access import Access
from mta.adapters.store.erasure_conversations import names_in_row, plan_conversation
from mta.adapters.store.erasure_loose import plan_answers, plan_bounces, plan_counts, plan_loose_entries, plan_said
from mta.adapters.store.erasure_plans import (
    CarryOut,
    Plan,
    Planning,
    is_in_body,
    kept_message,
    plan_job,
    plan_mailboxes,
    plan_task,
)
from mta.adapters.store.errors import StoreError, described
from mta.adapters.store.room import Room
from mta.adapters.store.statements import SQL
from mta.adapters.store.wiping import wipe
from mta.crash import crash_point
from mta.model.erasure import Erased, ErasedPerson, Kept, RecordsMode, Wiped
from mta.ports.clock import Clock, SystemClock
from mta.ports.erasure import Step

_PAGE = 500
_WITH_OCTETS = 50
"""Rows in one page, where each may have as many octets as stand in the database."""
_LARGE = ("erasure_messages", "erasure_answers", "erasure_contents")
_LOOKED_AT = 100
_TOGETHER = 20
"""Things that are changed by one commit, so that mail is not held up."""
_IN_CONVERSATIONS = ("participant", "tracked_entry", "record", "note", "attachment", "conversation_message")
_SAID = ("monitored_mailbox", "sent_endpoint", "frozen", "draining")

Row = Sequence[Any]


class SqliteErasure(Access):
    """The port `Erasure`; open it with `await SqliteErasure.open(...)`, end it with `close`."""

    @classmethod
    async def open(cls, folder: Path, *, clock: Clock | None = None) -> SqliteErasure:
        """Open the spool `folder`, beside a running service or not. Raises StoreError with a text for the
        administrator.
        """
        erasure = cls(folder, clock or SystemClock())
        try:
            await erasure._keeper.start(patient=False)
        except BaseException:
            await erasure.close()
            raise
        return erasure

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Use `open`."""
        super().__init__(folder, None, Room(folder, reserve=0, inline_up_to=0), clock, begin_anew=False)

    async def _start(self) -> None:
        """Nothing is leased."""

    async def survey(self, person: ErasedPerson, mode: RecordsMode, step: Step) -> Erased:
        return await _Walk(self, person, mode, step, changes=False).run()

    async def erase(self, person: ErasedPerson, mode: RecordsMode, step: Step) -> Erased:
        return await _Walk(self, person, mode, step, changes=True).run()

    async def wipe(self, *, anyhow: bool) -> Wiped:
        try:
            return await asyncio.to_thread(wipe, self._folder, anyhow=anyhow)
        except sqlite3.Error as error:
            text = (
                f"all is erased, but parts of it may stand in the database's files: {described(error)}; the same again"
            )
            raise StoreError(text) from error

    async def plans(self, plannings: Sequence[Planning]) -> list[Plan]:
        """What would be done as things stand."""
        return await self._look(lambda cursor: [planning(cursor) for planning in plannings])

    async def carry_out(self, plannings: Sequence[Planning]) -> Sequence[Plan]:
        """Plan once more and do it, in one commit."""
        done = await asyncio.gather(*(self._writer.submit(CarryOut(planning)) for planning in plannings))
        crash_point("erased-some")
        for plan in done:
            await self._discard(self._paths(plan.files))
        return done

    async def page(self, name: str, after: int | str, limit: int) -> Sequence[Row]:
        """The next rows of a named statement."""
        values = {"after": after, "limit": limit}
        return await self._look(lambda cursor: cursor.execute(SQL[name], values).fetchall())

    async def rows(self, name: str) -> Sequence[Row]:
        """All rows of one that has few."""
        return await self._look(lambda cursor: cursor.execute(SQL[name]).fetchall())

    async def names_in_octets(self, file: str | None, data: bytes | None, person: ErasedPerson) -> bool:
        """Whether a content holds one of his addresses, in the database or in a body file."""
        return await self._on_body_thread(is_in_body, person, data, file, self._bodies.folder)

    async def kept_messages(self, rows: Sequence[Row], person: ErasedPerson) -> list[Kept]:
        """From rows of `erasure_messages`."""
        folder = self._bodies.folder
        found = await asyncio.to_thread(lambda: [kept_message(row, person, folder) for row in rows])
        return [kept for kept in found if kept is not None]

    @property
    def bodies(self) -> Path:
        """Where body files are."""
        return self._bodies.folder

    @property
    def now(self) -> int:
        """Microseconds since 1970."""
        return self._now()


class _Walk:
    """Once through everything that the store keeps."""

    def __init__(
        self, store: SqliteErasure, person: ErasedPerson, mode: RecordsMode, step: Step, *, changes: bool
    ) -> None:  # fmt: skip
        self._store = store
        self._person = person
        self._mode = mode
        self._step = step
        self._changes = changes
        self._counts: Counter[str] = Counter()
        self._kept: list[Kept] = []
        self._gone: set[int] = set()

    async def run(self) -> Erased:
        """What is found by something else goes before that, else it would stay when we are broken off between the two:
        dead tasks before records, answers before entries."""
        await self._messages()
        await self._jobs()
        conversations = await self._conversations()
        await self._tasks(conversations)
        await self._records(conversations)
        await self._contents()
        async for rows in self._pages("erasure_answers"):
            await self._do([partial(plan_answers, rows=rows, person=self._person, folder=self._store.bodies)])
        await self._loose()
        await self._said()
        return Erased(dict(self._counts), tuple(self._kept))

    async def _pages(self, name: str, first: int | str = 0) -> AsyncIterator[Sequence[Row]]:
        """Pages of a statement; the first column is the place."""
        after, seen = first, 0
        limit = _WITH_OCTETS if name in _LARGE else _PAGE
        while rows := await self._store.page(name, after, limit):
            yield rows
            after, seen = rows[-1][0], seen + len(rows)
            self._step(name.removeprefix("erasure_").removeprefix("in_"), seen)

    async def _do(self, plannings: Iterable[Planning]) -> None:
        rest = iter(plannings)
        while some := list(islice(rest, _LOOKED_AT)):
            await self._do_some(some)

    async def _do_some(self, plannings: Sequence[Planning]) -> None:
        """Where nothing is to be changed, nothing is written."""
        plans = await self._store.plans(plannings)
        if self._changes:
            wanted = [planning for planning, plan in zip(plannings, plans, strict=True) if plan.statements]
            plans = [plan for plan in plans if not plan.statements]
            for start in range(0, len(wanted), _TOGETHER):
                plans += await self._store.carry_out(wanted[start : start + _TOGETHER])
        for plan in plans:
            self._counts += plan.counts
            self._kept += plan.kept
            self._gone.update(plan.gone)

    async def _messages(self) -> None:
        async for rows in self._pages("erasure_messages"):
            self._kept += await self._store.kept_messages(rows, self._person)

    async def _jobs(self) -> None:
        person, store = self._person, self._store
        async for rows in self._pages("erasure_jobs"):
            await self._do(partial(_job, number, person, store.now, store.bodies) for number, *_ in rows)
        async for rows in self._pages("erasure_sent_mailboxes", ""):
            await self._do([partial(plan_mailboxes, rows=rows, person=person)])

    async def _conversations(self) -> frozenset[int]:
        """Those that name him."""
        found: set[int] = set()
        for table in _IN_CONVERSATIONS:
            async for rows in self._pages(f"erasure_in_{table}"):
                found.update(row[1] for row in rows if row[1] is not None and names_in_row(table, row, self._person))
        return frozenset(found)

    async def _records(self, conversations: frozenset[int]) -> None:
        await self._do(
            partial(plan_conversation, conversation=each, person=self._person, mode=self._mode)
            for each in sorted(conversations)
        )

    async def _contents(self) -> None:
        """Files that others have sent and that name him: told of once for each record."""
        naming: dict[int, bool] = {}
        records: dict[str, None] = {}
        async for rows in self._pages("erasure_contents"):
            for number, octets, file, data, module, record in rows:
                if octets not in naming:
                    naming[octets] = await self._store.names_in_octets(file, data, self._person)
                if naming[octets] and number not in self._gone:
                    records[f"{module}-{record}"] = None
        why = "files that somebody else sent name this person"
        self._kept += [
            Kept("attachment", name, why, f"look at them: stampline records show {name}") for name in records
        ]

    async def _tasks(self, conversations: frozenset[int]) -> None:
        person, bodies = self._person, self._store.bodies
        async for rows in self._pages("erasure_tasks"):
            await self._do(partial(_task, number, person, conversations, bodies) for number, *_ in rows)

    async def _loose(self) -> None:
        for name, plan in (
            ("erasure_loose_entries", plan_loose_entries),
            ("erasure_bounces", plan_bounces),
            ("erasure_counts", plan_counts),
        ):
            async for rows in self._pages(name):
                await self._do([partial(plan, rows=rows, person=self._person)])

    async def _said(self) -> None:
        """What servers answered, and what administrators gave as a reason."""
        for table in _SAID:
            rows = await self._store.rows(f"erasure_said_{table}")
            await self._do([partial(plan_said, table=table, rows=rows, person=self._person)])


def _job(number: int, person: ErasedPerson, now: int, bodies: Path, cursor: sqlite3.Cursor) -> Plan:
    return plan_job(cursor, number, person, now, bodies)


def _task(number: int, person: ErasedPerson, his: frozenset[int], bodies: Path, cursor: sqlite3.Cursor) -> Plan:
    return plan_task(cursor, number, person, his, bodies)
