"""What a session asks of the rest of the relay."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mta.model.address import Address
from mta.model.delivery import Body
from mta.model.envelope import Client, Envelope
from mta.model.reply import Reply


class Receiver(Protocol):
    """Answers for what only the rest of the relay can know.

    A raised MailError is answered with its reply; anything else with 451 4.3.0, and its traceback is logged.
    """

    def turned_away(self) -> Reply | None:
        """Why no client is let in at the moment: a 421, which ends running sessions at their next MAIL."""
        ...

    async def mail(self, client: Client, reverse_path: Address | None, size_octets: int) -> Reply | None:
        """Judge MAIL FROM, e.g. by room on the disk (452 4.3.1); None accepts. `size_octets` is SIZE=, else 0."""
        ...

    async def rcpt(self, client: Client, reverse_path: Address | None, recipient: Address) -> Reply | None:
        """Judge one RCPT TO that the listener's access policy allows; None accepts."""
        ...

    async def message(self, client: Client, envelope: Envelope, body: Body) -> Reply:
        """Take over one whole message; a 2yz reply means that it is on disk. Runs on when the client goes away.

        A 4yz or 5yz reply means that nothing was stored: the session removes `body.path`. Where this raises, or is
        cancelled because a stopping listener's time is up, the file stays where it is.
        """
        ...

    def spill_path(self) -> Path:
        """A fresh path, on the spool's file system, for a large body while it is received."""
        ...
