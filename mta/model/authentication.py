"""What authenticating an inbound message came to, in the words of RFC 8601 §2.7."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class SignatureResult:
    """One DKIM signature. `reason` is a few words of ours, never of the message."""

    result: str
    domain: str = ""
    """d=, a `domain_key`; "" where it can't be read."""
    selector: str = ""
    algorithm: str = ""
    start: str = ""
    """The first characters of b=, to tell signatures of one domain apart (RFC 6008)."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """One result for each method, in lower case: pass, fail, softfail, neutral, none, policy, temperror, permerror.

    "" where the method was not tried. Domains are `domain_key`s.
    """

    spf: str = ""
    dkim: str = ""
    """pass where at least one signature holds."""
    dmarc: str = ""
    arc: str = ""
    """Of the chain as it came in."""
    spf_domain: str = ""
    """Whom SPF was asked about: the domain of MAIL FROM, or of HELO for the null reverse-path."""
    dkim_domains: tuple[str, ...] = ()
    """The signing domains (d=) of the signatures that hold."""
    dmarc_domain: str = ""
    """The domain of From."""
    spf_of_helo: bool = False
    """It is the name said in HELO that SPF was asked about."""
    signatures: tuple[SignatureResult, ...] = ()
    """Each DKIM signature looked at, from the top of the header down."""
    dmarc_policy: str = ""
    """What the domain of From asks for mail that fails: none, quarantine, reject; "" where it publishes nothing."""
    arc_domain: str = ""
    """Who sealed the newest set of the chain."""
    reasons: tuple[tuple[str, str], ...] = ()
    """(method, a few words) where a result needs them."""

    def vouches_for(self, domain: str) -> bool:
        """Whether a signature that holds is of this domain (a `domain_key`), or of one above it.

        A signature of any other domain says nothing: everybody can have one of their own, and put whom they like into
        the reverse-path.
        """
        holding = (self.dmarc_domain, *self.dkim_domains) if self.dmarc == "pass" else self.dkim_domains
        return any(name and f".{domain}".endswith(f".{name}") for name in holding)


class Proof(Enum):
    """Whether the domain in From answers for a message."""

    PROVEN = "proven"
    UNPROVEN = "unproven"
    """It says by DMARC how its mail is known, and this isn't."""
    UNKNOWN = "unknown"
    """It says nothing by DMARC, and no signature of it holds: this may be its mail as well as anybody's."""
    NO_ANSWER = "no-answer"
    """DNS did not tell."""


@dataclass(frozen=True, slots=True)
class AuthorProof:
    """`by` is what proves it, or why nothing does: a few words of ours, with checked domain names."""

    proof: Proof
    by: str
