"""The message from which others follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mta.message.classify import Classification
from mta.message.headers import addresses
from mta.message.parse import Message
from mta.model.authentication import AuthenticationResults
from mta.model.delivery import AcceptedMessage
from mta.model.person import Person


@dataclass(frozen=True, slots=True)
class Original:
    """A message about to be accepted, and what is known of it."""

    message: AcceptedMessage
    parsed: Message
    classification: Classification
    people: Mapping[str, Person]
    """By address key, as the directory was asked for them."""
    authentication: AuthenticationResults | None = None
    """None where nobody looked."""

    @property
    def is_verified(self) -> bool:
        """Whether the sender is verifiably ours; strangers' mail that our own server passes on is not."""
        return self.message.decision.is_ours

    def names(self, key: str) -> bool:
        """Whether To or Cc names somebody by an address of their own, not by a list that they are on."""
        person = self.people.get(key)
        own = {key} if person is None else {key, person.address, *person.aliases}
        return any(
            mailbox.address.key in own
            for name in ("To", "Cc", "Resent-To", "Resent-Cc")
            for mailbox in addresses(self.parsed, name)
        )
