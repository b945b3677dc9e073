"""Items of servers that keep nothing but a message and flags: Maildir and IMAP."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mta.message.addresses import addresses
from mta.message.classify import classify
from mta.message.contents import Contents, File
from mta.message.parse import LimitExceededError, Message, parse
from mta.model.mailbox_item import (
    FollowUp,
    FoundItem,
    Importance,
    ItemRef,
    Marks,
    NewItem,
    Participant,
    Sensitivity,
    SentItem,
    StoredAttachment,
)
from mta.ports.mailbox import RefusedError

STAMP_FIELD = "X-Stampline-Job"
LARGEST_OCTETS = 150_000_000
"""What is larger is never read: it would stand in memory several times."""
_SYSTEM = frozenset({"\\seen", "\\flagged", "\\draft", "\\deleted", "\\recent"})
_KEYWORD = re.compile(r"\\?[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|~]{1,100}\Z")
_NO_KEYWORD = re.compile(r"[^!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|~]")
_LINE_END = re.compile(rb"\r?\n")
_SENSITIVITIES: dict[str, Sensitivity] = {
    "personal": "personal", "private": "private", "company-confidential": "confidential",
}  # fmt: skip
_IMPORTANCES: dict[str, Importance] = {"high": "high", "urgent": "high", "low": "low", "non-urgent": "low"}


@dataclass(frozen=True, slots=True)
class Kept:
    """What the server keeps beside the message."""

    ref: ItemRef
    flags: frozenset[str]
    """As in IMAP: `\\Seen`, `\\Flagged`, keywords."""
    stored_at: datetime | None
    """INTERNALDATE."""


# --- flags ------------------------------------------------------------------------------------------------------------


def marks_of(flags: Iterable[str]) -> Marks:
    """What flags say. There are no categories: what users see as such are keywords."""
    present = {flag.lower(): flag for flag in flags}
    return Marks(
        is_read="\\seen" in present,
        follow_up=FollowUp("flagged" if "\\flagged" in present else "none"),
        keywords=tuple(sorted(flag for lower, flag in present.items() if lower not in _SYSTEM)),
    )


def flags_of(marks: Marks) -> list[str]:
    """The flags that say so, sorted; a category becomes a keyword, `_` for what keywords can't hold."""
    flags = {word for word in marks.keywords if _KEYWORD.match(word) and word.lower() not in _SYSTEM}
    flags.update(_NO_KEYWORD.sub("_", category)[:100] for category in marks.categories if category)
    if marks.is_read:
        flags.add("\\Seen")
    if marks.follow_up.status == "flagged":
        flags.add("\\Flagged")
    return sorted(flags)


# --- reading ----------------------------------------------------------------------------------------------------------


def as_crlf(data: bytes) -> bytes:
    """Every line end as CRLF."""
    if data.count(b"\n") == data.count(b"\r\n"):
        return data  # as most are: no second copy of them is made
    return _LINE_END.sub(b"\r\n", data)


def scanned(data: bytes) -> Message:
    """Raises RefusedError for a message that is over the limits of header and parts."""
    try:
        return parse(data)
    except LimitExceededError as exc:
        raise RefusedError("broken-item", str(exc)) from exc


def found_item(ref: ItemRef, header: bytes) -> FoundItem | None:
    """An item by its header (CRLF line ends); None for one whose header is over the limits."""
    try:
        message = parse(header)
    except LimitExceededError:
        return None
    return FoundItem(ref, message.message_id, message.header(STAMP_FIELD), _moment(message.header("date")))


def sent_item(data: bytes, kept: Kept) -> SentItem:
    """The whole item; `data` has CRLF line ends. Raises RefusedError for one that can't be parsed."""
    message = scanned(data)
    contents = Contents(message)
    index, topic = message.header("thread-index"), message.header("thread-topic")
    return SentItem(
        ref=kept.ref,
        message_id=message.message_id,
        subject=message.subject,
        is_draft="\\Draft" in kept.flags,
        size_octets=len(data),
        sent_at=_moment(message.header("date")),
        delivered_at=kept.stored_at,
        author=_first(message, "from"),
        sender=_first(message, "sender"),
        to=_participants(message, "to"),
        cc=_participants(message, "cc"),
        bcc=_participants(message, "bcc"),
        reply_to=_participants(message, "reply-to"),
        html=contents.html,
        text=contents.text,
        attachments=tuple(map(_stored, contents.files)),
        mime=data,
        stamp=message.header(STAMP_FIELD),
        marks=marks_of(kept.flags),
        importance=_importance(message),
        sensitivity=_SENSITIVITIES.get(message.header("sensitivity").lower(), "normal"),
        wants_read_receipt=message.has("disposition-notification-to"),
        wants_delivery_receipt=message.has("return-receipt-to"),
        conversation_topic=topic,
        conversation_index=_octets(index),
        in_reply_to=message.header("in-reply-to"),
        references=message.header("references"),
        is_protected=classify(message, reverse_path_is_null=False).rights_protected,
    )


def _moment(written: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(written)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _participants(message: Message, name: str) -> tuple[Participant, ...]:
    return tuple(Participant(str(mailbox.address), mailbox.display) for mailbox in addresses(message, name))


def _first(message: Message, name: str) -> Participant | None:
    found = _participants(message, name)
    return found[0] if found else None


def _stored(file: File) -> StoredAttachment:
    return StoredAttachment(
        name=file.name,
        content_type=file.content_type,
        size_octets=len(file.octets),
        content_id=file.content_id,
        is_inline=file.is_inline,
        is_item=file.is_message,
    )


def _importance(message: Message) -> Importance:
    for name in ("importance", "priority"):
        if (found := _IMPORTANCES.get(message.header(name).lower())) is not None:
            return found
    return {"1": "high", "2": "high", "4": "low", "5": "low"}.get(message.header("x-priority")[:1], "normal")  # type: ignore[return-value]


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


# --- writing ----------------------------------------------------------------------------------------------------------


def stamped(item: NewItem) -> bytes:
    """The message to store, CRLF line ends: our field on top, and no other of that name."""
    return f"{STAMP_FIELD}: {_one_line(item.stamp)}\r\n".encode() + _without(item.mime, STAMP_FIELD)


def _without(data: bytes, name: str) -> bytes:
    pieces: list[bytes] = []
    position = 0
    for field in scanned(data).fields_named(name):
        pieces.append(data[position : field.start])
        position = field.end
    return b"".join([*pieces, data[position:]])


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def stored_at(item: NewItem) -> datetime | None:
    """What INTERNALDATE the new item gets."""
    return item.original.delivered_at or item.original.sent_at
