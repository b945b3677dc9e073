"""How the queue is shown: tables for people, plain values for programs."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from mta.cli.command import print_table, printable, short_age
from mta.cli.queue_frozen import frozen_text, frozen_to_json
from mta.model.queue import (
    SUMMARY_AGES,
    Breakdown,
    FrozenHop,
    QueueCount,
    QueueEntry,
    SummaryRow,
    is_frozen,
)

_ADDRESS_MAX = 40
"""Characters of an address that a list on a terminal shows."""
_REPLY_AT_LEAST = 20
_OPTIONAL_FROM = 4
"""The column of a summary from which on empty ones are left out where there is no room: HELD, BUSY and the ages."""


def entry_to_json(entry: QueueEntry) -> dict[str, Any]:
    """One message of the queue as JSON values; `sender` is "" for the null reverse-path."""
    return {
        "queue_id": entry.queue_id,
        "accepted_at": entry.accepted_at.isoformat(),
        "size_octets": entry.size_octets,
        "sender": entry.reverse_path,
        "message_id": entry.message_id,
        "attempts": entry.attempts,
        "due_at": entry.due_at.isoformat() if entry.due_at else None,
        "is_being_delivered": entry.leased,
        "recipients": [
            {
                "address": str(recipient.address),
                "state": recipient.state.value,
                "next_hop": recipient.next_hop,
                "group": recipient.group,
                "last_reply": recipient.last_reply,
            }
            for recipient in entry.recipients
        ],
    }


def summary_to_json(rows: Sequence[SummaryRow], count: QueueCount, frozen: Sequence[FrozenHop]) -> dict[str, Any]:
    """A summary as JSON values; `ages` has the recipients younger than each of `age_limits_s`, and older."""
    return {
        "rows": [{**asdict(row), "oldest_at": row.oldest_at.isoformat()} for row in rows],
        "age_limits_s": [age.total_seconds() for age in SUMMARY_AGES],
        "total": asdict(count),
        "frozen": [frozen_to_json(hop) for hop in frozen],
    }


def print_entries(
    entries: Sequence[QueueEntry], count: QueueCount, frozen: Sequence[FrozenHop] = (), *, wide: bool = False
) -> None:
    """One line a message, and the sums of all that match; cut to the terminal's width unless `wide`."""
    headings = ("QUEUE ID", "AGE", "SIZE", "STATE", "TRIES", "DUE", "NEXT HOP", "SENDER", "RECIPIENTS", "LAST REPLY")
    now = datetime.now(UTC)
    names = frozenset(hop.next_hop for hop in frozen)
    rows = [_row(entry, now, names) for entry in entries]
    if rows and not wide and sys.stdout.isatty() and _width(headings, _cut(headings, rows)) > _columns():
        _print_blocks(rows)
    elif rows:
        print_table(headings, rows if wide or not sys.stdout.isatty() else _cut(headings, rows))
    if count.messages > len(entries):
        print(f"... and {count.messages - len(entries)} more")
    print(count_text(count))
    _print_frozen(frozen)


def print_summary(
    by: Breakdown, rows: Sequence[SummaryRow], limit: int, count: QueueCount, frozen: Sequence[FrozenHop]
) -> None:
    """Recipients by age for each row, and the sums."""
    ages = [_round_age(age.total_seconds()) for age in SUMMARY_AGES]
    headings = (by.value.replace("-", " ").upper(), "RECIPIENTS", "MESSAGES", "SIZE", "HELD", "BUSY", "OLDEST",
                *(f"<{age}" for age in ages), f"{ages[-1]}+")  # fmt: skip
    now = datetime.now(UTC)
    names = frozenset(hop.next_hop for hop in frozen)
    shown = [_summary_row(by, row, now, names) for row in rows[:limit]]
    if shown and sys.stdout.isatty() and _width(headings, shown) > _columns():
        full = [i for i in range(len(headings)) if i < _OPTIONAL_FROM or any(row[i] != "-" for row in shown)]
        headings, shown = tuple(headings[i] for i in full), [[row[i] for i in full] for row in shown]
    if shown:
        print_table(headings, shown)
    if len(rows) > limit:
        print(f"... and {len(rows) - limit} more rows")
    print(count_text(count))
    _print_frozen(frozen)


def _round_age(seconds: float) -> str:
    return short_age(seconds).removesuffix("00m").removesuffix("0h")


def _summary_row(by: Breakdown, row: SummaryRow, now: datetime, frozen: frozenset[str]) -> list[str]:
    key = row.key + (" (frozen)" if by is Breakdown.NEXT_HOP and is_frozen(row.key, frozen) else "")
    counts = [row.held, row.leased]
    return [
        key, str(row.recipients), str(row.messages), size_text(row.octets), *(str(number or "-") for number in counts),
        short_age((now - row.oldest_at).total_seconds()), *(str(number or "-") for number in row.ages),
    ]  # fmt: skip


def _print_frozen(frozen: Sequence[FrozenHop]) -> None:
    if text := frozen_text(frozen):
        print(printable(text))


def count_text(count: QueueCount) -> str:
    """Sums in words."""
    messages = f"{count.messages} message{'s' if count.messages != 1 else ''}"
    recipients = f"{count.recipients} recipient{'s' if count.recipients != 1 else ''}"
    busy = f", {count.leased} being delivered" if count.leased else ""
    return f"{messages} to {recipients}, {size_text(count.octets)}{busy}" if count.messages else "0 messages"


def _row(entry: QueueEntry, now: datetime, frozen: frozenset[str]) -> list[str]:
    states = Counter(
        "frozen" if recipient.state.value == "queued" and is_frozen(recipient.next_hop, frozen)
        else recipient.state.value
        for recipient in entry.recipients
    )  # fmt: skip
    state = ", ".join(f"{name} {count}" if len(states) > 1 else name for name, count in states.items())
    replies = [recipient.last_reply for recipient in entry.recipients if recipient.last_reply]
    return [
        entry.queue_id,
        short_age((now - entry.accepted_at).total_seconds()),
        size_text(entry.size_octets),
        state,
        str(entry.attempts),
        due_text(entry, now),
        first_of(list(dict.fromkeys(recipient.next_hop for recipient in entry.recipients))),
        f"<{entry.reverse_path}>",
        first_of([str(recipient.address) for recipient in entry.recipients]),
        replies[0] if replies else "-",
    ]


def _print_blocks(rows: Sequence[Sequence[str]]) -> None:
    """Three lines a message, for a terminal that has no room for the table."""
    half = max((_columns() - len("     -> ")) // 2, _ADDRESS_MAX // 2)
    for queue_id, age, size, state, tries, due, hop, sender, recipients, reply in rows:
        lines = (
            f"{queue_id}  {age}  {size}  {state}, {tries} tries, due {due}, by {hop}",
            f"    {_shortened(sender, half)} -> {_shortened(recipients, half)}",
            f"    {reply}",
        )
        for line in lines[: 3 if reply != "-" else 2]:
            print(printable(line)[: max(_columns(), _ADDRESS_MAX)])


def _width(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    return sum(max(len(row[i]) for row in (headings, *rows)) + 2 for i in range(len(headings))) - 2


def _columns() -> int:
    return shutil.get_terminal_size().columns


def _cut(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Long addresses in the middle, the last column at the terminal's edge."""
    short = [[_shortened(cell) for cell in row[:-1]] for row in rows]
    used = sum(max(len(row[i]) for row in (headings[:-1], *short)) + 2 for i in range(len(headings) - 1))
    left = max(_columns() - used, _REPLY_AT_LEAST)
    return [[*cells, row[-1][:left]] for cells, row in zip(short, rows, strict=True)]


def _shortened(text: str, limit: int = _ADDRESS_MAX) -> str:
    """The start and the end of an address, where it is told by: `a-very-long…@example.com`."""
    return text if len(text) <= limit else f"{text[: limit // 2 - 1]}…{text[-(limit // 2) :]}"


def due_text(entry: QueueEntry, now: datetime) -> str:
    """When a message is tried next."""
    if entry.leased:
        return "at work"
    if entry.due_at is None:
        return "-"
    wait_s = (entry.due_at - now).total_seconds()
    return f"in {short_age(wait_s)}" if wait_s > 0 else "now"


def first_of(texts: Sequence[str]) -> str:
    """The first, and how many more."""
    if not texts:
        return "-"
    return texts[0] + (f" +{len(texts) - 1}" if len(texts) > 1 else "")


def size_text(octets: int) -> str:
    """Octets in the unit that reads best."""
    if octets < 1000:
        return f"{octets} B"
    return f"{octets / 1000:.1f} kB" if octets < 1_000_000 else f"{octets / 1_000_000:.1f} MB"
