"""What administrators do to the queue, by filter: hold, release, retry, reroute, delete, and take out to settle."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from mta.adapters.store.operations import Key, end_deliveries
from mta.adapters.store.rows import OpenRecipient, microseconds, recipients_json, stored_address
from mta.adapters.store.statements import SQL
from mta.adapters.store.writer import Operation
from mta.model.delivery import VERIFIED_TLS, State
from mta.model.queue import QueueFilter
from mta.ports.spool import NewHop

CHUNK = 200
"""Deliveries that one transaction changes, so that a large queue is worked without holding up mail."""


@dataclass(frozen=True, slots=True)
class Which:
    """A filter as SQL conditions and their values."""

    conditions: tuple[str, ...]
    values: dict[str, object]
    names_recipients: bool = False

    def statement(self, name: str) -> str:
        """The named statement with these conditions."""
        recipients = SQL["meant_recipients"] if self.names_recipients else "recipients"
        which = " AND ".join(self.conditions) or "true"
        return SQL[name].replace("{which}", which).replace("{recipients}", recipients)


def conditions(which: QueueFilter, now: datetime, state: State | None = None) -> Which:
    """Translate a filter; `state` narrows it. Addresses match without regard to case, `*` stands for anything."""
    states = {wanted for wanted in (which.state, state) if wanted is not None}
    texts = (which.queue_id, which.sender, which.recipient, which.next_hop, which.message_id, which.reply)
    if len(states) > 1 or not all(map(can_be_stored, texts)):
        return Which(("false",), {"now": microseconds(now)})
    recipient = pattern(which.recipient)
    reply = f"%{pattern(which.reply)}%" if which.reply else None
    names_recipients = recipient is not None or reply is not None
    wanted: dict[str, object] = {
        "queue_id": which.queue_id or None,
        "sender": "" if which.sender == "<>" else pattern(which.sender),
        "message_id": pattern(which.message_id),
        "recipients": names_recipients or None,
        "next_hop": which.next_hop or None,
        "state": states.pop().value if states else None,
        "accepted_before": _earlier(_before(now, which.older_than_s), which.accepted_by),
        "accepted_after": _before(now, which.younger_than_s),
        "larger_than": which.larger_than,
        "smaller_than": which.smaller_than,
    }
    asked = {name: value for name, value in wanted.items() if value is not None}
    values = {**asked, "recipient": recipient, "reply": reply, "now": microseconds(now)}
    return Which(tuple(SQL[f"which_{name}"] for name in asked), values, names_recipients)


def _before(now: datetime, seconds: float | None) -> int | None:
    return None if seconds is None else microseconds(now - timedelta(seconds=seconds))


def _earlier(one: int | None, other: datetime | None) -> int | None:
    times = [one] if one is not None else []
    return min([*times, microseconds(other)]) if other is not None else one


def can_be_stored(text: str) -> bool:
    """Octets that are no UTF-8 come from a command line as lone surrogates, and stand nowhere in the database."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def pattern(text: str) -> str | None:
    """For LIKE with `\\` as its ESCAPE: `*` stands for anything; None for no text."""
    if not text:
        return None
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")


def without_leased_siblings(which: Which) -> Which:
    """The same, but nothing of which another part is being delivered to the same next hop."""
    return Which((*which.conditions, SQL["which_no_sibling_leased"]), which.values, which.names_recipients)


@dataclass(frozen=True, slots=True)
class Changed:
    """What one transaction did: the deliveries that matched and that were changed, the last of the former."""

    found: int
    keys: tuple[Key, ...]
    queue_ids: tuple[str, ...]
    last: Key
    files: frozenset[str]
    """Body files without a message now."""


Effect = Callable[[sqlite3.Cursor, Key, str, Sequence[OpenRecipient]], bool]
"""(cursor, delivery, its next hop, its recipients): carries it out; False where there was nothing to change."""


@dataclass(frozen=True, slots=True)
class Change(Operation[Changed]):
    """Do something with the next matching deliveries (those after `after`), or (effect None) delete them.

    The filter is judged inside the transaction, so that nothing is touched that has changed since somebody looked. With
    a recipient or a reply in it, only those recipients' part of a delivery is meant: deleting or holding one
    addressee's copy must not take the others' with it.
    """

    crash_before: ClassVar[str] = "before-change"
    crash_after: ClassVar[str] = "after-change"
    which: Which
    effect: Effect | None
    divides: bool = True
    """False: a delivery is changed as a whole, whichever of its recipients the filter names."""
    after: Key = (0, 0)
    limit: int = CHUNK

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Change]) -> Sequence[Changed]:
        return [_carry_out(cursor, op) for op in batch]


def _carry_out(cursor: sqlite3.Cursor, op: Change) -> Changed:
    message, part = op.after
    values = {**op.which.values, "message": message, "part": part, "limit": op.limit}
    found = cursor.execute(op.which.statement("matching_deliveries"), values).fetchall()
    keys: list[Key] = []
    queue_ids: dict[str, None] = {}
    whole: list[Key] = []
    for row in found:
        key = _delete(cursor, row, whole) if op.effect is None else _change(cursor, row, op.effect, divides=op.divides)
        if key is not None:
            keys.append(key)
            queue_ids[row[4]] = None
    files = end_deliveries(cursor, whole, [row[3] for row in found if row[3] is not None])
    return Changed(len(found), tuple(keys), tuple(queue_ids), found[-1][:2] if found else op.after, files)


def _delete(cursor: sqlite3.Cursor, row: Sequence[Any], whole: list[Key]) -> Key:
    """Take the recipients who are meant out of a delivery; it joins `whole` where that is everybody."""
    key, _, others = _divided(row)
    if others:
        cursor.execute(SQL["set_recipients"], (recipients_json(others), *key))
    else:
        whole.append(key)
    return key


def _change(cursor: sqlite3.Cursor, row: Sequence[Any], effect: Effect, *, divides: bool) -> Key | None:
    key, meant, others = _divided(row)
    if not divides:
        meant = json.loads(row[6])
    elif others:
        key = _split_off(cursor, key, meant, others)
    return key if effect(cursor, key, row[5], meant) else None


def _divided(row: Sequence[Any]) -> tuple[Key, list[OpenRecipient], list[OpenRecipient]]:
    """From a row of `matching_deliveries`: the delivery, its recipients who are meant, and the others."""
    message, part, meant_column, *_, column = row
    meant: list[OpenRecipient] = json.loads(meant_column)
    if meant_column == column:
        return (message, part), meant, []
    positions = {recipient[0] for recipient in meant}
    return (message, part), meant, [each for each in json.loads(column) if each[0] not in positions]


def _split_off(
    cursor: sqlite3.Cursor, key: Key, meant: Sequence[OpenRecipient], others: Sequence[OpenRecipient]
) -> Key:
    """Move some recipients into a delivery of their own; gives that one."""
    cursor.execute(SQL["set_recipients"], (recipients_json(others), *key))
    ((part,),) = cursor.execute(SQL["split_delivery"], (recipients_json(meant), *key)).fetchall()
    return key[0], int(part)


# --- effects ---------------------------------------------------------------------------------------------------------


def restate(state: State, due_at: int | None) -> Effect:
    """Give deliveries a state and a time."""

    def effect(cursor: sqlite3.Cursor, key: Key, next_hop: str, recipients: Sequence[OpenRecipient]) -> bool:
        cursor.execute(SQL["change_delivery"], (state.value, due_at, *key))
        return True

    return effect


def reroute(next_hop_of: NewHop, now: int) -> Effect:
    """Give recipients another next hop, and a fresh start: where they differ in it, each gets a delivery of its own."""

    def effect(cursor: sqlite3.Cursor, key: Key, next_hop: str, recipients: Sequence[OpenRecipient]) -> bool:
        suffix = VERIFIED_TLS if next_hop.endswith(VERIFIED_TLS) else ""
        by_hop: dict[str, list[OpenRecipient]] = {}
        for recipient in recipients:
            wanted = next_hop_of(stored_address(recipient[1]))
            by_hop.setdefault(wanted.removesuffix(suffix) + suffix, []).append(recipient)
        if set(by_hop) == {next_hop}:
            return False
        *first, (last, _) = by_hop.items()
        others = list(recipients)
        for wanted, some in first:
            others = [each for each in others if each not in some]
            part = _split_off(cursor, key, some, others)
            cursor.execute(SQL["reroute_delivery"], _way(part, wanted, now))
        cursor.execute(SQL["reroute_delivery"], _way(key, last, now))
        return True

    return effect


def _way(key: Key, next_hop: str, now: int) -> dict[str, object]:
    return {"message": key[0], "part": key[1], "next_hop": next_hop, "now": now}


def take(owner: str, now: int, until: int) -> Effect:
    """Lease deliveries, where no other part of the same message is leased for the same next hop."""

    def effect(cursor: sqlite3.Cursor, key: Key, next_hop: str, recipients: Sequence[OpenRecipient]) -> bool:
        values = {"message": key[0], "part": key[1], "owner": owner, "until": until, "now": now}
        return cursor.execute(SQL["take_delivery"], values).rowcount > 0

    return effect
