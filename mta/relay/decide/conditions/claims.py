"""Mail that only claims to be ours: our domain where readers look for the sender, and nobody who vouches for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from unicodedata import normalize

from mta.message.headers import addresses
from mta.model.address import domain_key
from mta.relay.decide.facts import Facts

_FIELDS = ("From", "Sender", "Resent-From", "Resent-Sender")
_DOMAIN_IN_TEXT = re.compile(r"@\s?([^\s@<>()\[\],;:\"']{1,255})")
_SHOWN_MAX = 1000
_WRITTEN_MAX = 10_000


class ClaimsInternal:
    """One of our addresses in From, Sender or their Resent- forms, or in a name shown there, without a verified sender.

    Domains below ours count: strangers make them up.
    """

    __slots__ = ("cost", "source")

    def __init__(self) -> None:
        self.source = "sender.claims: internal"
        self.cost = 8

    def mask(self, facts: Facts) -> int:
        return facts.everyone if _claimed(facts) else 0

    def decider(self, facts: Facts, index: int) -> tuple[str, str]:
        if facts.sender is not None and facts.sender.ours:
            return self.source, "the sender is ours"
        claimed = _claimed(facts)
        return self.source, f"it says to be of {claimed}" if claimed else "it does not say to be ours"


def _claimed(facts: Facts) -> str:
    """The domain that a stranger claims, "" if none."""
    if facts.sender is not None and facts.sender.ours:
        return ""
    accepted = facts.organisation.accepted_domains
    return next((domain for domain in _shown_domains(facts) if _is_within(domain, accepted)), "")


def _shown_domains(facts: Facts) -> Iterator[str]:
    for name in _FIELDS:
        for mailbox in addresses(facts.message, name):
            yield mailbox.address.domain_key
            yield from _written_domains(mailbox.display[:_SHOWN_MAX])
        for text in facts.message.headers(name):
            yield from _written_domains(text[:_WRITTEN_MAX])


def _written_domains(text: str) -> Iterator[str]:
    """In whatever stands there, for mail programs show broken addresses, too, and full-width letters as others."""
    for match in _DOMAIN_IN_TEXT.finditer(normalize("NFKC", text)):
        yield domain_key(match[1].strip("."))


def _is_within(domain: str, accepted: frozenset[str]) -> bool:
    while domain and domain not in accepted:
        domain = domain.partition(".")[2]
    return bool(domain)
