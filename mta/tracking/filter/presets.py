"""What bounces and out-of-office mail usually look like, for those that say so in no other way."""

from __future__ import annotations

import re

from mta.message.addresses import Mailbox

SENDERS = ("Postmaster", "Mail Delivery Subsystem", "System Administrator", "Mailer-Daemon")
"""A whole display name, or the whole part of the address before the @."""
SUBJECTS = (
    "Undeliverable Mail", "Returned Mail", "Mail System Error", "Delivery Error", "Undeliverable:", "Failure Notice",
    "Nondeliverable Mail", "Mail Delivery Failure", "Message Status - undeliverable", "Message Status - opened",
    "Warning: Could not send message", "Delivery Notification: Delivery has failed",
    "Mail Undeliverable: Failure Detected", "Returned Mail: Service Unavailable", "Out of Office",
)  # fmt: skip
"""What a subject begins with, as whole words: a reply to such a mail begins with "Re:" and is somebody's."""

_SENDERS = frozenset(sender.casefold() for sender in SENDERS)
_SUBJECTS = re.compile("|".join(rf"{re.escape(subject)}(?!\w)" for subject in SUBJECTS), re.IGNORECASE)


def is_preset_sender(mailbox: Mailbox | None, from_line: str) -> bool:
    """`from_line` is From as it reads, for daemons that write no address: `MAILER-DAEMON (Mail Delivery System)`."""
    if mailbox is None:
        names = {from_line, from_line.partition("(")[0], from_line.partition("<")[0]}
    else:
        names = {mailbox.display, mailbox.address.local}
    return not _SENDERS.isdisjoint(name.strip(" \t\"'").casefold() for name in names)


def is_preset_subject(subject: str) -> bool:
    return _SUBJECTS.match(subject.lstrip()) is not None
