"""Write-backs become jobs: one for each mailbox and message, in the queue of the Sent Items jobs.

These are worked on by the process that writes to mailboxes, with its servers, leases, back-off and guards.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from mta import events
from mta.config.tracking_schema import WriteBack
from mta.model import task_reasons as reasons
from mta.model.tracking import Task
from mta.model.writeback import ColumnValue, FiledMark, NewMark
from mta.ports.clock import Clock
from mta.ports.sentitem_jobs import SentItemJobs
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TaskError
from mta.tracking.desk import Desk

WITHOUT_COLUMNS_AFTER = 3
"""Attempts in which a plug-in gave no columns: the rest of the mark doesn't wait for it any longer."""


class Columns(Protocol):
    """What computes columns from a record's JSON."""

    async def of(self, record: Mapping[str, Any]) -> Mapping[str, ColumnValue]:
        """Raises TaskError."""
        ...

    def end(self) -> None:
        """Nobody asks any more; what was asked before still gets its answer."""
        ...


OpenColumns = Callable[[str, Mapping[str, Any]], Columns]
"""By the name of an entry point, with its settings. Raises LookupError and whatever the plug-in raises."""


class MarkCopies:
    """Carries out tasks of the kind WRITE_BACK; `equip` takes over another configuration."""

    def __init__(
        self, open_jobs: Callable[[], Awaitable[SentItemJobs]], open_columns: OpenColumns, clock: Clock
    ) -> None:
        self._open_jobs = open_jobs
        self._open_columns = open_columns
        self._clock = clock
        self._opening = asyncio.Lock()
        self._jobs: SentItemJobs | None = None
        self._settings: dict[str, WriteBack] = {}
        self._columns: dict[str, Columns] = {}
        """By organisation; made when they are first needed."""

    def equip(self, desks: Mapping[str, Desk]) -> None:
        """Go by these from now on."""
        fresh = {name: desk.settings.write_back for name, desk in desks.items() if desk.settings.write_back is not None}
        for name in [name for name in self._columns if fresh.get(name) != self._settings.get(name)]:
            self._columns.pop(name).end()
        self._settings = fresh

    async def __call__(self, task: Task) -> None:
        """Raises TaskError, TemporaryError."""
        settings = self._settings.get(task.organisation)
        if settings is None:
            raise TargetDownError(reasons.NOT_CONFIGURED, "the organisation has no write_back")
        told = _told(task)
        columns = await self._columns_of(task, settings, told["record"])
        record = str(task.transaction) if task.transaction is not None else ""
        mark = FiledMark(told["category"], told["link"], told["link_text"], columns, record)
        now = self._clock.now()
        async with self._opening:  # several tasks are at it at a time
            if self._jobs is None:
                self._jobs = await self._open_jobs()
        await self._jobs.add_marks([NewMark(told["mailbox"], task.organisation, told["message_id"], mark, now, now)])

    async def close(self) -> None:
        """Let go of the store and of plug-ins."""
        for columns in self._columns.values():
            columns.end()
        if self._jobs is not None:
            await self._jobs.close()

    async def _columns_of(
        self, task: Task, settings: WriteBack, record: Mapping[str, Any]
    ) -> Mapping[str, ColumnValue]:  # fmt: skip
        if not settings.columns:
            return {}
        try:
            return await self._plugin(task.organisation, settings).of(record)
        except TaskError as exc:
            if not isinstance(exc, RefusedTaskError) and task.attempts < WITHOUT_COLUMNS_AFTER:
                raise
            events.mark_without_columns(
                str(task.transaction), mailbox=task.target, plugin=settings.columns, reason=exc.reason
            )
            return {}

    def _plugin(self, organisation: str, settings: WriteBack) -> Columns:
        if organisation not in self._columns:
            try:
                self._columns[organisation] = self._open_columns(settings.columns, settings.columns_settings)
            except Exception as exc:
                text = str(exc) if isinstance(exc, LookupError) else type(exc).__name__
                raise TargetDownError(reasons.NOT_OPENED, text) from exc
        return self._columns[organisation]


def _told(task: Task) -> Mapping[str, Any]:
    """See `mta.tracking.record.payload.mark_payload`. Raises RefusedTaskError for one that another version wrote."""
    try:
        told = json.loads(task.payload)
        return {name: told[name] for name in ("message_id", "mailbox", "category", "link", "link_text", "record")}
    except (ValueError, KeyError, TypeError) as exc:
        raise RefusedTaskError(reasons.INTERNAL_ERROR, "another version wrote it") from exc
