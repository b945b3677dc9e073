"""What the writer does to conversations: finds, opens and merges them.

Two may have one number after a loss of data: the database was begun anew and gave it again, and then somebody answers
with a reference to the one that was lost. Who has the number in this store keeps it; the other goes on under the next
one, and its own name (number and nonce) is kept as that of a merged one, so that its references go on naming it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mta.adapters.store.rows import microseconds
from mta.adapters.store.statements import SQL, json_list
from mta.adapters.store.tracking_rows import storable
from mta.adapters.store.writer import Operation
from mta.model.transaction import Opening, Transaction


@dataclass(frozen=True, slots=True)
class OpenTransaction(Operation[Transaction]):
    """Note a message; gives its conversation. See `TrackingStore.open_transaction`."""

    crash_before: ClassVar[str] = "before-open-transaction"
    crash_after: ClassVar[str] = "after-open-transaction"
    opening: Opening
    nonce: str
    """Of the conversation, if it is a new one."""

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[OpenTransaction]) -> Sequence[Transaction]:
        return [_open(cursor, op.opening, op.nonce) for op in batch]


def _open(cursor: sqlite3.Cursor, opening: Opening, nonce: str) -> Transaction:
    """Who takes part is said by the first that brings the message: it is of their making, later ones may be forged.

    A message that was only named by others belongs to them if its author, who comes first, takes part: anybody who
    knows such an id can write a message with it.
    """
    message_id, at = storable(opening.message_id), microseconds(opening.at)
    noted = cursor.execute(SQL["message_of_conversation"], (opening.organisation, message_id)).fetchone()
    is_seen = bool(noted and noted[1] and message_id)
    if noted and message_id and (is_seen or _takes_part(cursor, int(noted[0]), opening.participants)):
        conversation = int(noted[0])
    elif opening.continues is not None:
        conversation = restored(cursor, opening.continues, at)
    else:
        conversation = _new(cursor, opening.organisation, opening.module, nonce, at)
    if not is_seen:
        if message_id:
            see(cursor, opening.organisation, message_id, conversation)
        add_participants(cursor, conversation, opening.participants)
    return named(cursor, conversation)


def _takes_part(cursor: sqlite3.Cursor, conversation: int, people: Sequence[str]) -> bool:
    return any(address in people[:1] for (address,) in cursor.execute(SQL["participants"], (conversation,)))


def see(cursor: sqlite3.Cursor, organisation: str, message_id: str, conversation: int) -> None:
    """A message of the conversation is there."""
    cursor.execute(SQL["see_message"], (organisation, message_id, conversation))


def add_participants(cursor: sqlite3.Cursor, conversation: int, addresses: Collection[str]) -> None:
    """They take part from now on."""
    if addresses:
        cursor.execute(SQL["add_participants"], (conversation, json_list(storable(each) for each in addresses if each)))


def found(cursor: sqlite3.Cursor, transaction: Transaction) -> int | None:
    """The conversation that this names now, nonce included; None where the store doesn't know it."""
    row = cursor.execute(SQL["conversation_named"], _name(transaction)).fetchone()
    return None if row is None else int(row[0])


def restored(cursor: sqlite3.Cursor, transaction: Transaction, at: int) -> int:
    """The same; made anew where a loss of data took it. Its number is not given again."""
    known = found(cursor, transaction)
    if known is not None:
        return known
    organisation, module, number, nonce = _name(transaction)
    if cursor.execute(SQL["conversation_numbered"], (organisation, module, number)).fetchone() is None:
        cursor.execute(SQL["lift_number"], (organisation, module, number))
        return _add(cursor, transaction, None, at)
    into = _new(cursor, organisation, module, nonce, at)
    _add(cursor, transaction, into, at)
    return into


def named(cursor: sqlite3.Cursor, conversation: int) -> Transaction:
    """Its name."""
    return Transaction(*cursor.execute(SQL["conversation"], (conversation,)).fetchone())


def _new(cursor: sqlite3.Cursor, organisation: str, module: str, nonce: str, at: int) -> int:
    ((number,),) = cursor.execute(SQL["next_number"], (organisation, module)).fetchall()
    return _add(cursor, Transaction(organisation, module, number, nonce), None, at)


def _add(cursor: sqlite3.Cursor, transaction: Transaction, merged_into: int | None, at: int) -> int:
    cursor.execute(SQL["add_conversation"], (*_name(transaction), merged_into, at))
    return int(cursor.lastrowid or 0)


def _name(transaction: Transaction) -> tuple[str, str, int, str]:
    return transaction.organisation, transaction.module, transaction.number, transaction.nonce


@dataclass(frozen=True, slots=True)
class Merge(Operation[bool]):
    """Two that turned out to be one; False where they were one already."""

    crash_before: ClassVar[str] = "before-merge"
    crash_after: ClassVar[str] = "after-merge"
    gone: Transaction
    into: Transaction
    at: int

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Merge]) -> Sequence[bool]:
        return [
            _merge(cursor, restored(cursor, op.gone, op.at), restored(cursor, op.into, op.at), op.at) for op in batch
        ]


def _merge(cursor: sqlite3.Cursor, gone: int, into: int, at: int) -> bool:
    """Notes of `gone` come after those of `into`."""
    if gone == into:
        return False
    values = {"gone": gone, "into": into, "at": at, "ahead": 0}
    for name in ("merge_conversation", "merge_messages", "merge_participants", "merged_participants_gone",
                 "merge_entries", "merge_mailboxes"):  # fmt: skip
        cursor.execute(SQL[name], values)
    (values["ahead"],) = cursor.execute(SQL["last_note"], (into,)).fetchone()
    values["notes"] = cursor.execute(SQL["merge_notes"], values).rowcount
    _merge_records(cursor, values)
    cursor.execute(SQL["merge_tasks"], values)
    cursor.execute(SQL["align_tasks"], {"numbers": "[]", "conversations": json_list([into])})
    return True


def _merge_records(cursor: sqlite3.Cursor, values: dict[str, int]) -> None:
    """Of two records that of `into` goes on; one that is alone, or the only one not deleted, gets the other's name."""
    goes, stays = (cursor.execute(SQL["is_record_deleted"], (values[which],)).fetchone() for which in ("gone", "into"))
    if goes == (0,) and stays != (0,):
        cursor.execute(SQL["forget_deleted_record"], (values["into"],))
        cursor.execute(SQL["move_record"], values)
    else:
        cursor.execute(SQL["delete_merged_record"], values)
        cursor.execute(SQL["add_notes_to_record"], values)
