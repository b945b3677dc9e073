"""Names in a client's certificate, and how the configured ones are compared with them (RFC 6125 §6.4). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from cryptography import x509
from cryptography.x509.oid import NameOID

from mta.model.address import domain_key


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
