"""Certificates in words: what they are for, by whom, until when, and how to mend what is wrong with them."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from mta.probe.probe import Line, failed, ok, warning

SOON = timedelta(days=30)
NAMES_MAX = 10
_SELF_SIGNED = (18, 19)
_NO_ISSUER = (2, 20, 21)
_EXPIRED = 10
_WRONG_NAME = (62, 64)


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one certificate; texts are strangers' words."""

    names: tuple[str, ...]
    """DNS names and addresses; the subject's common name where there are none."""
    issuer: str
    begins: datetime
    ends: datetime
    fingerprint: str
    """SHA-256 in hexadecimal."""

    def __str__(self) -> str:
        return f"certificate of {', '.join(self.names) or 'nobody'} by {self.issuer}, until {self.ends:%Y-%m-%d}"


def facts_of(certificate: x509.Certificate, der: bytes) -> Facts:
    """Raises ValueError for a certificate whose extensions are broken."""
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = _common_names(certificate.subject)
    else:
        addresses = [str(address) for address in alternative.get_values_for_type(x509.IPAddress)]
        names = [*alternative.get_values_for_type(x509.DNSName), *addresses]
    organisation = certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    issuer = [*_common_names(certificate.issuer), *(str(each.value) for each in organisation)]
    return Facts(
        tuple(names[:NAMES_MAX]), issuer[0] if issuer else "an unnamed authority",
        certificate.not_valid_before_utc, certificate.not_valid_after_utc, hashlib.sha256(der).hexdigest(),
    )  # fmt: skip


def _common_names(name: x509.Name) -> list[str]:
    return [str(each.value) for each in name.get_attributes_for_oid(NameOID.COMMON_NAME)]


def age(facts: Facts, now: datetime, whose: str) -> Line:
    """Whether it is valid now, and for a while yet; `whose` begins the sentence."""
    days = (facts.ends - now).days
    if facts.ends <= now:
        return failed(f"{whose} certificate expired on {facts.ends:%Y-%m-%d}", "get a new one")
    if facts.begins > now:
        mend = "see whether this machine's clock is right"
        return failed(f"{whose} certificate is valid only from {facts.begins:%Y-%m-%d %H:%M} UTC", mend)
    if facts.ends - now < SOON:
        return warning(f"{whose} certificate expires in {days} days", "get a new one in time")
    return ok(f"{whose} {facts}")


ALL_KEYS = frozenset({"ca_file", "verify_name", "fingerprints"})


def refusal(error: BaseException, facts: Facts | None, keys: frozenset[str] = ALL_KEYS) -> tuple[str, str]:
    """Why a handshake failed, and how to mend it; `keys` are those that the configuration has for the server."""
    found = verification_error(error)
    if found is None:
        return f"the TLS handshake fails: {error}"[:300], "see what the server's log says; TLS 1.2 is the least we take"
    reason = f"the certificate is refused: {found.verify_message}"
    if found.verify_code == _EXPIRED:
        return reason, "the server needs a new certificate"
    if found.verify_code in _WRONG_NAME and facts is not None:
        way = "name one of these as tls: verify_name" if "verify_name" in keys else "use one of these names"
        return reason, f"{way}, if it is the right server: {', '.join(facts.names)}"
    if found.verify_code in (*_SELF_SIGNED, *_NO_ISSUER):
        if "ca_file" not in keys:
            return reason, "the server needs a certificate that everybody trusts"
        pin = f", or its own fingerprint: {facts.fingerprint}" if facts is not None and "fingerprints" in keys else ""
        return reason, f"name its authority's certificate as tls: ca_file{pin}"
    return reason, "the server needs another certificate"


def verification_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The refusal of a certificate among an error and its causes."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None
