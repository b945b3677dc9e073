"""A received message as those see it who verify signatures: fields and body in canonical form, each made once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from mta.message.canonical import CHUNK_OCTETS, RelaxedBodyHash, chunks, relaxed_field, simple_body_end
from mta.message.edit import Buffer
from mta.message.fields import HeaderField
from mta.message.parse import Message


class Material:
    """One message; its bytes have to stay as long as this is used."""

    def __init__(self, message: Message) -> None:
        self._data: Buffer = message.data
        self._fields: Sequence[HeaderField] = message.fields
        self._body_start = message.root.body_start
        self._relaxed: dict[int, bytes] = {}
        self._bodies: dict[str, tuple[bytes, int]] = {}
        self._by_name: dict[bytes, list[int]] = {}
        for index, field in enumerate(self._fields):
            self._by_name.setdefault(field.name, []).append(index)

    @property
    def size_octets(self) -> int:
        return len(self._data)

    def indexes(self, name: bytes) -> Sequence[int]:
        """The fields of that name (in lower case), from the top down."""
        return self._by_name.get(name, ())

    def raw(self, index: int) -> bytes:
        """A whole field with a CRLF at its end."""
        field = self._fields[index]
        return self._data[field.start : field.end].removesuffix(b"\r\n") + b"\r\n"

    def value(self, index: int) -> bytes:
        """What stands behind a field's colon, line end included."""
        return self._data[self._fields[index].value_start : self._fields[index].end]

    def canonical(self, index: int, form: str) -> bytes:
        """A field with its CRLF, "simple" or "relaxed"."""
        if form == "simple":
            return self.raw(index)
        made = self._relaxed.get(index)
        if made is None:
            made = self._relaxed[index] = relaxed_field(self.raw(index)) + b"\r\n"
        return made

    def selected(self, names: Iterable[bytes], form: str, *, without: int) -> bytes:
        """The signed fields in the order of h=: of each name from the lowest up, what isn't there left out (§5.4.2)."""
        left: dict[bytes, list[int]] = {}
        pieces = []
        for name in names:
            indexes = left.get(name)
            if indexes is None:
                indexes = left[name] = [index for index in self.indexes(name) if index != without]
            if indexes:
                pieces.append(self.canonical(indexes.pop(), form))
        return b"".join(pieces)

    def body(self, form: str) -> tuple[bytes, int]:
        """The SHA-256 of the body in canonical form, and how many octets that form has."""
        if form not in self._bodies:
            with memoryview(self._data) as whole, whole[self._body_start :] as body:
                self._bodies[form] = _relaxed(body) if form == "relaxed" else _simple(body)
        return self._bodies[form]


def _relaxed(body: memoryview) -> tuple[bytes, int]:
    hashing = RelaxedBodyHash()
    for piece in chunks([body]):
        hashing.update(piece)
    return hashing.digest(), hashing.octets


def _simple(body: memoryview) -> tuple[bytes, int]:
    end = simple_body_end(body)
    hashing = sha256()
    for start in range(0, end, CHUNK_OCTETS):
        with body[start : min(end, start + CHUNK_OCTETS)] as piece:
            hashing.update(piece)
    hashing.update(b"\r\n")
    return hashing.digest(), end + 2
