"""What has to be done so that a conversation and its record no longer tell of a person.

Who he was becomes one word in all of the record, another one in each: so its notes can still be told apart, and nobody
can tell that two records are of one person. It is no address, so nothing is ever sent to it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from mta.adapters.store.erasure_plans import Plan, plain
from mta.adapters.store.statements import SQL, json_list
from mta.adapters.store.tracking_rows import fields_json
from mta.model.erasure import ErasedPerson, RecordsMode, full_name
from mta.model.tracking import EntryState

_WORDS = ("received", "sent", "held")
"""Kinds of notes that hold somebody's words, whoever stands as their author."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the store has of one conversation."""

    entries: Sequence[Sequence[Any]]
    notes: Sequence[Sequence[Any]]
    attachments: Sequence[Sequence[Any]]
    participants: Sequence[Sequence[Any]]
    message_ids: Sequence[Sequence[Any]]
    record: Sequence[Any] | None

    @classmethod
    def of(cls, cursor: sqlite3.Cursor, conversation: int) -> _Rows:
        def rows(name: str) -> list[Sequence[Any]]:
            return cursor.execute(SQL[f"erasure_{name}"], (conversation,)).fetchall()

        record = next(iter(rows("record")), None)
        return cls(
            rows("entries"), rows("notes"), rows("attachments"), rows("participants"), rows("message_ids"), record
        )  # fmt: skip


def plan_conversation(cursor: sqlite3.Cursor, conversation: int, person: ErasedPerson, mode: RecordsMode) -> Plan:
    """All of one conversation, in one transaction."""
    return _Planning(cursor, conversation, person, mode).plan()


class _Planning:
    def __init__(self, cursor: sqlite3.Cursor, conversation: int, person: ErasedPerson, mode: RecordsMode) -> None:
        self._conversation = conversation
        self._person = person
        self._is_removing = mode is RecordsMode.REMOVE
        self._rows = _Rows.of(cursor, conversation)
        self._token = f"erased-{token_hex(4)}"
        self._his_ids = {row[3] for row in self._rows.entries if person.is_named(row[1]) and row[3]}
        self._his = {row[0] for row in self._rows.notes if self._wrote(row)}
        self._names = tuple(
            dict.fromkeys(name for row in self._rows.notes if row[0] in self._his and (name := full_name(row[2])))
        )
        self._plan = Plan()

    def plan(self) -> Plan:
        self._forget_participants()
        self._change_entries()
        if self._is_removing and self._rows.record is not None and self._is_his_alone():
            self._remove_record()
        else:
            self._change_notes()
            self._change_attachments()
            self._change_record()
        return self._plan

    def _wrote(self, note: Sequence[Any]) -> bool:
        """By its author, by the name that stands with it, or as what was made of a message of his."""
        _, author, author_name, kind, _, message_id = note
        if self._person.is_named(author) or self._person.is_in(author_name):
            return True
        return message_id in self._his_ids and kind in _WORDS

    def _is_his_alone(self) -> bool:
        """A record about him in which nobody else said anything."""
        assert self._rows.record is not None
        others = (row for row in self._rows.notes if row[0] not in self._his)
        return self._person.is_named(self._rows.record[0]) and not any(row[1] or row[3] in _WORDS for row in others)

    def _struck(self, text: str) -> str:
        return self._person.struck(text, self._token, self._names)

    # --- who took part, and which messages there were ----------------------------------------------------------------

    def _forget_participants(self) -> None:
        for number, address in self._rows.participants:
            if self._person.is_named(address):
                self._plan.do("erasure_forget_participant", number)
                self._plan.counts["participants_forgotten"] += 1
        for number, message_id in self._rows.message_ids:
            if self._person.is_in(message_id):
                self._plan.do("erasure_forget_message_id", number)
                self._plan.counts["message_ids_forgotten"] += 1

    def _change_entries(self) -> None:
        """They stay, so that no message of his is taken once more; who waited to be let in waits no more."""
        for number, sender, state, message_id in self._rows.entries:
            if self._person.is_named(sender):
                waited = state == EntryState.PENDING.value
                after = EntryState.FILTERED.value if waited else state
                self._plan.do("erasure_change_entry", self._token, after, "erased" if waited else None, number)
                self._plan.counts["entries_changed"] += 1
            if self._person.is_in(message_id):
                self._plan.do("erasure_rename_entry", f"erased:{number}", number)

    # --- the record --------------------------------------------------------------------------------------------------

    def _remove_record(self) -> None:
        which = json_list([self._conversation])
        for name in ("purge_notes", "purge_rules", "purge_records"):
            self._plan.do(name, which)
        self._plan.files += [row[-1] for row in self._rows.attachments if row[-1] is not None]
        self._plan.gone += [row[0] for row in self._rows.attachments]
        self._plan.counts["records_removed"] += 1
        self._plan.counts["notes_removed"] += len(self._rows.notes)
        self._plan.counts["attachments_removed"] += len(self._rows.attachments)

    def _change_notes(self) -> None:
        for number, author, author_name, _, text, message_id in self._rows.notes:
            is_his = number in self._his
            if is_his and self._is_removing:
                self._plan.do("erasure_forget_note", number)
                self._plan.counts["notes_removed"] += 1
                continue
            after = (
                self._token if self._person.is_named(author) else author,
                self._token if is_his else self._struck(author_name),
                self._struck(text),
                "" if self._person.is_in(message_id) else message_id,
            )
            if after != (author, author_name, text, message_id):
                self._plan.do("erasure_change_note", *after, number)
                self._plan.counts["notes_changed"] += 1
        if self._is_removing and self._his:
            self._plan.statements.append(("erasure_count_notes", {"conversation": self._conversation}))

    def _change_attachments(self) -> None:
        """His files go; of others' only what they are called."""
        for number, note, name, content_type, file in self._rows.attachments:
            stem, dot, extension = name.rpartition(".")  # ann@example.com.pdf is called after him
            after = [self._struck(stem) + dot + self._struck(extension), self._struck(content_type)]
            if note in self._his:
                self._plan.do("erasure_forget_attachment", number)
                self._plan.gone.append(number)
                self._plan.files += [file] if file is not None else []
                self._plan.counts["attachments_removed"] += 1
            elif after != [name, content_type]:
                self._plan.do("erasure_change_attachment", *after, number)
                self._plan.counts["attachments_renamed"] += 1

    def _change_record(self) -> None:
        if self._rows.record is None:
            return
        requester, owner, title, fields, source = self._rows.record
        values = json.loads(fields)
        struck = {name: self._struck(str(value)) for name, value in values.items()}
        is_about_him = self._person.is_named(requester)
        takes_words = is_about_him and self._is_removing
        after = (
            self._token if is_about_him else requester,
            self._token if self._person.is_named(owner) else owner,
            self._token if takes_words else self._struck(title),
            fields_json({}) if takes_words else fields_json(struck) if struck != values else fields,
            self._struck(source),
        )
        if after != (requester, owner, title, fields, source):
            self._plan.do("erasure_change_record", *after, self._conversation)
        if self._plan.statements:
            self._plan.counts["records_changed"] += 1


def names_in_row(table: str, row: Sequence[Any], person: ErasedPerson) -> bool:
    """Whether a row of `erasure_in_TABLE` names him: columns of address keys, then texts."""
    values = row[2:]
    match table:
        case "participant":
            return person.is_named(values[0])
        case "tracked_entry":
            return person.is_named(values[0]) or person.is_in(values[1])
        case "record":
            requester, owner, title, fields, source = values
            if person.is_named(requester) or person.is_named(owner):
                return True
            return any(person.is_in(text) for text in (title, plain(fields), source))
        case "note":
            return person.is_named(values[0]) or any(person.is_in(text) for text in values)
        case "attachment":
            return any(person.is_in(text) for text in (*values, values[0].rpartition(".")[0]))
    return any(person.is_in(text) for text in values)
