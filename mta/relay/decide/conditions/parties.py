"""Tests of one party: the sender, or a recipient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from mta.config.texts import listed
from mta.message.patterns.text_patterns import has_wildcard
from mta.message.wildcards import Glob
from mta.model.address import domain_key
from mta.model.decision import Role
from mta.relay.decide.facts import Facts
from mta.relay.decide.participants import Party


class PartyTest(Protocol):
    """Judges one party, or all recipients of a message at once."""

    @property
    def source(self) -> str:
        """As written, without `sender` or `recipient` before it."""
        ...

    def holds(self, party: Party) -> bool: ...

    def mask(self, facts: Facts) -> int:
        """The recipients for whom it holds."""
        ...

    def value(self, party: Party) -> str:
        """What it looked at, for an explanation."""
        ...


def union(index: dict[str, int], names: Iterable[str]) -> int:
    """Of an index of masks, those of these names together."""
    mask = 0
    for name in names:
        mask |= index.get(name, 0)
    return mask


class AddressIs:
    """Address as in the envelope (the sender's: as in From), exactly or by wildcards."""

    __slots__ = ("_exact", "_glob", "source")

    def __init__(self, exact: Sequence[str], patterns: Sequence[str], source: str) -> None:
        self._exact = frozenset(exact)
        self._glob = Glob(patterns) if patterns else None
        self.source = source

    def holds(self, party: Party) -> bool:
        return party.key in self._exact or (self._glob is not None and self._glob.search(party.key) is not None)

    def mask(self, facts: Facts) -> int:
        if self._glob is None:
            return facts.mask(self.holds)
        # The commonest test that can't be looked up, so its loop is bare: half a microsecond per recipient less.
        match, exact = self._glob.search, self._exact
        mask, bit = 0, 1
        for party in facts.recipients:
            if match(party.key) is not None or party.key in exact:
                mask |= bit
            bit <<= 1
        return mask

    def value(self, party: Party) -> str:
        return party.key


class DomainIs:
    """Domain, exactly or by wildcards."""

    __slots__ = ("_exact", "_glob", "source")

    def __init__(self, names: Sequence[str], source: str) -> None:
        self._exact = tuple(domain_key(name) for name in names if not has_wildcard(name))
        patterns = [domain_key(name) for name in names if has_wildcard(name)]
        self._glob = Glob(patterns) if patterns else None
        self.source = source

    def holds(self, party: Party) -> bool:
        return party.domain in self._exact or (self._glob is not None and self._glob.search(party.domain) is not None)

    def mask(self, facts: Facts) -> int:
        by_domain = facts.by_domain
        mask = union(by_domain, self._exact)
        if self._glob is not None:
            for domain, having in by_domain.items():
                if self._glob.search(domain) is not None:
                    mask |= having
        return mask

    def value(self, party: Party) -> str:
        return party.domain


class ScopeIs:
    """Internal: ours. External: everybody else."""

    __slots__ = ("_internal", "source")

    def __init__(self, scope: str) -> None:
        self._internal = scope == "internal"
        self.source = f"scope: {scope}"

    def holds(self, party: Party) -> bool:
        return party.ours is self._internal

    def mask(self, facts: Facts) -> int:
        return facts.internal if self._internal else facts.everyone & ~facts.internal

    def value(self, party: Party) -> str:
        return f"{party.key} is {'internal' if party.ours else 'external'}"


class RoleIs:
    """How the header names the recipient."""

    __slots__ = ("_roles", "source")

    def __init__(self, roles: Sequence[str]) -> None:
        self._roles = tuple(Role(role) for role in roles)
        self.source = f"role: {listed(roles)}"

    def holds(self, party: Party) -> bool:
        return party.role in self._roles

    def mask(self, facts: Facts) -> int:
        return facts.mask(self.holds)

    def value(self, party: Party) -> str:
        return party.role.value
