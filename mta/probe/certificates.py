"""Whether our own certificates will be believed: those of listeners, and those that next hops ask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from mta.config.delivery_schema import MaildirHop
from mta.model.address import domain_key
from mta.probe.certificate_facts import age, facts_of
from mta.probe.probe import Probe, Say, Surroundings, failed, ok, warning


@dataclass(frozen=True, slots=True)
class CertificateProbe:
    """One file of certificates."""

    name: str
    path: Path
    hostname: str
    """By what name clients know us; "" where that doesn't matter."""
    now: datetime

    async def run(self, say: Say) -> None:
        try:
            chain = x509.load_pem_x509_certificates(self.path.read_bytes())
            facts = [facts_of(each, each.public_bytes(Encoding.DER)) for each in chain]
        except (OSError, ValueError) as exc:
            say(failed(f"{self.path} can't be read: {exc}", "see `stampline check`"))
            return
        for position, each in enumerate(facts):
            say(age(each, self.now, "the" if not position else f"in the chain, place {position + 1}: the"))
        if self.hostname and not _covers(facts[0].names, self.hostname):
            mend = f"get one for {self.hostname}, or correct hostname"
            say(warning(f"it is not for {self.hostname}, the name that we greet with", mend))
        self._chain(chain, say)

    def _chain(self, chain: Sequence[x509.Certificate], say: Say) -> None:
        for position, (lower, upper) in enumerate(pairwise(chain), 2):
            try:
                lower.verify_directly_issued_by(upper)
            except (ValueError, TypeError, InvalidSignature):
                what = f"the certificate in place {position} of the file did not issue the one before it"
                say(failed(what, "put the server's certificate first, then each one's issuer"))
                return
        if len(chain) > 1:
            say(ok(f"the chain of {len(chain)} fits together"))
        elif chain[0].issuer == chain[0].subject:
            say(warning("it is signed by itself: only who knows it believes it", "get one from an authority"))
        else:
            mend = "add the issuer's certificate behind it, unless clients have that one"
            say(warning("it stands alone: clients have to know its issuer", mend))


def _covers(names: Iterable[str], hostname: str) -> bool:
    """RFC 6125: a name itself, or a wildcard for its first label."""
    wanted = {hostname, f"*.{hostname.partition('.')[2]}"}
    return any(domain_key(name) in wanted for name in names if not _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def probes(surroundings: Surroundings) -> Iterable[Probe]:
    """One for each listener, and each next hop, that has a certificate."""
    configuration, now = surroundings.configuration, surroundings.now
    for listener in configuration.listeners:
        if listener.tls.mode != "none" and listener.tls.certificate is not None:
            hostname = domain_key(configuration.hostname)
            yield CertificateProbe(f"listener {listener.name}", listener.tls.certificate, hostname, now)
    for hop in configuration.next_hops:
        if not isinstance(hop, MaildirHop) and hop.tls.certificate is not None:
            yield CertificateProbe(f"next hop {hop.name}", hop.tls.certificate, "", now)
