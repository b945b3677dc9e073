"""What the writer carries out for Sent Items: jobs made with a settlement, leased, settled, skipped, forgotten."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mta.adapters.store.rows import microseconds, storable
from mta.adapters.store.sent_rows import CopyRows, as_json, endpoint_row, mailbox_row
from mta.adapters.store.statements import SQL, json_answer, json_list
from mta.adapters.store.writer import Operation
from mta.model.sentitem import JobOutcome, JobState
from mta.ports.spool import LeaseLostError

CHUNK = 200
"""Jobs that one transaction changes, so that many are worked without holding up mail."""

COPIES_MAX = 200
"""Of one job; those that come after are not kept."""


def make_jobs(cursor: sqlite3.Cursor, sent: Sequence[tuple[int, str, CopyRows]]) -> None:
    """Make jobs for copies, or let these join them: (message's number, queue id, copy) of each."""
    jobs = {str(job[0]): job for _, _, rows in sent for job in rows.jobs}
    copies = [
        (job, queue_id, rows.group, message, *rows.copy) for message, queue_id, rows in sent for job in rows.job_ids
    ]
    cursor.execute(SQL["make_jobs"], (json_list(jobs.values()),))
    cursor.execute(SQL["add_copies"], {"copies": json_list(copies), "copies_max": COPIES_MAX})
    cursor.execute(SQL["reopen_jobs"], {"jobs": json_list((name, job[-1]) for name, job in jobs.items())})


@dataclass(frozen=True, slots=True)
class LeaseJobs(Operation[tuple[int, ...]]):
    """Lease these jobs, as far as they are still due; gives the numbers of those leased."""

    which: tuple[int, ...]
    now: int
    until: int
    owner: str

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[LeaseJobs]) -> Sequence[tuple[int, ...]]:
        outcomes = []
        for op in batch:
            values = {"which": json_list(op.which), "now": op.now, "until": op.until, "owner": op.owner}
            outcomes.append(tuple(number for (number,) in cursor.execute(SQL["lease_jobs"], values).fetchall()))
        return outcomes


@dataclass(frozen=True, slots=True)
class JobSettled:
    """What a job's state is now, and the body files that nobody needs any more."""

    state: JobState
    files: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SettleJob(Operation[JobSettled]):
    """Write down what became of a leased job."""

    crash_before: ClassVar[str] = "before-job-settle"
    crash_after: ClassVar[str] = "after-job-settle"
    outcome: JobOutcome
    now: int
    owner: str

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[SettleJob]) -> Sequence[JobSettled | Exception]:
        names = json_list(op.outcome.job.id for op in batch)
        leased = {name: row for *row, name in cursor.execute(SQL["leased_jobs"], (names, batch[0].owner)).fetchall()}
        copies = _copies(cursor, [number for number, *_ in leased.values()])
        outcomes: list[JobSettled | Exception] = []
        for op in batch:
            row = leased.pop(op.outcome.job.id, None)
            if row is None:
                outcomes.append(LeaseLostError(op.outcome.job.id))
            else:
                outcomes.append(op._write(cursor, row, copies.get(row[0], frozenset())))
        return outcomes

    def _write(self, cursor: sqlite3.Cursor, row: Sequence[Any], copies: frozenset[_CopyKey]) -> JobSettled:
        number, attempts, reason, mark = row
        outcome = self.outcome
        has_more = not copies <= {(copy.queue_id, copy.group, copy.external) for copy in outcome.job.copies}
        has_more = has_more or (None if mark is None else json.loads(mark)) != as_json(outcome.job.mark)
        state = JobState.WAITING if has_more else outcome.state
        due_at = self.now if has_more or outcome.due_at is None else microseconds(outcome.due_at)
        settled = {
            "number": number,
            "state": state.value,
            "due_at": None if state.is_final else due_at,
            "ended_at": self.now if state.is_final else None,
            "attempts": attempts + 1 if outcome.reason == reason else 1,
            "reason": outcome.reason,
            "detail": storable(outcome.detail),
            "endpoint": outcome.endpoint,
            "placed": outcome.placed,
        }
        lets_go = state in (JobState.DONE, JobState.SKIPPED)
        files = _files(cursor, [number]) if lets_go else frozenset()
        cursor.execute(SQL["settle_job"], settled)
        if outcome.mailbox_notes is not None:
            cursor.execute(SQL["note_mailbox"], mailbox_row(outcome.mailbox_notes))
        if outcome.endpoint_notes is not None:
            cursor.execute(SQL["note_endpoint"], endpoint_row(outcome.endpoint_notes))
        return JobSettled(state, _unnamed(cursor, files))


_CopyKey = tuple[str, int, bool]
"""Queue id, group, whether it went outside."""


def _copies(cursor: sqlite3.Cursor, jobs: Iterable[int]) -> Mapping[int, frozenset[_CopyKey]]:
    found: dict[int, set[_CopyKey]] = {}
    for job, queue_id, group, external in cursor.execute(SQL["copies_of"], (json_list(jobs),)).fetchall():
        found.setdefault(job, set()).add((queue_id, group, bool(external)))
    return {job: frozenset(keys) for job, keys in found.items()}


def _files(cursor: sqlite3.Cursor, jobs: Iterable[int]) -> frozenset[str]:
    """Body files that the jobs need."""
    return frozenset(file for (file,) in cursor.execute(SQL["files_of_jobs"], (json_list(jobs),)).fetchall())


def _unnamed(cursor: sqlite3.Cursor, files: frozenset[str]) -> frozenset[str]:
    return files.difference(json_answer(cursor, "named_files", (json_list(files),))) if files else files


@dataclass(frozen=True, slots=True)
class JobsChanged:
    """What one transaction did: how many jobs it found, the last of them, the body files that nobody needs now."""

    found: int
    last: int
    files: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ChangeJobs(Operation[JobsChanged]):
    """Skip or try again the next matching jobs, those after `after`.

    The filter is judged inside the transaction, so that nothing is touched that has changed since somebody looked.
    """

    find: str
    """The whole statement that finds them."""
    values: dict[str, object]
    change: str
    """Name of the statement that changes them; its last parameter is a list of numbers."""
    change_values: tuple[object, ...]
    after: int = 0

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[ChangeJobs]) -> Sequence[JobsChanged]:
        return [_change(cursor, op) for op in batch]


def _change(cursor: sqlite3.Cursor, op: ChangeJobs) -> JobsChanged:
    found = cursor.execute(op.find, {**op.values, "after": op.after, "limit": CHUNK}).fetchall()
    if not found:
        return JobsChanged(0, op.after)
    numbers = [number for (number,) in found]
    files = _files(cursor, numbers)
    cursor.execute(SQL[op.change], (*op.change_values, json_list(numbers)))
    return JobsChanged(len(numbers), numbers[-1], _unnamed(cursor, files))


@dataclass(frozen=True, slots=True)
class ForgetJobs(Operation[JobsChanged]):
    """Forget jobs that ended before then, and mailboxes without jobs."""

    ended_before: int
    limit: int

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[ForgetJobs]) -> Sequence[JobsChanged]:
        return [_forget(cursor, op) for op in batch]


def _forget(cursor: sqlite3.Cursor, op: ForgetJobs) -> JobsChanged:
    found = cursor.execute(SQL["jobs_to_forget"], (op.ended_before, op.limit)).fetchall()
    numbers = [number for number, _ in found]
    if not numbers:
        return JobsChanged(0, 0)
    files = _files(cursor, numbers)
    cursor.execute(SQL["forget_jobs"], (json_list(numbers),))
    cursor.execute(SQL["forget_mailboxes"], (json_list({mailbox for _, mailbox in found}),))
    return JobsChanged(len(numbers), numbers[-1], _unnamed(cursor, files))
