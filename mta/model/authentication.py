"""What authenticating an inbound message came to, in the words of RFC 8601 §2.7."""

from __future__ import annotations

from dataclasses import dataclass


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
