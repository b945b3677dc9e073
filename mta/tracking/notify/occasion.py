"""What a notice or a call tells of: a record as it stands now, and what happened to it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mta.config.tracking_schema import Module
from mta.message.tokens import TokenStyle
from mta.model.record import AddNote, Record
from mta.model.transaction import Transaction

if TYPE_CHECKING:
    from mta.tracking.record.facts import MessageFacts


@dataclass(frozen=True, slots=True)
class Occasion:
    key: str
    """Names it within the organisation: the entry's key, or a time-triggered rule, its record and its time."""
    event: str
    """`record.created`, `record.updated`, `record.deleted`, `note.added`; `record.pending` of a stranger's message."""
    record: Record
    note: AddNote | None
    """The one that was added now."""
    message: MessageFacts | None
    participants: Collection[str]
    """Address keys, from now on."""
    now: datetime

    @property
    def transaction(self) -> Transaction:
        return self.record.transaction


def style_of(module: Module | None, name: str) -> TokenStyle:
    """How a module's records are written; of one that is not configured any more, by its name alone."""
    return module.style if module is not None else TokenStyle(name, name.capitalize(), 1, "")


def url_of(module: Module | None, transaction: Transaction, *, for_staff: bool) -> str:
    """Where a record is seen; "" where nothing is configured. Staff without a page of their own get everybody's."""
    if module is None:
        return ""
    pattern = (module.staff_url if for_staff else "") or module.self_service_url
    number = str(transaction.number)
    filled = pattern.replace("{module}", transaction.module).replace("{number}", number)
    return filled.replace("{id}", number.zfill(module.digits))
