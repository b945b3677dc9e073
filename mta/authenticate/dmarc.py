"""DMARC (RFC 9989, which takes the place of RFC 7489): is the domain that readers see in From the one that answers?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mta.authenticate.dmarc_record import POLICIES, DmarcRecord, UnknownForNowError, Walks
from mta.authenticate.spf import SpfResult
from mta.message.addresses import addresses, is_doubtful
from mta.message.domain_names import is_host_name, is_within
from mta.message.parse import Message
from mta.model.authentication import SignatureResult
from mta.ports.resolver import Outcome, Resolver

_NOT_THERE = frozenset({Outcome.NXDOMAIN, Outcome.NODATA})


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """`policy` is what the domain asks for mail that fails."""

    result: str
    domain: str = ""
    policy: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What applies to an author's domain."""

    domain: str
    organisational_domain: str
    record: DmarcRecord
    asked_for: str


def author_domain(message: Message) -> DmarcResult | str:
    """The one domain in From; a result where there isn't exactly one (§4.5)."""
    fields = message.fields_named("from")
    if len(fields) != 1:
        return DmarcResult("permerror", reason="several From fields" if fields else "no From field")
    domains = {mailbox.address.domain_key.rstrip(".") for mailbox in addresses(message, "from")}
    if len(domains) != 1:
        return DmarcResult("permerror", reason="From of several domains" if domains else "From has no address")
    if is_doubtful(message, "from"):
        return DmarcResult("permerror", reason="From is malformed")
    domain = domains.pop()
    return domain if is_host_name(domain) else DmarcResult("permerror", reason="From has no domain name")


async def find_policy(domain: str, walks: Walks, resolver: Resolver) -> Policy | None:
    """The policy for an author's domain (§4.10.1). Raises UnknownForNowError."""
    own = await walks.record(domain)
    organisational = await walks.organisational_domain(domain)
    record, asked_for = own, own.policy if own is not None else ""
    if record is None:
        record = await walks.record(organisational) or walks.suffix_above(organisational)
        if record is None:
            return None
        asked_for = record.below
        if record.not_there != record.below and not await _exists(domain, resolver):
            asked_for = record.not_there
    if record.is_test:
        asked_for = POLICIES[max(0, POLICIES.index(asked_for) - 1)]
    return Policy(domain, organisational, record, asked_for)


async def _exists(domain: str, resolver: Resolver) -> bool:
    for ask in (resolver.a, resolver.aaaa):
        if (await ask(domain)).outcome not in _NOT_THERE:
            return True
    return (await resolver.mx(domain)).outcome not in _NOT_THERE


async def judge(policy: Policy, spf: SpfResult, signatures: Sequence[SignatureResult], walks: Walks) -> DmarcResult:
    """Whether what holds is of the author's domain (§4.4)."""
    strict_spf, strict_dkim = policy.record.strict_spf, policy.record.strict_dkim
    holding = [(spf.domain, strict_spf)] if spf.result == "pass" else []
    holding += [(each.domain, strict_dkim) for each in signatures if each.result == "pass"]
    is_unknown = False
    for domain, is_strict in dict.fromkeys(holding):
        try:
            if await _is_aligned(domain, policy, walks, is_strict=is_strict):
                return DmarcResult("pass", policy.domain, policy.asked_for)
        except UnknownForNowError:
            is_unknown = True
    # What could not be tried counts only where it could have helped.
    untried = [spf.domain] if spf.result == "temperror" else []
    untried += [each.domain for each in signatures if each.result == "temperror"]
    if is_unknown or any(is_within(domain, policy.organisational_domain) for domain in untried):
        return DmarcResult("temperror", policy.domain, policy.asked_for, "no answer from DNS")
    return DmarcResult("fail", policy.domain, policy.asked_for)


async def _is_aligned(domain: str, policy: Policy, walks: Walks, *, is_strict: bool) -> bool:
    if domain == policy.domain:
        return True
    # What isn't within it can't be: strangers' domains are not asked about, they would keep us waiting.
    if is_strict or not is_within(domain, policy.organisational_domain):
        return False
    return await walks.organisational_domain(domain) == policy.organisational_domain
