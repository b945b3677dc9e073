"""What has to be done with rows about a person that belong to no conversation; a page of them at a time.

The rows may have changed since they were read, so no statement here depends on what stood in them, but for whose row
it is.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mta.adapters.store.erasure_plans import ERASED, REMEMBERED, Plan, is_in_body
from mta.model.erasure import ErasedPerson, Kept

_HEADER_MAX = 1_000_000
_FROM = re.compile(r"^from:.*(?:\n[ \t].*)*", re.IGNORECASE | re.MULTILINE)


def plan_answers(
    cursor: sqlite3.Cursor, rows: Sequence[Sequence[Any]], person: ErasedPerson, folder: Path
) -> Plan:  # fmt: skip
    """His own go; those of others, in which he is named, are let go of by themselves within days."""
    plan = Plan()
    for number, key, file, data, sender in rows:
        if person.is_named(sender or "") or person.is_in(_author(data, file, folder)):
            plan.do("erasure_forget_answer", number, key)
            plan.files += [file] if file is not None else []
            plan.counts["answers_removed"] += 1
        elif is_in_body(person, data, file, folder):
            why = "somebody else's answer that waits for what it answers, some days at most"
            plan.kept.append(Kept("answer", key, why, "the same command again, later"))
    return plan


def _author(data: bytes | None, file: str | None, folder: Path) -> str:
    """The From lines of a message."""
    return _author_of_file(folder / file) if file is not None else _from_lines(data or b"")


@lru_cache(REMEMBERED)
def _author_of_file(path: Path) -> str:
    try:
        with path.open("rb") as body:
            return _from_lines(body.read(_HEADER_MAX))
    except FileNotFoundError:
        return ""  # let go of meanwhile


def _from_lines(message: bytes) -> str:
    return "\n".join(_FROM.findall(message.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")))


def plan_loose_entries(cursor: sqlite3.Cursor, rows: Sequence[Sequence[Any]], person: ErasedPerson) -> Plan:
    """They stay, so that a message that still lies in its mailbox isn't taken once more."""
    plan = Plan()
    for number, sender, message_id in rows:
        if person.is_named(sender):
            plan.do("erasure_change_sender", number)
            plan.counts["entries_changed"] += 1
        if person.is_in(message_id):
            plan.do("erasure_rename_entry", f"{ERASED}:{number}", number)
    return plan


def plan_bounces(cursor: sqlite3.Cursor, rows: Sequence[Sequence[Any]], person: ErasedPerson) -> Plan:
    plan = Plan()
    for number, message_id, status in rows:
        if person.is_in(message_id) or person.is_in(status):
            plan.do("erasure_forget_bounce", number)
            plan.counts["bounces_forgotten"] += 1
    return plan


def plan_counts(cursor: sqlite3.Cursor, rows: Sequence[Sequence[Any]], person: ErasedPerson) -> Plan:
    """How many messages he sent or got within a day; with a word on who vouched for them behind the address."""
    plan = Plan()
    for number, address in rows:
        if person.is_named(address.partition(" (")[0]) or person.is_in(address):
            plan.do("erasure_forget_count", number)
            plan.counts["counts_forgotten"] += 1
    return plan


def plan_said(cursor: sqlite3.Cursor, table: str, rows: Sequence[Sequence[Any]], person: ErasedPerson) -> Plan:
    plan = Plan()
    for key, text in rows:
        if person.is_in(text):
            plan.do(f"erasure_strike_{table}", person.struck(text, ERASED), key, text)
            plan.counts["texts_changed"] += 1
    return plan
