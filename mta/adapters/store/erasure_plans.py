"""What has to be done so that one thing in the store no longer tells of a person, worked out from its rows.

A plan is made twice: for a dry run from what the reader sees, and inside the transaction that carries it out, so that
nothing is overwritten that has changed since somebody looked.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from shlex import quote
from typing import Any

from mta.adapters.store.rows import stored_address
from mta.adapters.store.statements import SQL, json_list
from mta.adapters.store.tracking_operations import unnamed
from mta.adapters.store.writer import Operation
from mta.model.erasure import ErasedPerson, Kept
from mta.model.sentitem import JobState
from mta.model.tracking import TaskKind, TaskState

_ESCAPED = "\\u"
REMEMBERED = 2000
"""Of so many body files is remembered what was found in them: they never change, and reading one takes long. So none is
read within a transaction, while mail waits."""


@dataclass(slots=True)
class Plan:
    """Statements in their order, what they amount to, and what stays."""

    statements: list[tuple[str, Sequence[object] | dict[str, object]]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    kept: list[Kept] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """Body files that may have no row afterwards; once carried out: those that have none."""
    gone: list[int] = field(default_factory=list)
    """Attachments that go."""

    def do(self, name: str, *values: object) -> None:
        self.statements.append((name, values))


Planning = Callable[[sqlite3.Cursor], Plan]


@dataclass(frozen=True, slots=True)
class CarryOut(Operation[Plan]):
    """Make a plan and carry it out; gives it."""

    planning: Planning

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[CarryOut]) -> Sequence[Plan]:
        return [op._run(cursor) for op in batch]

    def _run(self, cursor: sqlite3.Cursor) -> Plan:
        plan = self.planning(cursor)
        for name, values in plan.statements:
            cursor.execute(SQL[name], values)
        plan.files = [*unnamed(cursor, plan.files)]
        return plan


def plain(text: str | None) -> str:
    """JSON as one reads it: our columns write what isn't ASCII in escapes."""
    if text is None or _ESCAPED not in text:
        return text or ""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except ValueError:
        return text


def is_in_body(person: ErasedPerson, data: bytes | None, file: str | None, folder: Path) -> bool:
    """Whether a message that stands in the database or in a body file names him, as far as it isn't encoded."""
    if file is None:
        return person.is_in_octets(BytesIO(data or b""))
    return _is_in_file(person, folder / file)


@lru_cache(REMEMBERED)
def _is_in_file(person: ErasedPerson, path: Path) -> bool:
    try:
        with path.open("rb") as body:
            return person.is_in_octets(body)
    except FileNotFoundError:
        return False  # delivered meanwhile


# --- the queue -------------------------------------------------------------------------------------------------------


def kept_message(row: Sequence[Any], person: ErasedPerson, folder: Path) -> Kept | None:
    """From a row of `erasure_messages`: why mail that is not delivered stays; None where it doesn't name him."""
    _, queue_id, reverse_path, envelope, decision, data, file, deliveries = row
    recipients = [each[1] for delivery in json.loads(deliveries) for each in delivery]
    his = [address for address in recipients if person.is_named(stored_address(address).key)]
    delete = f"stampline queue delete {queue_id}"
    if reverse_path and person.is_named(stored_address(reverse_path).key):
        return Kept("message", queue_id, "undelivered mail from this person", delete)
    if his:
        drop = "; ".join(f"{delete} --recipient {quote(address)}" for address in dict.fromkeys(his))
        return Kept("message", queue_id, "undelivered mail to this person", drop)
    if _names(person, envelope, decision) or is_in_body(person, data, file, folder):
        return Kept("message", queue_id, "undelivered mail that names this person", delete)
    return None


def _names(person: ErasedPerson, envelope: str, decision: str) -> bool:
    return person.is_in(plain(envelope)) or person.is_in(plain(decision))


# --- jobs in mailboxes -----------------------------------------------------------------------------------------------


def plan_job(cursor: sqlite3.Cursor, number: int, person: ErasedPerson, now: int, folder: Path) -> Plan:
    """Jobs in his own mailbox go; of others' those that have ended, and keep what names him to be tried again."""
    plan = Plan()
    row = cursor.execute(SQL["erasure_job"], {"number": number, "now": now}).fetchone()
    if row is None:
        return plan
    _, name, mailbox, state, mark, detail, is_leased, message_id = row
    is_his = person.is_named(mailbox)
    names_him = is_his or person.is_in(plain(mark)) or person.is_in(message_id) or _has_copy(
        cursor, number, person, folder
    )  # fmt: skip
    if names_him and is_leased:
        plan.kept.append(Kept("job", name, "is being worked on at this moment", "the same command again, in a moment"))
    elif names_him and not is_his and state == JobState.WAITING.value:
        why = f"waits to be put into {mailbox}, where it belongs to somebody else"
        plan.kept.append(Kept("job", name, why, f"stampline sentitems skip {name}"))
    elif names_him:
        files = cursor.execute(SQL["files_of_jobs"], (json_list([number]),)).fetchall()
        plan.files += [file for (file,) in files]
        plan.do("forget_jobs", json_list([number]))
        plan.do("forget_mailboxes", json_list([mailbox]))
        plan.counts["jobs_removed"] += 1
    elif person.is_in(detail):
        plan.do("erasure_strike_job", person.struck(detail, ERASED), number)
        plan.counts["texts_changed"] += 1
    return plan


ERASED = "erased"
"""In the place of an address in what servers and administrators said, which belongs to no record."""


def _has_copy(cursor: sqlite3.Cursor, number: int, person: ErasedPerson, folder: Path) -> bool:
    copies = cursor.execute(SQL["erasure_copies"], {"number": number}).fetchall()
    return any(
        person.is_in(reverse_path) or _names(person, envelope, decision) or is_in_body(person, data, file, folder)
        for reverse_path, envelope, decision, data, file in copies
    )


def plan_mailboxes(cursor: sqlite3.Cursor, rows: Sequence[Sequence[Any]], person: ErasedPerson) -> Plan:
    """What is remembered of mailboxes: goes with the last job; a name that a server told goes at once."""
    plan = Plan()
    his = [mailbox for mailbox, _, has_jobs in rows if person.is_named(mailbox) and not has_jobs]
    told = [mailbox for mailbox, primary, _ in rows if not person.is_named(mailbox) and person.is_in(primary)]
    if his:
        plan.do("forget_mailboxes", json_list(his))
        plan.counts["mailboxes_forgotten"] += len(his)
    if told:
        plan.do("erasure_forget_primary", json_list(told))
        plan.counts["texts_changed"] += len(told)
    return plan


# --- tasks -----------------------------------------------------------------------------------------------------------


def plan_task(
    cursor: sqlite3.Cursor, number: int, person: ErasedPerson, conversations: frozenset[int], folder: Path
) -> Plan:
    """What has ended goes, and what was to be written into his own mailbox; what others wait for stays."""
    plan = Plan()
    row = cursor.execute(SQL["erasure_task"], {"number": number}).fetchone()
    if row is None:
        return plan
    _, kind, target, state, _, _, _, _, conversation, file, data = row
    has_payload = file is not None or data is not None
    in_payload = _is_in_payload(person, data) if file is None else _is_in_payload_file(person, folder / file)
    names_him = in_payload or _task_names(row, person)
    if not names_him and not (state == TaskState.DEAD.value and has_payload and conversation in conversations):
        return plan
    is_his_mark = kind == TaskKind.WRITE_BACK.value and person.is_named(target)
    if state == TaskState.WAITING.value and not is_his_mark:
        what = {"call": f"a call of {target}", "notice": "a notice"}.get(kind, "a mark on somebody else's copy")
        drop = f"stampline records drop {number} --waiting"
        plan.kept.append(Kept("task", str(number), f"{what} that waits to be carried out", drop))
        return plan
    plan.files += [file] if file is not None else []
    plan.do("erasure_end_task", number)
    plan.do("forget_tasks", json_list([number]))
    plan.counts["tasks_removed"] += 1
    return plan


def _task_names(row: Sequence[Any], person: ErasedPerson) -> bool:
    """From a row of `erasure_task`: whether it names him, apart from its payload."""
    _, _, target, _, key, reason, detail, recipients, *_ = row
    if person.is_named(target) or any(person.is_named(each) for each in json.loads(recipients)):
        return True
    return any(person.is_in(text) for text in (key, reason, detail, target, plain(recipients)))


def _is_in_payload(person: ErasedPerson, payload: bytes | None) -> bool:
    """Of a call's JSON, or a notice's message."""
    return person.is_in(plain((payload or b"").decode("utf-8", "replace")))


@lru_cache(REMEMBERED)
def _is_in_payload_file(person: ErasedPerson, path: Path) -> bool:
    try:
        with path.open("rb") as body:
            return _is_in_payload(person, body.read())
    except OSError:
        return False
