"""All kinds of monitored mailboxes for which there is an adapter."""

from __future__ import annotations

from tests.contract.readers.dovecot import ImapMailboxes, Pop3Mailboxes
from tests.contract.readers.ews import Ews, OtherEws
from tests.contract.readers.graph import Graph
from tests.contract.readers.harness import Fault, Harness
from tests.contract.readers.maildir import Maildirs

KINDS: dict[str, type[Harness]] = {
    "ews": Ews, "ews-other": OtherEws, "graph": Graph, "imap": ImapMailboxes, "maildir": Maildirs,
    "pop3": Pop3Mailboxes,
}  # fmt: skip
"""Each starts its server when called."""
FAULTS = [(kind, fault) for kind, made in sorted(KINDS.items()) for fault in Fault if fault in made.faults]
