"""A client's certificate: what it is for, its names, how configured ones compare with them (RFC 6125 §6.4). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mta.model.address import domain_key

_FOR_SERVERS_OR_CLIENTS = frozenset(
    {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
)


def is_for_tls(certificate: x509.Certificate) -> bool:
    """Whether it may prove a name to a TLS peer (RFC 5280 §4.2.1.12).

    A mail server shows the same certificate whichever side it is on, and public authorities no longer write clientAuth
    into them. Raises ValueError where its extensions can't be read.
    """
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return not _FOR_SERVERS_OR_CLIENTS.isdisjoint(usages)


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names of its subjectAltName; the subject's common name where it has none there.

    Lower case, as A-labels. Raises ValueError where its extensions can't be read.
    """
    found: list[str] = []
    with suppress(x509.ExtensionNotFound):
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = alternatives.get_values_for_type(x509.DNSName)
    if not found:
        found = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(domain_key(name) for name in found)


def matching_name(configured: Sequence[str], presented: Iterable[str]) -> str:
    """The first configured name that the certificate has; "" where it has none.

    A `*` as the leftmost label stands for one label, on either side: `*.example.com` in the certificate is
    mail.example.com; and configured, it is any name with one label in front of example.com, as Exchange has it.
    """
    names = tuple(presented)
    return next((each for each in configured if any(_is_same(domain_key(each), name) for name in names)), "")


def _is_same(configured: str, presented: str) -> bool:
    if configured == presented:
        return True
    for pattern, name in ((presented, configured), (configured, presented)):
        star, _, parent = pattern.partition(".")
        label, _, rest = name.partition(".")
        if star == "*" and parent == rest and "." in parent and label not in ("", "*"):
            return True
    return False
