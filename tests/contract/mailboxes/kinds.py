"""All kinds of mailbox servers for which there is an adapter."""

from __future__ import annotations

from tests.contract.mailboxes.ews import Ews, OtherEws
from tests.contract.mailboxes.graph import Graph
from tests.contract.mailboxes.harness import Fault, Harness
from tests.contract.mailboxes.imap import ImapMailServer
from tests.contract.mailboxes.maildir import Maildirs

KINDS: dict[str, type[Harness]] = {
    "ews": Ews, "ews-other": OtherEws, "graph": Graph, "imap": ImapMailServer, "maildir": Maildirs,
}  # fmt: skip
"""Each starts its server when called."""
FAULTS = [(kind, fault) for kind, made in sorted(KINDS.items()) for fault in Fault if fault in made.faults]
