"""Copies of tracked messages for the processing mailbox: a small multipart message of its own.

A part for people, a part for programs (JSON, signed by HMAC), and the message as message/rfc822 (message/global where
it needs SMTPUTF8, RFC 6532 §3.7), byte-identical but for its Bcc. Neither may be encoded (RFC 2046 §5.2.1), so the
transfer encoding of the whole is the one of the message inside.

Exchange keeps a message as properties and writes its MIME anew when it is fetched: parts are encoded otherwise, the
message inside may be written anew, too. So the proof covers the JSON's values, not its octets; and of a message inside
that isn't the one that was put in (`is_intact`) the relay's word is believed if its Message-ID is the same.
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256
from typing import Any, Literal

from mta.message.addresses import Mailbox
from mta.message.edit import Edit, apply, combine
from mta.message.headers import format_field
from mta.message.mailboxes import address_field
from mta.message.parse import LimitExceededError, Limits, Message, Part, parse
from mta.message.transfer import LINE_MAX, decode, encode_base64
from mta.model.address import Address
from mta.model.transaction import Transaction

CONTENT_TYPE = "application/vnd.stampline.tracking+json"
"""Of the part for programs."""
FILE_NAME = "stampline-tracking.json"
"""Of the same part, for what makes an attachment of it under another type."""
LIMITS = Limits(mime_depth=Limits().mime_depth + 2, mime_parts=Limits().mime_parts + 8)
"""For reading copies: one of a message that is just within our limits is a little above them."""
JSON_MAX = 2_000_000
"""Octets, encoded."""

Direction = Literal["sent", "received", "internal"]
_DIRECTIONS = ("sent", "received", "internal")
_MESSAGES = frozenset({"message/rfc822", "message/global", "message/news"})
_BCC = ("bcc", "resent-bcc")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_EIGHT_BIT = re.compile(rb"[\x80-\xff]")
_NOT_A_LINE = re.compile(rb"\n[^\n]{%d}|\0" % (LINE_MAX + 2))
_NAMED_IN_TEXT = 50


@dataclass(frozen=True, slots=True)
class TrackingCopy:
    """What the part for programs says. Bcc and other hidden recipients are in none of it."""

    transaction: Transaction | None
    """None: a rule wants it in the processing mailbox, and it carries no valid reference; correlation decides."""
    direction: Direction
    """Seen from the organisation: outbound, inbound, internal."""
    mail_from: str
    """Reverse-path; "" is the null one."""
    recipients: tuple[str, ...]
    """Of the envelope, those that a header field names."""
    rule: str
    queue_id: str
    message_id: str
    sha256: str
    """Of the message inside, hexadecimal."""
    accepted_at: datetime
    authenticated: bool | None = None
    """What our listener found out about From (DMARC, or a trusted client's word); None where it didn't look."""
    organisation: str = ""
    """Whose copy it is; `transaction` says the same."""
    is_intact: bool = True
    """The message inside is octet by octet the one that was put in; found out in reading."""
    by: str = ""
    """How the relay knew the transaction, as `Tracked.by`; one that was `opened` may turn out to be an older one."""


@dataclass(frozen=True, slots=True)
class Letterhead:
    """Who writes a copy to whom."""

    sender: Address
    recipient: Address
    message_id: str
    """Of the copy itself, with brackets."""
    date: datetime
    subject: str


Segments = list[bytes | memoryview]


# --- writing ---------------------------------------------------------------------------------------------------------


def inner_message(message: Message, edits: Sequence[Edit] = ()) -> Segments:
    """The message as these edits make it, without its Bcc."""
    hidden = [Edit(field.start, field.end, b"") for name in _BCC for field in message.fields_named(name)]
    kept = [edit for edit in edits if not any(_reaches_into(edit, taken) for taken in hidden)]
    return apply(message.data, combine((*kept, *hidden)))


def _reaches_into(edit: Edit, taken: Edit) -> bool:
    return edit.start < taken.end and taken.start < edit.end


def digest_of(inner: Segments) -> str:
    """SHA-256 of a message in segments, hexadecimal."""
    digest = sha256()
    for segment in inner:
        digest.update(segment)
    return digest.hexdigest()


def write_copy(
    copy: TrackingCopy, key: bytes, inner: Segments, head: Letterhead, *, smtputf8: bool = False
) -> Segments:
    """A whole message with CRLF line ends, in segments; those of `inner` as they are.

    `copy.sha256` is `digest_of(inner)`. Raises ValueError where sender or recipient is beyond ASCII.
    """
    # Nobody who writes a message can guess it, so none has it inside.
    boundary = b"=_copy_" + _proof(key, {"boundary": copy.queue_id, "of": head.message_id}).encode()
    encoding = _encoding(inner)
    kind = b"message/global" if smtputf8 else b"message/rfc822"
    return [
        _header(head, boundary, encoding),
        b"--" + boundary + b"\r\n" + _text_part(b"Content-Type: text/plain; charset=utf-8\r\n", _in_words(copy)),
        b"\r\n--" + boundary + b"\r\n" + _text_part(
            b'Content-Type: %b\r\nContent-Disposition: attachment; filename="%b"\r\n'
            % (CONTENT_TYPE.encode(), FILE_NAME.encode()),
            _signed_json(copy, key),
        ),
        b"\r\n--" + boundary + b"\r\nContent-Type: %b\r\nContent-Disposition: attachment\r\n"
        b"Content-Transfer-Encoding: %b\r\n\r\n" % (kind, encoding),
        *inner,
        b"\r\n--" + boundary + b"--\r\n",
    ]  # fmt: skip


def _header(head: Letterhead, boundary: bytes, encoding: bytes) -> bytes:
    return b"".join((
        f"Date: {format_datetime(head.date)}\r\n".encode(),
        address_field("From", [Mailbox("", head.sender)]),
        address_field("To", [Mailbox("", head.recipient)]),
        f"Message-ID: {head.message_id}\r\n".encode(),
        format_field("Subject", head.subject),
        b"Auto-Submitted: auto-generated\r\n",
        b"X-Auto-Response-Suppress: All\r\n",
        b"MIME-Version: 1.0\r\n",
        b'Content-Type: multipart/mixed;\r\n\tboundary="%b"\r\n' % boundary,
        b"Content-Transfer-Encoding: %b\r\n\r\n" % encoding,
    ))  # fmt: skip


def _encoding(inner: Segments) -> bytes:
    """The label that is true of it (RFC 2045 §6.2); one line too long, or a NUL, is `binary`."""
    if any(_NOT_A_LINE.search(segment) for segment in inner):
        return b"binary"
    return b"8bit" if any(_EIGHT_BIT.search(segment) for segment in inner) else b"7bit"


def _text_part(fields: bytes, text: str) -> bytes:
    octets = text.replace("\n", "\r\n").encode()
    if octets.isascii() and all(len(line) < LINE_MAX for line in octets.split(b"\r\n")):
        return fields + b"Content-Transfer-Encoding: 7bit\r\n\r\n" + octets
    return fields + b"Content-Transfer-Encoding: base64\r\n\r\n" + encode_base64(octets)


def _in_words(copy: TrackingCopy) -> str:
    """For people who look into the mailbox."""
    named, more = copy.recipients[:_NAMED_IN_TEXT], len(copy.recipients) - _NAMED_IN_TEXT
    to = ", ".join(named) + (f" and {more} more" if more > 0 else "")
    about = f"belongs to {copy.transaction}" if copy.transaction is not None else "a rule wants to be tracked"
    lines = (
        f"This is a copy of a message that {about}. The message is attached.",
        "",
        f"Direction: {copy.direction}",
        f"From: {copy.mail_from or '<>'}",
        f"To: {to}",
        f"Accepted: {copy.accepted_at.astimezone(UTC).isoformat(timespec='seconds')}",
        f"Rule: {copy.rule}",
        f"Queue id: {copy.queue_id}",
        f"Message-ID: {copy.message_id}",
    )
    return "".join(f"{line}\n" for line in lines)


def _signed_json(copy: TrackingCopy, key: bytes) -> str:
    stated = _stated(copy)
    return json.dumps({**stated, "proof": _proof(key, stated)}, indent=1, sort_keys=True) + "\n"


def _stated(copy: TrackingCopy) -> dict[str, Any]:
    transaction = copy.transaction
    return {
        "version": 1,
        "organisation": copy.organisation or (transaction.organisation if transaction is not None else ""),
        "transaction": None if transaction is None
        else {"module": transaction.module, "number": transaction.number, "nonce": transaction.nonce},
        "direction": copy.direction,
        "mail_from": copy.mail_from,
        "recipients": list(copy.recipients),
        "rule": copy.rule,
        "queue_id": copy.queue_id,
        "message_id": copy.message_id,
        "sha256": copy.sha256,
        "accepted_at": copy.accepted_at.astimezone(UTC).isoformat(),
        "authenticated": copy.authenticated,
        "by": copy.by,
    }  # fmt: skip


def _proof(key: bytes, stated: Mapping[str, Any]) -> str:
    """Over the values, however they are written."""
    canonical = json.dumps(stated, sort_keys=True, separators=(",", ":")).encode("ascii")
    return urlsafe_b64encode(hmac.digest(key, b"stampline-copy-1\0" + canonical, "sha256")).decode().rstrip("=")


# --- reading ---------------------------------------------------------------------------------------------------------


def read_copy(message: Message, keys: Sequence[bytes], organisation: str = "") -> tuple[TrackingCopy, bytes] | None:
    """What a copy says, and the message inside with CRLF line ends; None where it is no copy, or its proof is not ours.

    Every key counts. Where an organisation is given, copies of others are none. None, too, for a copy with several
    parts for programs, or with a message inside that is neither the one that was put in nor has its Message-ID.
    Raises nothing for what strangers wrote.
    """
    parts = list(message.root.own_parts())
    stated = [part for part in parts if part.content_type == CONTENT_TYPE or part.filename == FILE_NAME]
    if len(stated) != 1:
        return None
    copy = _verified(stated[0], keys)
    if copy is None or (organisation and copy.organisation != organisation):
        return None
    found = [_octets_of(part) for part in parts if part.content_type in _MESSAGES]
    for inner in found:
        # An empty part at the end of the message inside may share its line end with the delimiter behind it.
        for octets in (inner, inner.removesuffix(b"\r\n")):
            if sha256(octets).hexdigest() == copy.sha256:
                return copy, octets
    if len(found) != 1 or not copy.message_id or _message_id_of(found[0]) != copy.message_id:
        return None
    return replace(copy, is_intact=False), found[0]


def _octets_of(part: Part) -> bytes:
    """The message in a part, which others may have encoded."""
    octets = decode(part.raw_body, part.encoding).octets
    return octets if part.encloses_message else b"\r\n".join(_LINE_END.split(octets))


def _message_id_of(inner: bytes) -> str:
    try:
        return parse(inner, LIMITS).message_id
    except LimitExceededError:
        return ""


def _verified(part: Part, keys: Sequence[bytes]) -> TrackingCopy | None:
    if part.body_end - part.body_start > JSON_MAX:
        return None
    try:
        stated = json.loads(decode(part.raw_body, part.encoding).octets)
        proof = stated.pop("proof")
        if any(hmac.compare_digest(_proof(key, stated), proof) for key in keys):
            return _copy_of(stated)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass  # not what we write
    return None


def _copy_of(stated: Mapping[str, Any]) -> TrackingCopy:
    """Raises KeyError, TypeError or ValueError for what another version of this program may have written."""
    if stated["version"] != 1 or stated["direction"] not in _DIRECTIONS:
        raise ValueError("of another version")
    named, organisation = stated["transaction"], str(stated["organisation"])
    transaction = (
        None
        if named is None
        else Transaction(organisation, str(named["module"]), int(named["number"]), str(named["nonce"]))
    )
    accepted_at = datetime.fromisoformat(stated["accepted_at"])
    if accepted_at.tzinfo is None:
        raise ValueError("a time without its zone")
    return TrackingCopy(
        transaction,
        stated["direction"],
        str(stated["mail_from"]),
        tuple(map(str, stated["recipients"])),
        str(stated["rule"]),
        str(stated["queue_id"]),
        str(stated["message_id"]),
        str(stated["sha256"]),
        accepted_at,
        stated["authenticated"] if isinstance(stated["authenticated"], bool) else None,
        organisation,
        by=str(stated.get("by", "")),
    )
