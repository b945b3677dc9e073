"""The scanner: header fields and MIME tree as spans over one buffer, in one pass over its delimiter lines.

Line ends are CRLF; a CR or LF alone is an octet like others. Cost is linear in the size: each line that begins with two
dashes is looked up once among the boundaries of the multiparts that are open at that place.
"""

from __future__ import annotations

import re
from collections.abc import KeysView
from functools import lru_cache

from mta.message.edit import Buffer
from mta.message.encoded_words import decode_text
from mta.message.fields import HeaderField, LimitExceededError, Limits, scan_header
from mta.message.parameters import parameters, raw_parameters
from mta.message.part import Part

__all__ = ["Buffer", "HeaderField", "LimitExceededError", "Limits", "Message", "Part", "parse"]

_DASHES = re.compile(rb"\r\n--([^\r\n]{0,1000})")
_BOUNDARY_MAX = 900
_MESSAGE_ID = re.compile(rb"<[^<>\s]{1,990}>")
DEFAULT_LIMITS = Limits()


@lru_cache(maxsize=1024)
def _octets_of(name: str) -> bytes:
    """A field name as `HeaderField` has it; names are asked for by our own code and by rules, never by messages."""
    return name.lower().encode("latin_1", "replace")


class Message:
    """A scanned message; nothing is decoded before it is asked for."""

    __slots__ = ("_by_name", "_subject", "data", "defects", "root")

    def __init__(self, data: Buffer, root: Part, defects: tuple[str, ...]) -> None:
        self.data = data
        self.root = root
        self.defects = defects
        by_name: dict[bytes, list[HeaderField]] = {}
        for field in root.fields:
            if (named := by_name.get(field.name)) is None:
                by_name[field.name] = [field]
            else:
                named.append(field)
        self._by_name = by_name
        self._subject: str | None = None

    @property
    def fields(self) -> tuple[HeaderField, ...]:
        return self.root.fields

    @property
    def body_start(self) -> int:
        return self.root.body_start

    @property
    def names(self) -> KeysView[bytes]:
        """The names of all fields, in lower case."""
        return self._by_name.keys()

    def fields_named(self, name: str) -> list[HeaderField]:
        """All fields of that name (case doesn't matter), in order."""
        return self._by_name.get(_octets_of(name), [])

    def has(self, name: str) -> bool:
        return bool(self.fields_named(name))

    def raw(self, field: HeaderField) -> bytes:
        """A field's value as it stands: folded, encoded, without its last CRLF."""
        return self.data[field.value_start : field.end].removesuffix(b"\r\n")

    def header(self, name: str) -> str:
        """The first field of that name, decoded; "" if there is none."""
        fields = self.fields_named(name)
        return decode_text(self.raw(fields[0])) if fields else ""

    def headers(self, name: str) -> list[str]:
        """All fields of that name, decoded, in order."""
        return [decode_text(self.raw(field)) for field in self.fields_named(name)]

    @property
    def message_id(self) -> str:
        """`<…>`, or "" if there is none."""
        fields = self.fields_named("message-id")
        match = _MESSAGE_ID.search(self.raw(fields[0])) if fields else None
        return match[0].decode("utf_8", "replace") if match else ""

    @property
    def subject(self) -> str:
        if self._subject is None:
            self._subject = self.header("subject")
        return self._subject

    def attachments(self) -> list[Part]:
        """The parts that readers see as files, in order; an attached message counts, what is inside it doesn't."""
        return [part for part in self.root.own_parts() if part.is_attachment]


class _Scanner:
    """`stack` holds the parts that are open at the current place, outermost first."""

    def __init__(self, data: Buffer, limits: Limits) -> None:
        self.data = data
        self.limits = limits
        self.stack: list[Part] = []
        self.boundaries: dict[bytes, int] = {}
        self.parts = 0
        self.floor = 0
        self.defects: dict[str, None] = {}

    def scan(self) -> Part:
        self.enter(0)
        root = self.stack[0]
        position = 0
        while self.boundaries:
            match = self.next_line(max(position, self.floor))
            if match is None:
                break
            position = match.end()
            self.take(match.start(), position, match[1])
        if self.boundaries:
            self.defects["a multipart is not closed"] = None
        for part in self.stack:
            part.body_end = len(self.data)
        return root

    def next_line(self, position: int) -> re.Match[bytes] | None:
        """The next line that begins with two dashes and may be a delimiter."""
        if len(self.boundaries) == 1:
            # One long string is found several times faster than every line with dashes.
            (boundary,) = self.boundaries
            position = self.data.find(b"\r\n--" + boundary, position)
        return _DASHES.search(self.data, position) if position >= 0 else None

    def enter(self, start: int) -> None:
        """Open the part whose header begins at `start`, and the message that it encloses."""
        while True:
            part = self.open(start)
            if part.is_multipart:
                self.open_boundary(part)
            elif part.encloses_message:
                start = part.body_start
                continue
            self.floor = part.body_start - 2
            return

    def open(self, start: int) -> Part:
        self.parts += 1
        if self.parts > self.limits.mime_parts:
            raise LimitExceededError("MIME parts", self.limits.mime_parts)
        if len(self.stack) >= self.limits.mime_depth:
            raise LimitExceededError("levels of MIME nesting", self.limits.mime_depth)
        header = scan_header(self.data, start, self.limits, self.boundaries)
        parent = self.stack[-1] if self.stack else None
        part = Part(self.data, start, header.fields, parent)
        part.header_is_closed = header.is_closed
        part.body_start = header.body_start
        if not header.is_closed:
            self.defects["a header is not closed by an empty line"] = None
        if parent is not None:
            parent.children.append(part)
        self.stack.append(part)
        return part

    def open_boundary(self, part: Part) -> None:
        part.boundary = _boundary(part.value(b"content-type"))
        if not part.boundary:
            self.defects["a multipart has no boundary"] = None
        elif part.boundary in self.boundaries:
            # Lines with it already belong to the multipart around; so do other readers see it.
            self.defects["a boundary is used twice"] = None
        else:
            self.boundaries[part.boundary] = len(self.stack) - 1

    def take(self, start: int, end: int, line: bytes) -> None:
        """Look at a line that begins with two dashes; `start` is its CRLF."""
        line = line.rstrip(b" \t")
        level = self.boundaries.get(line)
        if level is not None:
            self.close_above(level, start)
            if end + 2 < len(self.data):
                self.enter(end + 2)
            return
        level = self.boundaries.get(line[:-2]) if line.endswith(b"--") else None
        if level is not None:
            self.close_above(level, start)
            del self.boundaries[self.stack[level].boundary]

    def close_above(self, level: int, end: int) -> None:
        """Close all parts inside the multipart at `level`."""
        for part in reversed(self.stack[level + 1 :]):
            # A part without text may share the delimiter's line end with its header; so may what is around it.
            part.body_end = max(part.body_start, end, part.children[-1].body_end if part.children else 0)
            if self.boundaries.get(part.boundary, -1) > level:
                del self.boundaries[part.boundary]
                self.defects["a multipart is not closed"] = None
        del self.stack[level + 1 :]
        children = self.stack[level].children
        if children and children[-1].body_end == children[-1].header_start and not children[-1].children:
            children.pop()  # a delimiter line right after another opens no part
            self.defects["a delimiter is doubled"] = None


def _boundary(value: bytes) -> bytes:
    found = raw_parameters(value)
    boundary = found.get(b"boundary", b"")
    if not boundary and any(name.startswith(b"boundary*") for name in found):
        boundary = parameters(value).get("boundary", "").encode()
    boundary = boundary.rstrip()
    return boundary if len(boundary) <= _BOUNDARY_MAX else b""


def parse(data: Buffer, limits: Limits = DEFAULT_LIMITS) -> Message:
    """Scan a message with CRLF line ends. Raises LimitExceededError."""
    scanner = _Scanner(data, limits)
    root = scanner.scan()
    return Message(data, root, tuple(scanner.defects))
