"""All methods on one message, side by side, within one span of time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from mta.authenticate.arc import ArcResult, verify_arc
from mta.authenticate.bounded import BoundedResolver
from mta.authenticate.dkim import in_one_word, verify_dkim
from mta.authenticate.dmarc import DmarcResult, Policy, author_domain, find_policy, judge
from mta.authenticate.dmarc_record import UnknownForNowError, Walks
from mta.authenticate.material import Material
from mta.authenticate.spf import SpfResult, check_spf
from mta.config.authentication_schema import Authentication
from mta.message.authentication_results import stated_results
from mta.message.parse import Message
from mta.model.authentication import AuthenticationResults, SignatureResult
from mta.model.envelope import Client, Envelope
from mta.ports.resolver import Resolver

_SHARE = 0.8
"""Of the time, for everything but comparing domains, so that one who keeps us waiting can't spoil that."""


@dataclass(frozen=True, slots=True)
class Received:
    """What there is to authenticate; `message` is None where it is over our limits."""

    message: Message | None
    envelope: Envelope
    client: Client


async def authenticate(
    received: Received, settings: Authentication, resolver: Resolver, *, timeout_s: float, now: datetime, has_seal: bool
) -> AuthenticationResults:
    """The results for one message: our own, or those that a trusted gateway states. Never raises for what it holds.

    `has_seal`: the chain of ARC is verified behind a gateway, too, for our seal says what became of it until here.
    """
    if settings.mode == "verify":
        return await _verified(received, resolver, timeout_s, now)
    if received.message is None:
        return AuthenticationResults()
    stated = stated_results(received.message, frozenset(name.lower() for name in settings.authserv_ids))
    if not has_seal:
        return stated
    chain = await verify_arc(Material(received.message), BoundedResolver(resolver, timeout_s), now)
    return replace(stated, arc=chain.result, arc_domain=chain.domain)


async def _verified(received: Received, resolver: Resolver, timeout_s: float, now: datetime) -> AuthenticationResults:
    early, late = BoundedResolver(resolver, timeout_s * _SHARE), BoundedResolver(resolver, timeout_s)
    message, client, reverse_path = received.message, received.client, received.envelope.reverse_path
    mail_from = None if reverse_path is None else (reverse_path.local, reverse_path.domain_key)
    spf_check = check_spf(early, client.ip, mail_from, client.helo)
    if message is None:
        return _results(await spf_check, None, (), DmarcResult("permerror", reason="message is over our limits"))
    material, walks = Material(message), Walks(early)
    author = author_domain(message)
    spf, signatures, chain, policy = await asyncio.gather(
        spf_check,
        verify_dkim(material, early, now),
        verify_arc(material, early, now),
        _policy(author, walks, early),
    )
    if isinstance(policy, Policy):
        walks.resolver = late
        policy = await judge(policy, spf, signatures, walks)
    return _results(spf, chain, signatures, policy)


async def _policy(author: str | DmarcResult, walks: Walks, resolver: Resolver) -> Policy | DmarcResult:
    if isinstance(author, DmarcResult):
        return author
    try:
        return await find_policy(author, walks, resolver) or DmarcResult("none", author)
    except UnknownForNowError:
        return DmarcResult("temperror", author, reason="no answer from DNS")


def _results(
    spf: SpfResult, chain: ArcResult | None, signatures: tuple[SignatureResult, ...], dmarc: DmarcResult
) -> AuthenticationResults:
    holding = dict.fromkeys(each.domain for each in signatures if each.result == "pass")
    reasons = (("spf", spf.reason), ("dmarc", dmarc.reason), ("arc", chain.reason if chain is not None else ""))
    return AuthenticationResults(
        spf=spf.result,
        dkim=in_one_word(signatures),
        dmarc=dmarc.result,
        arc=chain.result if chain is not None else "",
        spf_domain=spf.domain,
        dkim_domains=tuple(holding),
        dmarc_domain=dmarc.domain,
        spf_of_helo=spf.of_helo,
        signatures=signatures,
        dmarc_policy=dmarc.policy,
        arc_domain=chain.domain if chain is not None else "",
        reasons=tuple((method, reason) for method, reason in reasons if reason),
    )
