"""A record as the rules that were carried out so far leave it, and all that they want done.

Changes name a transaction that may not be opened yet: number 0 stands for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from mta.message.tokens import TokenStyle
from mta.model.record import AddNote, Change, CreateRecord, DeleteRecord, Record, UpdateRecord
from mta.model.transaction import Transaction
from mta.tracking.record.facts import Facts

CLOSED = "closed"
FIELDS_MAX = 200
"""Of one record."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What records get where no rule says otherwise."""

    owners: Mapping[str, str]
    """Module → address key; "" for nobody."""
    accepted_domains: Collection[str]
    """Domain keys."""
    subject_length: int
    styles: Mapping[str, TokenStyle]
    """Module → how its tokens are written: titles don't repeat them."""
    restricted: tuple[str, ...]
    """Attachments that are left out: endings and media types."""


@dataclass(frozen=True, slots=True)
class NoticeWish:
    """Somebody gets to know of the record."""

    rule: str
    to: tuple[str, ...]
    """`requester`, `owner`, `sender`, `participants`, or addresses."""
    template: str = ""
    subject: str = ""
    account: str = ""
    """Name; "" for the one that fits."""
    sender: str = ""
    """From; "" for the one that fits."""
    once: str = ""
    """Where not empty: such a notice is made once, and not once for each occasion."""


@dataclass(frozen=True, slots=True)
class CallWish:
    """A sink gets to know of the record."""

    rule: str
    sink: str
    event: str
    """"" for what happened."""
    fields: tuple[str, ...] | None
    """None for all."""
    attachments: str


@dataclass(frozen=True, slots=True)
class MarkWish:
    """The copies in people's mailboxes are marked as filed."""

    rule: str


Wish = NoticeWish | CallWish | MarkWish


@dataclass(frozen=True, slots=True)
class Failure:
    """An action that could not be carried out; `reason` holds no values of the message."""

    rule: str
    action: str
    reason: str


class Draft:
    """What rules work on; one for each message, or for each record whose time has come."""

    def __init__(self, facts: Facts, defaults: Defaults, known_files: Collection[str] = ()) -> None:
        """`known_files`: hashes of the files that the record has."""
        self.facts = facts
        self.defaults = defaults
        self.known_files = known_files
        self.message = facts.message
        self.outcome = facts.outcome
        self.record = facts.record if facts.record is not None and not facts.record.is_deleted else None
        self.is_deleted = False
        """By this message's rules. A record that went before is none: what is written now can make it anew."""
        self.changes: list[Change] = []
        self.wishes: list[Wish] = []
        self.failures: list[Failure] = []
        self.joins = False
        """A rule let a held message in."""

    @property
    def transaction(self) -> Transaction | None:
        return self.record.transaction if self.record is not None else self.facts.transaction

    @property
    def note(self) -> AddNote | None:
        """The last one that was added."""
        return next((change for change in reversed(self.changes) if isinstance(change, AddNote)), None)

    @property
    def event(self) -> str:
        """What has happened to the record so far, in one word."""
        kinds = [type(change) for change in self.changes]
        if DeleteRecord in kinds:
            return "record.deleted"
        if CreateRecord in kinds:
            return "record.created"
        return "note.added" if AddNote in kinds else "record.updated"

    def create(self, change: CreateRecord) -> None:
        """Of a transaction that has no record."""
        now = self.facts.now
        self.record = Record(
            change.transaction, change.state, change.title, change.requester, change.owner, change.source, now, now,
            now if change.state == CLOSED else None, dict(change.fields),
        )  # fmt: skip
        self.changes.append(change)

    def update(
        self,
        *,
        state: str | None = None,
        title: str | None = None,
        owner: str | None = None,
        requester: str | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        """What differs from how the record stands becomes one change."""
        record = self.record
        assert record is not None
        new = {name: value for name, value in (fields or {}).items() if record.fields.get(name) != value}
        room = FIELDS_MAX - len(record.fields.keys() - new.keys())
        change = UpdateRecord(
            record.transaction,
            _changed(state, record.state),
            _changed(title, record.title),
            _changed(owner, record.owner),
            _changed(requester, record.requester),
            dict(list(new.items())[: max(room, 0)]),
        )
        if change == UpdateRecord(record.transaction):
            return
        self.changes.append(change)
        self.record = replace(
            record,
            state=state if state is not None else record.state,
            title=title if title is not None else record.title,
            owner=owner if owner is not None else record.owner,
            requester=requester if requester is not None else record.requester,
            fields={**record.fields, **change.fields},
            closed_at=record.closed_at if state is None else self.facts.now if state == CLOSED else None,
            updated_at=self.facts.now,
        )

    def delete(self) -> None:
        assert self.record is not None
        self.changes.append(DeleteRecord(self.record.transaction))
        self.is_deleted = True

    def add_note(self, note: AddNote) -> None:
        self.changes.append(note)
        if self.record is not None:
            self.record = replace(self.record, notes=self.record.notes + 1, updated_at=self.facts.now)


def _changed(wanted: str | None, there: str) -> str | None:
    """None where it is so already."""
    return None if wanted == there else wanted
