"""Header fields: reading them as text, and the edits that set, remove and tag them."""

from __future__ import annotations

from dataclasses import dataclass

from mta.message.edit import Edit
from mta.message.parse import Message
from mta.model.address import Address


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox of an address list; `display` is decoded, "" where there is none."""

    display: str
    address: Address


def decode_text(raw: bytes) -> str:
    """A field's value as text: unfolded, RFC 2047 decoded, undeclared 8-bit as UTF-8 or else Windows-1252."""
    raise NotImplementedError


def format_field(name: str, text: str) -> bytes:
    """A whole field with its CRLF, encoded (RFC 2047) and folded; `text` is one line. Raises ValueError for a bad name."""
    raise NotImplementedError


def addresses(message: Message, name: str) -> list[Mailbox]:
    """All mailboxes of all fields of that name, in order; what is not an address is left out."""
    raise NotImplementedError


def set_header(message: Message, name: str, text: str) -> list[Edit]:
    """Replace the first field of that name and remove the others, or add one at the header's end."""
    raise NotImplementedError


def remove_header(message: Message, name: str) -> list[Edit]:
    """Remove every field of that name."""
    raise NotImplementedError


def tag_subject(message: Message, text: str, where: str) -> list[Edit]:
    """Put `text` before ("prefix") or behind ("suffix") the subject, unless it is there already."""
    raise NotImplementedError


def prepend(message: Message, block: bytes) -> Edit:
    """Put `block` (whole fields with CRLF) on top of the message."""
    raise NotImplementedError
