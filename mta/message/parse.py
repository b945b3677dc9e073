"""The scanner: header fields and MIME tree as spans over one buffer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mta.message.edit import Buffer

__all__ = ["Buffer", "HeaderField", "LimitExceededError", "Limits", "Message", "Part", "parse"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on hostile input: octets and fields of one header, depth and number of MIME parts."""

    header_octets: int = 100_000
    header_fields: int = 1000
    mime_depth: int = 100
    mime_parts: int = 1000


class LimitExceededError(Exception):
    """The message is over a limit."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"message has more than {limit} {what}")
        self.what = what
        self.limit = limit


class HeaderField(NamedTuple):
    """A field's span with its CRLF; `name` in lower case, b"" for a line that is no field."""

    name: bytes
    start: int
    value_start: int
    end: int


class Part:
    """A MIME part as spans over the message's buffer."""

    content_type: str
    fields: tuple[HeaderField, ...]
    header_start: int
    body_start: int
    body_end: int
    children: list[Part]
    parent: Part | None
    boundary: bytes
    params: dict[str, str]
    disposition: str
    filename: str
    encoding: str
    charset: str

    @property
    def is_multipart(self) -> bool:
        raise NotImplementedError

    @property
    def is_attachment(self) -> bool:
        raise NotImplementedError

    def walk(self) -> Iterator[Part]:
        """This part and all parts inside it, depth first, in the order of the message."""
        raise NotImplementedError


class Message:
    data: Buffer
    root: Part
    fields: tuple[HeaderField, ...]
    defects: tuple[str, ...]
    body_start: int

    def header(self, name: str) -> str:
        """The first field of that name, decoded; "" if there is none."""
        raise NotImplementedError

    def headers(self, name: str) -> list[str]:
        """All fields of that name, decoded, in order."""
        raise NotImplementedError

    def raw(self, field: HeaderField) -> bytes:
        """A field's value as it stands: folded, encoded, without its last CRLF."""
        raise NotImplementedError

    def has(self, name: str) -> bool:
        raise NotImplementedError

    @property
    def message_id(self) -> str:
        """`<…>`, or "" if there is none."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        raise NotImplementedError

    def attachments(self) -> list[Part]:
        raise NotImplementedError


def parse(data: Buffer, limits: Limits = Limits()) -> Message:  # noqa: B008 (frozen)
    """Scan a message with CRLF line ends. Raises LimitExceededError."""
    raise NotImplementedError
