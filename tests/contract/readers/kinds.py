"""All kinds of monitored mailboxes for which there is an adapter."""

from __future__ import annotations

from tests.contract.readers.dovecot import ImapMailboxes
from tests.contract.readers.harness import Fault, Harness
from tests.contract.readers.maildir import Maildirs

KINDS: dict[str, type[Harness]] = {"imap": ImapMailboxes, "maildir": Maildirs}
"""Each starts its server when called."""
FAULTS = [(kind, fault) for kind, made in sorted(KINDS.items()) for fault in Fault if fault in made.faults]
