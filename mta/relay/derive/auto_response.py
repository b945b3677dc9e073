"""When a message must not be answered automatically (RFC 3834 §2), and the fields that an answer has (§3)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mta.message.classify import Kind
from mta.message.headers import format_field
from mta.message.parse import Message
from mta.message.unanswered import is_program, wants_no_answer
from mta.model.address import Address
from mta.model.authentication import AuthenticationResults
from mta.relay.derive.original import Original

_NEVER = frozenset({
    Kind.AUTO_REPLY, Kind.OUT_OF_OFFICE, Kind.DSN, Kind.MDN, Kind.MEETING, Kind.JOURNAL, Kind.VOICEMAIL,
})  # fmt: skip
_SPF_FAILED = frozenset({"fail", "softfail"})
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")
_REFERENCES_MAX = 20
_SUBJECT_MAX = 300


def why_not(original: Original, responders: Sequence[str], own: Address) -> str:
    """The reason for which nobody answers, "" where an answer is right.

    `responders` are the address keys of those for whom the rule holds, `own` is the postmaster's address.
    """
    sender = original.message.envelope.reverse_path
    if sender is None:
        return "null reverse-path"
    if sender.key in responders or sender.key == own.key:
        return "the sender is who would answer"
    if is_program(sender.local):
        return "the sender is a program"
    if original.classification.kind in _NEVER:
        return original.classification.kind.value
    if original.classification.auto_generated:
        return "Auto-Submitted"
    return (
        wants_no_answer(original.parsed)
        or _forged(original)
        or ("" if any(original.names(key) for key in responders) else "the recipient is not named in To or Cc")
    )


def _forged(original: Original) -> str:
    """An answer to a forged sender would hit somebody who never wrote (backscatter)."""
    results: AuthenticationResults | None = original.authentication
    sender = original.message.envelope.reverse_path
    if original.is_verified or results is None or sender is None:
        return ""
    if results.dmarc == "fail":
        return "DMARC failed"
    return "SPF failed" if results.spf in _SPF_FAILED and not results.vouches_for(sender.domain_key) else ""


def response_fields(message: Message, subject: str) -> list[bytes]:
    """Subject, threading and what keeps other programs from answering (RFC 3834 §3.1.5 to §3.1.8)."""
    fields = [
        format_field("Subject", (subject or f"Auto: {message.subject}")[:_SUBJECT_MAX]),
        b"Auto-Submitted: auto-replied\r\n",
        b"X-Auto-Response-Suppress: All\r\n",
    ]
    if _MESSAGE_ID.fullmatch(message.message_id):
        earlier = _MESSAGE_ID.findall(message.header("references") or message.header("in-reply-to"))
        chain = [*earlier[-_REFERENCES_MAX:], message.message_id]
        fields.append(b"In-Reply-To: %b\r\n" % message.message_id.encode())
        fields.append(b"References: %b\r\n" % "\r\n ".join(dict.fromkeys(chain)).encode())
    return fields
