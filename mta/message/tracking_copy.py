"""Copies of tracked messages for the processing mailbox: a small multipart message of its own.

A part for people, a part for programs (JSON, signed by HMAC), and the message as message/rfc822, byte-identical.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mta.message.parse import Message
from mta.model.transaction import Transaction

CONTENT_TYPE = "application/vnd.stampline.tracking+json"
"""Of the part for programs."""


@dataclass(frozen=True, slots=True)
class TrackingCopy:
    """What the part for programs says. Bcc and other hidden recipients are in none of it."""

    transaction: Transaction | None
    """None: a rule wants it in the processing mailbox, and it carries no valid reference; correlation decides."""
    direction: Literal["sent", "received", "internal"]
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


def read_copy(message: Message, keys: Sequence[bytes]) -> tuple[TrackingCopy, bytes] | None:
    """What a copy says, and the message inside; None where it is no copy, or its proof is not ours.

    Every key counts. The proof covers the JSON, and the JSON the message's hash. Raises nothing for what strangers wrote.
    """
    raise NotImplementedError(CONTENT_TYPE, Message, keys)
