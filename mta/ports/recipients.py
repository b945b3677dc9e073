"""Whether there is such a recipient: asked of the server to which their mail would go."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from mta.model.address import Address
from mta.model.reply import Reply


@runtime_checkable
class AsksForRecipients(Protocol):
    """A way to a next hop that can ask it. A way that can't simply isn't one of these."""

    async def ask_for(self, recipient: Address, *, deadline_s: float) -> Reply:
        """What the next hop says to RCPT TO:<recipient> with the null reverse-path; nothing is sent.

        4yz where it says nothing of the recipient: no connection, an answer to something else. Never raises for a
        remote's fault.
        """
        ...
