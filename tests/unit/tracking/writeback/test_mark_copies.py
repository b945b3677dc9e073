"""Write-backs of the tracking process become jobs in mailboxes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from mta.adapters.store.sentitems import SqliteSentItemJobs
from mta.config.tracking_schema import People, WriteBack
from mta.model import task_reasons as reasons
from mta.model.sentitem import JobFilter, JobState
from mta.model.tracking import Task, TaskKind, TaskState
from mta.model.transaction import Transaction
from mta.model.writeback import ColumnValue, FiledMark
from mta.ports.clock import SystemClock
from mta.ports.sentitem_jobs import SentItemJobs
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TaskError, TryAgainError
from mta.tracking.desk import Desk
from mta.tracking.writeback.mark_copies import MarkCopies

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
TOLD: Mapping[str, Any] = {
    "version": 1,
    "message_id": "<one@example.com>",
    "mailbox": "jane@example.com",
    "category": "Transferred",
    "link": "https://desk.example.com/ticket/000007",
    "link_text": "",
    "record": {"number": 7, "fields": {}},
}


class Columns:
    """A plug-in that gives these, or fails."""

    def __init__(self, given: Mapping[str, ColumnValue] | TaskError) -> None:
        self.given = given
        self.has_ended = False

    def end(self) -> None:
        self.has_ended = True

    async def of(self, record: Mapping[str, Any]) -> Mapping[str, ColumnValue]:
        if isinstance(self.given, TaskError):
            raise self.given
        return {**self.given, "Number": record["number"]}


def task(told: Mapping[str, Any] = TOLD, *, attempts: int = 0) -> Task:
    return Task(
        number=1, key="k", kind=TaskKind.WRITE_BACK, organisation="example", target="jane@example.com",
        payload=json.dumps(told).encode(), state=TaskState.WAITING, created_at=NOW, due_at=NOW, attempts=attempts,
        reason="", detail="", transaction=Transaction("example", "ticket", 7, "abcdefgh"),
    )  # fmt: skip


class Marking:
    """The jobs of a spool of its own, and who makes them."""

    def __init__(self, folder: Path, columns: Columns | LookupError | None = None) -> None:
        self.folder = folder
        self.columns = columns
        self.marks = MarkCopies(self._open, self._plugin, SystemClock())
        self.jobs: SentItemJobs | None = None
        self.opened = 0

    async def _open(self) -> SentItemJobs:
        self.opened += 1
        self.jobs = await SqliteSentItemJobs.open(self.folder, works=True)
        return self.jobs

    def _plugin(self, name: str, settings: Mapping[str, Any]) -> Columns:
        assert (name, dict(settings)) == ("desk-columns", {"of": "desk"})
        if isinstance(self.columns, LookupError) or self.columns is None:
            raise self.columns or AssertionError
        return self.columns

    def equip(self, *, columns: str = "") -> None:
        back = WriteBack(audience=People(), columns=columns, columns_settings={"of": "desk"} if columns else {})
        settings = type("Settings", (), {"write_back": back})()
        self.marks.equip({"example": cast("Desk", type("OfDesk", (), {"settings": settings})())})

    async def made(self) -> list[FiledMark]:
        assert self.jobs is not None
        return [job.mark for job in await self.jobs.entries(JobFilter(state=JobState.WAITING)) if job.mark is not None]


@pytest.fixture
async def marking(tmp_path: Path) -> AsyncIterator[Marking]:
    made = Marking(tmp_path / "spool")
    made.equip()
    yield made
    await made.marks.close()


async def test_a_task_becomes_one_job_however_often_it_is_carried_out(marking: Marking) -> None:
    await marking.marks(task())
    await marking.marks(task())
    assert await marking.made() == [
        FiledMark("Transferred", "https://desk.example.com/ticket/000007", "", {}, "ticket-7")
    ]


async def test_tasks_that_come_together_open_the_store_once(marking: Marking) -> None:
    people = [f"person{number}@example.com" for number in range(4)]
    await asyncio.gather(*(marking.marks(task({**TOLD, "mailbox": person})) for person in people))
    assert len(await marking.made()) == len(people)
    assert marking.opened == 1


async def test_a_later_mark_of_the_same_record_takes_its_place(marking: Marking) -> None:
    await marking.marks(task())
    await marking.marks(task({**TOLD, "category": "Closed"}))
    assert [mark.category for mark in await marking.made()] == ["Closed"]


async def test_columns_are_the_plug_in_s(marking: Marking) -> None:
    marking.columns = Columns({"State": "open"})
    marking.equip(columns="desk-columns")
    await marking.marks(task())
    assert [mark.columns for mark in await marking.made()] == [{"State": "open", "Number": 7}]


async def test_another_configuration_lets_go_of_the_plug_in(marking: Marking) -> None:
    marking.columns = first = Columns({})
    marking.equip(columns="desk-columns")
    await marking.marks(task())
    marking.equip(columns="desk-columns")
    assert not first.has_ended
    marking.equip()
    assert first.has_ended


async def test_without_its_plug_in_a_mark_waits_and_then_goes_without_columns(marking: Marking) -> None:
    marking.columns = Columns(TryAgainError(reasons.PLUGIN_FAILED))
    marking.equip(columns="desk-columns")
    with pytest.raises(TryAgainError):
        await marking.marks(task())
    await marking.marks(task(attempts=3))
    assert [mark.columns for mark in await marking.made()] == [{}]


async def test_a_plug_in_that_refuses_keeps_nothing_back(marking: Marking) -> None:
    marking.columns = Columns(RefusedTaskError(reasons.REFUSED))
    marking.equip(columns="desk-columns")
    await marking.marks(task())
    assert len(await marking.made()) == 1


async def test_a_plug_in_that_is_not_installed_is_told_of(marking: Marking) -> None:
    marking.columns = LookupError("no entry point desk-columns")
    marking.equip(columns="desk-columns")
    with pytest.raises(TargetDownError, match="no entry point desk-columns"):
        await marking.marks(task())


async def test_an_organisation_without_write_back_waits(marking: Marking) -> None:
    marking.marks.equip({})
    with pytest.raises(TargetDownError, match="no write_back"):
        await marking.marks(task())


@pytest.mark.parametrize("payload", [{}, {"version": 9}, []])
async def test_what_another_version_wrote_is_refused(marking: Marking, payload: Any) -> None:
    with pytest.raises(RefusedTaskError):
        await marking.marks(task(payload))
