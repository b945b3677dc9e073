"""How much of the queue matches, and of what: reading for counts and summaries, in bounded memory."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from mta.adapters.store.administration import Which
from mta.adapters.store.rows import OpenRecipient, moment
from mta.model.delivery import State
from mta.model.queue import SUMMARY_AGES, Breakdown, QueueCount, SummaryRow

_STATUS = re.compile(r"\d{3}[ -](\d\.\d{1,3}\.\d{1,3})\b|(\d{3})\b")
_UPPER_ENDS = tuple(age // timedelta(microseconds=1) for age in SUMMARY_AGES)


def count(cursor: sqlite3.Cursor, which: Which) -> QueueCount:
    """How much matches."""
    messages, deliveries, recipients, octets, leased = cursor.execute(
        which.statement("count_matching"), which.values
    ).fetchone()
    return QueueCount(messages, deliveries, recipients, octets, leased)


@dataclass(slots=True)
class _Sums:
    """Of one row of the summary, while it is counted."""

    oldest: int
    recipients: int = 0
    messages: int = 0
    octets: int = 0
    held: int = 0
    leased: int = 0
    last_message: int = -1
    ages: list[int] = field(default_factory=lambda: [0] * (len(_UPPER_ENDS) + 1))

    def add(self, row: Sequence[Any], recipients: int, now: int) -> None:
        message, accepted_at, size, _, _, state, leased, _ = row
        self.recipients += recipients
        self.held += recipients if state == State.HELD.value else 0
        self.leased += recipients if leased else 0
        self.oldest = min(self.oldest, accepted_at)
        age = now - accepted_at
        self.ages[sum(age >= end for end in _UPPER_ENDS)] += recipients
        if message != self.last_message:  # rows of one message follow each other
            self.last_message = message
            self.messages += 1
            self.octets += size


def summary(cursor: sqlite3.Cursor, which: Which, by: Breakdown, now: int) -> list[SummaryRow]:
    """What matches in rows, the one with the most recipients first."""
    sums: dict[str, _Sums] = {}
    keys_of = _KEYS[by]
    for row in cursor.execute(which.statement("survey_matching"), which.values):
        for key, recipients in _counted(keys_of(row)).items():
            if key not in sums:
                sums[key] = _Sums(row[1])
            sums[key].add(row, recipients, now)
    rows = [
        SummaryRow(
            key, each.recipients, each.messages, each.octets, each.held, each.leased, moment(each.oldest),
            tuple(each.ages),
        )
        for key, each in sums.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row.recipients, row.key))


def _counted(keys: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for key in keys:
        counts[key] = counts.get(key, 0) + 1
    return counts


def _recipients(row: Sequence[Any]) -> list[OpenRecipient]:
    recipients: list[OpenRecipient] = json.loads(row[7])
    return recipients


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower() if address else "<>"


def _status(reply: str) -> str:
    match = _STATUS.match(reply)
    return (match[1] or match[2]) if match else reply[:40] or "-"


_KEYS: dict[Breakdown, Callable[[Sequence[Any]], Iterable[str]]] = {
    Breakdown.NEXT_HOP: lambda row: (row[4] for _ in _recipients(row)),
    Breakdown.DOMAIN: lambda row: (_domain(recipient[1]) for recipient in _recipients(row)),
    Breakdown.SENDER: lambda row: (row[3] or "<>" for _ in _recipients(row)),
    Breakdown.SENDER_DOMAIN: lambda row: (_domain(row[3]) for _ in _recipients(row)),
    Breakdown.STATE: lambda row: (row[5] for _ in _recipients(row)),
    Breakdown.REPLY: lambda row: (_status(recipient[3]) for recipient in _recipients(row)),
}
"""Breakdown → the keys of a row of `survey_matching`, one for each recipient."""
