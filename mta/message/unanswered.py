"""Mail that must not be answered automatically, whoever would (RFC 3834 §2)."""

from __future__ import annotations

import re

from mta.message.parse import Message

_BULK = frozenset({"bulk", "list", "junk"})
_SUPPRESSED = frozenset({"all", "autoreply", "oof"})
# Whoever reads mail to these is no person who waits for an answer.
_ROBOTS = re.compile(
    r"(?:mailer-daemon|mail-daemon|mailerdaemon|postmaster|daemon|root|nobody|listserv|majordomo|mailman"
    r"|(?:no|do-?not|dont|never)[-._]?reply(?:[-+._].*)?|.*[-._]no[-._]?reply|bounces?(?:[-+._].*)?"
    r"|.*[-._]bounces?(?:[+=].*)?|owner-.*|.*-(?:owner|request|relay|errors))\Z",
    re.IGNORECASE,
)


def is_program(local_part: str) -> bool:
    """Whether an address's local part is one that no person reads."""
    return _ROBOTS.match(local_part.strip('"')) is not None


def wants_no_answer(message: Message) -> str:
    """What the header says of mail that went to many, or that wants no answer; "" where it says nothing of it."""
    if message.header("precedence").strip().lower() in _BULK:
        return "Precedence"
    if any(name.startswith(b"list-") for name in message.names) or message.has("mailing-list"):
        return "mailing list"
    suppressed = {word.strip().lower() for word in message.header("x-auto-response-suppress").split(",")}
    if suppressed & _SUPPRESSED:
        return "X-Auto-Response-Suppress"
    if message.header("x-spam-flag").strip().lower() == "yes":
        return "spam"
    return ""
