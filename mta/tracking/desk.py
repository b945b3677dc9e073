"""What one organisation's tracking goes by: settings, keys, rules, people; made anew with each configuration."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mta.config.tracking_schema import Module, MonitoredMailbox, TrackingSettings
from mta.ports.author_prover import AuthorProver
from mta.tracking.incoming import Incoming
from mta.tracking.notify import RenderNotice
from mta.tracking.people import KnownPeople
from mta.tracking.record import BusinessRules


@dataclass(frozen=True, slots=True)
class Desk:
    """Of one organisation with `tracking`."""

    name: str
    """The organisation's."""
    settings: TrackingSettings
    keys: Sequence[bytes]
    """The first one signs, all verify."""
    rules: BusinessRules
    people: KnownPeople
    accepted_domains: Collection[str]
    """Domain keys."""
    authserv_ids: Collection[str]
    """Whose Authentication-Results are believed, in lower case: our own, and those of the settings."""
    hostname: str
    """The right side of our Message-IDs."""
    render: RenderNotice
    prover: AuthorProver | None = None
    """Finds out whether a message is of the domain in its From; None where nobody is to be asked."""

    def prover_for(self, mailbox: MonitoredMailbox, incoming: Incoming) -> AuthorProver | None:
        """Who proves its author, of a message that came by this mailbox; of what came to the relay, the relay has."""
        return self.prover if incoming.copy is None and self.settings.verifies_dkim(mailbox) else None

    def module(self, name: str) -> Module | None:
        """The module's settings; None for one that is not there any more."""
        return next((module for module in self.settings.modules if module.name == name), None)
