"""Reads what can be read in a damaged database, page by page (https://www.sqlite.org/fileformat2.html).

SQLite itself stops at the first page that makes no sense, and the `.recover` of its shell is not built in everywhere.
A row is known by its shape, so neither header nor schema has to be whole; rows on pages that the database had given up
are passed over as long as its list of those can be read.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

PAGE = 4096
"""Octets; the store has never had any other size."""
_TABLE_LEAF, _INDEX_LEAF, _INDEX_INTERIOR = 13, 10, 2
_FRAME = 24
_LOG_HEADER = 32
_LOG_MAGIC = (0x377F0682, 0x377F0683)
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_FIELDS_MAX = 64
MARKS = frozenset(
    {
        "attachment", "conversation", "conversation_message", "conversation_number", "counted_message",
        "monitored_mailbox", "note", "octets", "participant", "record", "record_rule", "task", "tracked_bounce",
        "tracked_entry", "tracking_run",
    }
)  # fmt: skip
"""Tables of tracking, whose rows say of which they are."""
_JOB_STATES = frozenset({"waiting", "done", "skipped", "given-up"})

Value = int | float | str | bytes | None
Row = tuple[Value, ...]
Key = tuple[int, int]


class UnreadableError(Exception):
    """What stands there is no record."""


@dataclass(slots=True)
class Salvaged:
    """Rows by their keys; columns in the order of the tables, later ones may be missing."""

    messages: dict[int, Row] = field(default_factory=dict)
    contents: dict[int, Row] = field(default_factory=dict)
    deliveries: dict[Key, Row] = field(default_factory=dict)
    """By message and part."""
    variants: dict[Key, Row] = field(default_factory=dict)
    jobs: dict[int, Row] = field(default_factory=dict)
    copies: dict[tuple[int, str, int], Row] = field(default_factory=dict)
    """By job, queue id and variant."""


def salvage(database: Path, marked: Callable[[str, int, Row], None] = lambda *_: None) -> Salvaged:
    """All rows that can be read in a database and the log beside it; those of MARKS are handed on, one by one.

    Raises OSError.
    """
    log = database.with_name(database.name + "-wal")
    found = Salvaged()
    with database.open("rb") as file:
        if not file.seek(0, 2):
            return found
        with closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data:
            pages = _Pages(data, _committed(log.read_bytes()) if log.exists() else {})
            for is_table, rowid, row in pages.rows():
                if is_table and len(row) > 1 and row[0] is None and row[1] in MARKS:
                    marked(str(row[1]), rowid, row)
                else:
                    _sort(found, is_table, rowid, row)
    return found


def _sort(found: Salvaged, is_table: bool, rowid: int, row: Row) -> None:
    match is_table, row:
        case True, (None, str(), int(), int(), str(), str(), None | str(), *_):
            found.messages[rowid] = (rowid, *row[1:])
        case True, (None, str(), bytes(), str(envelope), str(decision), None | bytes(), *_) if _are_json(
            envelope, decision
        ):
            found.contents[rowid] = (rowid, *row[1:])
        case True, (int(message), int(variant), bytes()) | (int(message), int(variant), bytes(), int()):
            found.variants[message, variant] = row
        case True, (None, str(), str(), str(), str(), None | int(), int(), str(state), int(), None | int(), *_) if (
            state in _JOB_STATES
        ):
            found.jobs[rowid] = (rowid, *row[1:])
        case False, (int(job), str(queue_id), int(variant), None | int(), int(), int(), int()):
            found.copies[job, queue_id, variant] = row
        case False, (int(message), int(part), str(), "queued" | "held", _, int(attempts), _, str(recipients), *_):
            older = found.deliveries.get((message, part))
            if _are_json(recipients) and (older is None or int(older[5] or 0) <= attempts):
                found.deliveries[message, part] = row


def _are_json(*texts: str) -> bool:
    try:
        for text in texts:
            json.loads(text)
    except ValueError:
        return False
    return True


def _committed(log: bytes) -> dict[int, memoryview]:
    """Page number → its newest version among the log's committed frames.

    Checksums are not looked at: a torn frame gives records that make no sense, as a torn page does.
    """
    if len(log) < _LOG_HEADER or struct.unpack_from(">I", log)[0] not in _LOG_MAGIC:
        return {}
    salts = log[16:24]
    view = memoryview(log)
    pages: dict[int, memoryview] = {}
    pending: dict[int, memoryview] = {}
    for at in range(_LOG_HEADER, len(log) - _FRAME - PAGE + 1, _FRAME + PAGE):
        number, size_after = struct.unpack_from(">II", log, at)
        if log[at + 8 : at + 16] != salts:
            break
        pending[number] = view[at + _FRAME : at + _FRAME + PAGE]
        if size_after:
            pages.update(pending)
            pending.clear()
    return pages


class _Pages:
    def __init__(self, data: mmap.mmap, newer: dict[int, memoryview]) -> None:
        self._data = data
        self._newer = newer
        self._count = max(len(data) // PAGE, max(newer, default=0))

    def _page(self, number: int) -> bytes:
        newer = self._newer.get(number)
        if newer is not None:
            return bytes(newer)
        page = self._data[(number - 1) * PAGE : number * PAGE]
        if number < 1 or len(page) != PAGE:
            raise UnreadableError
        return page

    def rows(self) -> Iterator[tuple[bool, int, Row]]:
        """(whether of a table by rowid, rowid, values) of every record on a page that is in use."""
        unused = self._unused()
        for number in range(1, self._count + 1):
            if number in unused:
                continue
            try:
                yield from self._records(self._page(number), 100 if number == 1 else 0)
            except UnreadableError:
                continue

    def _unused(self) -> set[int]:
        """Pages on the free list, as far as it can be followed."""
        unused: set[int] = set()
        try:
            trunk = struct.unpack_from(">I", self._page(1), 32)[0]
            while trunk and trunk not in unused:
                page = self._page(trunk)
                unused.add(trunk)
                trunk, count = struct.unpack_from(">II", page)
                unused.update(struct.unpack_from(f">{min(count, PAGE // 4 - 2)}I", page, 8))
        except UnreadableError:
            pass
        return unused

    def _records(self, page: bytes, start: int) -> Iterator[tuple[bool, int, Row]]:
        kind = page[start]
        if kind not in (_TABLE_LEAF, _INDEX_LEAF, _INDEX_INTERIOR):
            return
        count = struct.unpack_from(">H", page, start + 3)[0]
        first = start + (12 if kind == _INDEX_INTERIOR else 8)
        if first + 2 * count > PAGE:
            raise UnreadableError
        for cell in struct.unpack_from(f">{count}H", page, first):
            try:
                yield self._cell(page, kind, cell)
            except (UnreadableError, IndexError, struct.error, UnicodeDecodeError):
                continue  # this one makes no sense; its neighbours may

    def _cell(self, page: bytes, kind: int, at: int) -> tuple[bool, int, Row]:
        if kind == _INDEX_INTERIOR:
            at += 4
        size, at = _varint(page, at)
        rowid = 0
        if kind == _TABLE_LEAF:
            rowid, at = _varint(page, at)
        return kind == _TABLE_LEAF, rowid, _record(self._payload(page, at, size, is_table=kind == _TABLE_LEAF))

    def _payload(self, page: bytes, at: int, size: int, *, is_table: bool) -> bytes:
        most = PAGE - 35 if is_table else (PAGE - 12) * 64 // 255 - 23
        if size <= most:
            return page[at : at + size]
        least = (PAGE - 12) * 32 // 255 - 23
        local = least + (size - least) % (PAGE - 4)
        local = local if local <= most else least
        if size > len(self._data) + len(self._newer) * PAGE:
            raise UnreadableError
        parts = [page[at : at + local]]
        (following,) = struct.unpack_from(">I", page, at + local)
        left = size - local
        while left > 0:
            more = self._page(following)
            parts.append(more[4 : 4 + min(left, PAGE - 4)])
            left -= PAGE - 4
            (following,) = struct.unpack_from(">I", more)
        return b"".join(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        byte = data[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    return value << 8 | data[at], at + 1


def _record(payload: bytes) -> Row:
    end, at = _varint(payload, 0)
    kinds = []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
        if len(kinds) > _FIELDS_MAX:
            raise UnreadableError
    if at != end:
        raise UnreadableError
    values: list[Value] = []
    for kind in kinds:
        value, at = _value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise UnreadableError
    return tuple(values)


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    if kind in (8, 9):
        return kind - 8, at
    if kind < 12:
        raise UnreadableError  # the store has no floating point numbers
    end = at + (kind - 12) // 2
    data = payload[at:end]
    return (data.decode("utf-8") if kind % 2 else data), end
