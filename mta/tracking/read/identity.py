"""What names a message: its Message-ID with author and date; without one, its content.

The Message-ID alone would let anybody who has seen one hide another's message by being faster, or one's own behind it;
and there are programs that give every message the same. Author and date stay what they are through every server, list
and mailbox, while bodies change: footers, another encoding, Exchange's rebuilding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256

from mta.message.attachments.attachment import octets_of
from mta.message.contents import Contents
from mta.message.parse import Message

_ID = re.compile(r"<[^<>\s]{1,990}>")
_LAST_MAX = 500
"""References from the right that are looked at; the first one, which names the root, always is."""
_DATE_MAX = 200
_PROOF = 16
_NO_LETTERS = re.compile(r"[^A-Za-z0-9]+")


def date_of(message: Message) -> datetime | None:
    """Date, in UTC; None for none, and for one that names no moment."""
    written = message.header("date")[:_DATE_MAX]
    if not written:
        return None
    try:
        at = parsedate_to_datetime(written)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def ids_in(message: Message, name: str) -> tuple[str, ...]:
    """Message-IDs in the fields of that name, in order, each once, with brackets; compared as they are written."""
    found: dict[str, None] = {}
    for field in message.fields_named(name):
        found.update(dict.fromkeys(_ID.findall(message.raw(field).decode("utf_8", "replace"))))
    ids = tuple(found)
    return ids if len(ids) <= _LAST_MAX else (ids[0], *ids[-_LAST_MAX:])


def content_hash(message: Message, author_key: str, date: datetime | None, subject: str, contents: Contents) -> str:
    """SHA-256 over what stays when servers encode, fold and wrap anew: who, when, letters and digits, files' octets."""
    digest = sha256()
    for said in (author_key, _moment(message, date), _letters(subject), _letters(_shown(contents))):
        octets = said.encode("utf_8", "surrogatepass")
        digest.update(len(octets).to_bytes(8, "big") + octets)
    for held in sorted(_digests(contents)):
        digest.update(held)
    return digest.hexdigest()


def key_of(message: Message, author_key: str, date: datetime | None, content: str, *, is_forged: bool) -> str:
    """Of the entry. One that claims an author who did not send it never stands in the way of the author's own."""
    if not message.message_id:
        key = f"hash:{content}"
    else:
        whose = f"{author_key}\0{_moment(message, date)}"
        key = f"id:{message.message_id}:{sha256(whose.encode('utf_8', 'surrogatepass')).hexdigest()[:_PROOF]}"
    return f"{key}:forged" if is_forged else key


def _moment(message: Message, date: datetime | None) -> str:
    """Exchange may write it in another zone."""
    return str(int(date.timestamp())) if date is not None else " ".join(message.header("date")[:_DATE_MAX].split())


def _shown(contents: Contents) -> str:
    """The plain text, which is what servers leave alone most; HTML gets new elements at every hop."""
    text = contents.text
    return text if text is not None else contents.html or ""


def _letters(text: str) -> str:
    if text.isascii():
        return _NO_LETTERS.sub("", text).lower()
    return "".join(filter(str.isalnum, text.casefold()))


def _digests(contents: Contents) -> Iterable[bytes]:
    return (sha256(octets_of(file.part)).digest() for file in contents.files)
