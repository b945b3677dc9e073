"""What kind of message it is, and whether it may be touched at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mta.message.parse import Message


class Kind(Enum):
    NEW = "new"
    REPLY = "reply"
    FORWARD = "forward"
    AUTO_REPLY = "auto-reply"
    OUT_OF_OFFICE = "out-of-office"
    DSN = "dsn"
    MDN = "mdn"
    MEETING = "meeting"
    JOURNAL = "journal"
    VOICEMAIL = "voicemail"


@dataclass(frozen=True, slots=True)
class Classification:
    """`untouchable` is the reason why nothing may be changed, "" where it may."""

    kind: Kind
    signed: bool = False
    encrypted: bool = False
    smime: bool = False
    pgp: bool = False
    rights_protected: bool = False
    tnef_only: bool = False
    untouchable: str = ""
    meeting_method: str = ""
    """iTIP method in lower case (request, reply, cancel, counter…), "" where it is no meeting."""

    @property
    def is_automatic(self) -> bool:
        """Whether no person wrote it just now: auto-replies, out of office, DSN, MDN, journal reports."""
        raise NotImplementedError


def classify(message: Message, reverse_path_is_null: bool) -> Classification:
    """Classify by header fields and part types (RFC 3834, 3464, 8098, 8551, 3156, 5546)."""
    raise NotImplementedError
