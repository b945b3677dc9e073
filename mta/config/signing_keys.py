"""Private keys of DKIM and ARC: from PEM, as the configuration names them."""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

RSA_BITS_MIN = 1024
"""RFC 8301 §3.2: verifiers must not take less."""
RSA_BITS_MAX = 4096
"""RFC 8301 §3.2: verifiers need not take more."""
RSA_BITS_USUAL = 2048


class DkimKeyError(ValueError):
    """A key that can't sign; the text says why, in words that follow the key's name."""


@lru_cache(maxsize=256)  # the checks at a start ask for each key several times, and OpenSSL tries it for 50 ms
def private_key(pem: bytes) -> PrivateKey:
    """An RSA or Ed25519 key from PEM. Raises DkimKeyError."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise DkimKeyError("is not an unencrypted private key in PEM form") from exc
    if isinstance(key, Ed25519PrivateKey):
        return key
    if not isinstance(key, RSAPrivateKey):
        raise DkimKeyError("is neither an RSA nor an Ed25519 key")
    if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        raise DkimKeyError(f"has {key.key_size} bits; verifiers take {RSA_BITS_MIN} to {RSA_BITS_MAX} (2048 are usual)")
    return key


def arc_key(pem: bytes) -> RSAPrivateKey:
    """An RSA key from PEM. Raises DkimKeyError; also for Ed25519, which those who verify seals don't know."""
    key = private_key(pem)
    if not isinstance(key, RSAPrivateKey):
        raise DkimKeyError("is an Ed25519 key; ARC seals are verified by RSA only")
    return key
