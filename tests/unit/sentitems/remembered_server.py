"""A mailbox server in memory, as strict as the port; what it makes shows late, and at any call it fails or we die."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeVar

from mta.message.contents import Contents
from mta.message.parse import parse
from mta.model.mailbox_item import FoundItem, ItemRef, Marks, NewItem, Removal, SentItem, StoredAttachment, stamped_job
from mta.model.writeback import FiledItem, FiledMark
from mta.ports.mailbox import ConflictError, EndpointBusyError, ItemGoneError, OutcomeUnknownError

Value = TypeVar("Value")


class Died(BaseException):
    """The process ended there."""


class Fault(Enum):
    DIES_BEFORE = "dies-before"
    DIES_AFTER = "dies-after"
    BUSY = "busy"
    UNKNOWN_BEFORE = "unknown-before"
    """Time runs out, and nothing was done."""
    UNKNOWN_AFTER = "unknown-after"
    CONFLICT = "conflict"
    """Of calls that know conflicts."""


@dataclass
class Kept:
    item: SentItem
    shown_from: float = 0.0


@dataclass
class RememberedServer:
    """One mailbox. Time stands still but for `advance`."""

    late_s: float = 0.0
    """So long `find` doesn't show what was made."""
    has_change_keys: bool = True
    takes_fields: bool = False
    """It has no MIME."""
    can_rewrite: bool = False
    distorts: Callable[[SentItem], SentItem] = lambda item: item
    """What the server makes of an item that we make."""
    faults: Mapping[int, Fault] = field(default_factory=dict)
    """By the number of the call, over all attempts."""
    happenings: dict[int, Callable[[RememberedServer], None]] = field(default_factory=dict)
    """What the mailbox's owner does before a call."""
    now_s: float = 0.0
    calls: list[str] = field(default_factory=list)
    kept: dict[str, Kept] = field(default_factory=dict)
    removed: list[tuple[str, Removal]] = field(default_factory=list)
    fewest: int = 1_000_000
    """Items there were at any moment, once there was one."""
    _number: int = 0

    # --- for tests ---

    def put(self, item: SentItem) -> SentItem:
        ref = self._new_ref()
        stored = replace(item, ref=ref)
        self.kept[ref.id] = Kept(stored)
        return stored

    def change(self, name: str, **changes: object) -> None:
        """As its owner does."""
        kept = self.kept[name]
        kept.item = replace(kept.item, ref=self._changed(kept.item.ref), **changes)  # type: ignore[arg-type]

    def take_away(self, name: str) -> None:
        """As its owner deletes or moves it; that there is none then is as he wants it."""
        del self.kept[name]

    def advance(self, seconds: float) -> None:
        self.now_s += seconds

    @property
    def items(self) -> list[SentItem]:
        return [kept.item for kept in self.kept.values()]

    # --- the port ---

    async def sign_in(self, mailbox: str) -> str:
        return "remembered"

    async def primary_address(self, mailbox: str) -> str:
        return mailbox

    async def close(self) -> None:
        return None

    async def find(self, mailbox: str, message_id: str, job: str) -> Sequence[FoundItem]:
        def look() -> list[FoundItem]:
            return [
                _found(item)
                for item in self._shown()
                if item.message_id == message_id or (item.stamp and stamped_job(item.stamp) == job)
            ]

        return self._call("find", look)

    async def find_similar(
        self, mailbox: str, subject: str, sent_at: datetime, within: timedelta
    ) -> Sequence[FoundItem]:
        def look() -> list[FoundItem]:
            return [
                _found(item)
                for item in self._shown()
                if item.subject == subject and item.sent_at is not None and abs(item.sent_at - sent_at) <= within
            ]

        return self._call("find_similar", look)

    async def read(self, mailbox: str, ref: ItemRef) -> SentItem:
        return self._call("read", lambda: self._kept(ref).item)

    async def create(self, mailbox: str, item: NewItem) -> ItemRef:
        def make() -> ItemRef:
            ref = self._new_ref()
            made = self.distorts(self._stored(item, replace(item.original, ref=ref)))
            self.kept[ref.id] = Kept(made, self.now_s + self.late_s)
            return ref

        return self._call("create", make)

    async def find_filed(self, mailbox: str, message_id: str) -> Sequence[FiledItem]:
        raise NotImplementedError("jobs for Sent Items mark nothing")

    async def put_mark(self, mailbox: str, ref: ItemRef, mark: FiledMark) -> ItemRef:
        raise NotImplementedError("jobs for Sent Items mark nothing")

    async def rewrite(self, mailbox: str, ref: ItemRef, item: NewItem) -> ItemRef:
        def change() -> ItemRef:
            kept = self._unchanged(ref)
            kept.item = self.distorts(self._stored(item, replace(kept.item, ref=self._changed(kept.item.ref))))
            return kept.item.ref

        return self._call("rewrite", change)

    async def set_marks(self, mailbox: str, ref: ItemRef, marks: Marks) -> ItemRef:
        def change() -> ItemRef:
            kept = self._unchanged(ref)
            kept.item = replace(kept.item, ref=self._changed(kept.item.ref), marks=marks)
            return kept.item.ref

        return self._call("set_marks", change)

    async def remove(self, mailbox: str, ref: ItemRef, how: Removal, *, is_fresh: bool = False) -> None:
        def away() -> None:
            if ref.id in self.kept:
                self._unchanged(ref)
                del self.kept[ref.id]
                self.removed.append((ref.id, how))

        return self._call("remove", away)

    # --- inside ---

    def _call(self, name: str, act: Callable[[], Value]) -> Value:
        number = len(self.calls)
        self.calls.append(name)
        if number in self.happenings:
            self.happenings[number](self)
        fault = self.faults.get(number)
        if fault is Fault.DIES_BEFORE:
            raise Died
        if fault is Fault.BUSY:
            raise EndpointBusyError("429")
        if fault is Fault.UNKNOWN_BEFORE and name in _CHANGING:
            raise OutcomeUnknownError("timeout")
        if fault is Fault.CONFLICT and name in ("set_marks", "remove", "rewrite"):
            raise ConflictError("ErrorIrresolvableConflict")
        result = act()
        self.fewest = min(self.fewest, len(self.kept))
        if fault is Fault.DIES_AFTER:
            raise Died
        if fault is Fault.UNKNOWN_AFTER and name in _CHANGING:
            raise OutcomeUnknownError("timeout")
        return result

    def _shown(self) -> list[SentItem]:
        return [kept.item for kept in self.kept.values() if kept.shown_from <= self.now_s]

    def _kept(self, ref: ItemRef) -> Kept:
        if ref.id not in self.kept:
            raise ItemGoneError("ErrorItemNotFound")
        return self.kept[ref.id]

    def _unchanged(self, ref: ItemRef) -> Kept:
        kept = self._kept(ref)
        if self.has_change_keys and ref.change_key and ref.change_key != kept.item.ref.change_key:
            raise ConflictError("ErrorIrresolvableConflict")
        return kept

    def _new_ref(self) -> ItemRef:
        self._number += 1
        return ItemRef(f"item-{self._number}", "key-0" if self.has_change_keys else "")

    def _changed(self, ref: ItemRef) -> ItemRef:
        self._number += 1
        return ItemRef(ref.id, f"key-{self._number}" if self.has_change_keys else "")

    def _stored(self, new: NewItem, like: SentItem) -> SentItem:
        if self.takes_fields:
            files = tuple(
                StoredAttachment(file.name, file.content_type, len(file.data), file.content_id, file.is_inline)
                for file in new.attachments
            )
            html, text, mime = new.html, new.text if new.html is None else None, b""
        else:
            contents = Contents(parse(new.mime))
            files = tuple(
                StoredAttachment(file.name, file.content_type, len(file.octets), file.content_id, file.is_inline)
                for file in contents.files
            )
            html, text, mime = contents.html, contents.text, new.mime
        return replace(
            like, message_id=new.message_id, subject=new.subject, html=html, text=text, mime=mime, attachments=files,
            stamp=new.stamp, marks=new.marks, size_octets=len(new.mime), in_reply_to=new.in_reply_to,
            references=new.references,
        )  # fmt: skip


_CHANGING = ("create", "rewrite", "set_marks", "remove")


def _found(item: SentItem) -> FoundItem:
    return FoundItem(item.ref, item.message_id, item.stamp, item.sent_at)
