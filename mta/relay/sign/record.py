"""The DNS record by which others verify what a key signs (RFC 6376 §3.6.1, RFC 8463 §4)."""

from __future__ import annotations

from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mta.config.signing_keys import PrivateKey

STRING_OCTETS_MAX = 255
"""A TXT record is strings of so many octets at most (RFC 1035 §3.3.14); those who read it join them."""


def key_record(key: PrivateKey) -> str:
    """The record's text."""
    public = key.public_key()
    if isinstance(key, RSAPrivateKey):
        kind, octets = "rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, octets = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k={kind}; p={b64encode(octets).decode()}"


def zone_line(name: str, record: str) -> str:
    """The record as a line of a zone file, cut into strings; `name` is without its last dot."""
    strings = [record[i : i + STRING_OCTETS_MAX] for i in range(0, len(record), STRING_OCTETS_MAX)]
    written = " ".join(f'"{string}"' for string in strings)
    return f"{name}. IN TXT ( {written} )" if len(strings) > 1 else f"{name}. IN TXT {written}"
