"""All kinds of mailbox servers for which there is an adapter."""

from __future__ import annotations

from collections.abc import Callable

from tests.contract.mailboxes.graph import Graph
from tests.contract.mailboxes.harness import Harness
from tests.contract.mailboxes.maildir import Maildirs

KINDS: dict[str, Callable[[], Harness]] = {"graph": Graph, "maildir": Maildirs}
"""Each starts its server when called."""
FAULTS = [(kind, fault) for kind, make in KINDS.items() for fault in sorted(make.faults, key=lambda fault: fault.value)]
