"""Who wrote a message that lies in a mailbox: DKIM and DMARC, without SPF, for nobody knows who handed it over."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from mta.authenticate.bounded import BoundedResolver
from mta.authenticate.dkim import verify_dkim
from mta.authenticate.dmarc import DmarcResult, author_domain, find_policy, judge
from mta.authenticate.dmarc_record import UnknownForNowError, Walks
from mta.authenticate.material import Material
from mta.authenticate.spf import SpfResult
from mta.message.domain_names import is_within
from mta.message.parse import Message
from mta.model.authentication import AuthorProof, Proof, SignatureResult
from mta.ports.clock import Clock
from mta.ports.resolver import Resolver

SILENT_S = 60.0
"""For how long a domain is not asked about again that gave no answer: mailboxes are read one message at a time."""
SILENT_MAX = 1000
_SHARE = 0.6
"""Of the time, for keys, so that signatures of dead domains can't hide what the author's own domain says."""
_ONCE = (
    "date", "sender", "reply-to", "to", "cc", "message-id", "in-reply-to", "references", "subject", "content-type",
    "content-transfer-encoding",
)  # fmt: skip
"""Fields that a message has once at most (RFC 5322 §3.6, RFC 2045), and that tracking goes by."""
_NO_SPF = SpfResult("none", "")


class DkimProver:
    """`ports/author_prover.AuthorProver` by DNS; `timeout_s` is for all questions of one message."""

    def __init__(
        self, resolver: Resolver, clock: Clock, *, timeout_s: float, steady_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._resolver = resolver
        self._clock = clock
        self._timeout_s = timeout_s
        self._steady_s = steady_s
        self._silent: OrderedDict[str, float] = OrderedDict()

    async def prove(self, message: Message) -> AuthorProof:
        domain = author_domain(message)
        if isinstance(domain, DmarcResult):
            return AuthorProof(Proof.UNPROVEN, domain.reason)
        now_s = self._steady_s()
        if self._silent.get(domain, 0.0) > now_s:
            return _no_answer(domain)
        return await self._found(message, domain)

    async def close(self) -> None:
        await self._resolver.close()

    async def _found(self, message: Message, domain: str) -> AuthorProof:
        early, late = (BoundedResolver(self._resolver, share * self._timeout_s) for share in (_SHARE, 1.0))
        signatures = await _signatures(message, domain, early, self._clock.now())
        # Most mail is signed by its author's very domain, whatever policy that has.
        if any(each.result == "pass" and each.domain == domain for each in signatures):
            return _proven(domain)
        walks = Walks(late)
        try:
            policy = await find_policy(domain, walks, late)
        except UnknownForNowError:
            self._note_silence(domain)
            return _no_answer(domain)
        if policy is None:
            return _without_policy(domain, signatures)
        result = (await judge(policy, _NO_SPF, signatures, walks)).result
        if result == "pass":
            holding = (each.domain for each in signatures if each.result == "pass")
            return _proven(next((each for each in holding if is_within(each, policy.organisational_domain)), domain))
        if result == "temperror":
            return _no_answer(domain)
        return AuthorProof(Proof.UNPROVEN, f"{domain} has a DMARC policy, and {_none_holds(signatures)}")

    def _note_silence(self, domain: str) -> None:
        """Only of what the domain itself is asked: which keys are asked for, whoever forges it chooses."""
        self._silent[domain] = self._steady_s() + SILENT_S
        self._silent.move_to_end(domain)
        if len(self._silent) > SILENT_MAX:
            self._silent.popitem(last=False)


async def _signatures(message: Message, domain: str, resolver: Resolver, now: datetime) -> tuple[SignatureResult, ...]:
    """Of those who may answer for the domain. None holds where a field stands twice that everybody has once: the
    upper one may have been put onto somebody's signed message, and that is what readers see (RFC 6376 §8.15)."""
    found = await verify_dkim(Material(message), resolver, now, counts=partial(_may_be_one, domain))
    twice = next((name for name in _ONCE if len(message.fields_named(name)) > 1), "")
    if not twice:
        return found
    return tuple(replace(each, result="policy", reason=f"{twice} stands twice") for each in found)


def _may_be_one(domain: str, signing: str) -> bool:
    """Whether they may be of one organisation, which has a name of two labels at least."""
    return is_within(domain, signing) or is_within(signing, ".".join(domain.split(".")[-2:]))


def _without_policy(domain: str, signatures: Sequence[SignatureResult]) -> AuthorProof:
    """Nobody says where the organisation begins: a signature of a domain above counts, one of a sister doesn't."""
    above = [each for each in signatures if each.domain and is_within(domain, each.domain)]
    holding = next((each.domain for each in above if each.result == "pass"), "")
    if holding:
        return _proven(holding)
    if any(each.result == "temperror" for each in above):
        return _no_answer(domain)
    return AuthorProof(Proof.UNKNOWN, f"{domain} has no DMARC policy, and {_none_holds(signatures)}")


def _proven(signing: str) -> AuthorProof:
    return AuthorProof(Proof.PROVEN, f"DKIM signature of {signing}")


def _no_answer(domain: str) -> AuthorProof:
    return AuthorProof(Proof.NO_ANSWER, f"DNS gave no answer about {domain}")


def _none_holds(signatures: Sequence[SignatureResult]) -> str:
    if not signatures:
        return "the message has no DKIM signature"
    said = (f"{each.domain or 'unknown'}: {each.reason or each.result}" for each in signatures)
    return f"no DKIM signature of it holds ({'; '.join(said)})"
