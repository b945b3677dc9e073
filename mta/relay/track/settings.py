"""What an organisation tracks mail by, ready for use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mta.config.outgoing_checks import own_addresses
from mta.config.some_people import SomePeople
from mta.config.tracking_schema import TrackingSettings
from mta.message.reference import make_reference
from mta.message.tokens import TokenStyle
from mta.model.actions import CarryId
from mta.model.address import Address, domain_key, parse_address
from mta.model.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Tracking:
    """Worked out once for each configuration."""

    organisation: str
    domain: str
    """Makes Message-IDs of references."""
    keys: tuple[bytes, ...]
    """The first one signs, all verify."""
    styles: Mapping[str, TokenStyle]
    """By module, in the order of the configuration."""
    in_text: Mapping[str, str]
    """Module → how its references are put into texts."""
    expressions: tuple[tuple[str, re.Pattern[str]], ...]
    """What finds each module's tokens."""
    copy_to: Address | None
    next_hop: str
    own: frozenset[str]
    """As `own_addresses` says: everybody writes to them."""
    technicians: SomePeople

    @classmethod
    def of(cls, organisation: str, domain: str, settings: TrackingSettings) -> Tracking:
        """Reads the keys. Raises ConfigurationError."""
        styles = {module.name: module.style for module in settings.modules}
        found = ((name, style.expression()) for name, style in styles.items())
        copy_to = parse_address(settings.processing_mailbox) if settings.processing_mailbox else None
        return cls(
            organisation,
            domain_key(domain),
            tuple(secret.read() for secret in settings.keys),
            styles,
            {module.name: module.body_token for module in settings.modules},
            tuple((name, expression) for name, expression in found if expression is not None),
            copy_to,
            settings.next_hop,
            own_addresses(settings),
            SomePeople(settings.technicians.addresses, settings.technicians.groups),
        )

    @property
    def looks_into_texts(self) -> bool:
        """Whether some module puts its references there."""
        return any(how != "none" for how in self.in_text.values())

    def module(self, named: str) -> str:
        """The module that a rule names; the first one where it names none, or one that is gone."""
        return named if named in self.styles else next(iter(self.styles))

    def carry(self, transaction: Transaction, rule: str) -> CarryId:
        """What makes a message carry the conversation's id."""
        return CarryId(
            rule=rule,
            reference=make_reference(self.keys[0], transaction),
            domain=self.domain,
            in_subject=self.styles[transaction.module].write(transaction.number),
            in_text=self.in_text[transaction.module],
        )
