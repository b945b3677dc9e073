"""Keys that sign: read once, and what one signature of theirs is (RFC 6376 §3.3, RFC 8463 §3)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from mta.config.signing_keys import DkimKeyError, PrivateKey
from mta.config.types import Secret

K = TypeVar("K", bound=PrivateKey)

_PADDING = PKCS1v15()
_SHA_256 = SHA256()


def load_key(name: str, secret: Secret, read: Callable[[bytes], K]) -> K:
    """The key that a secret holds; `name` is what a problem calls it. Raises DkimKeyError."""
    try:
        return read(secret.read())
    except OSError as exc:
        raise DkimKeyError(f"{name} can't be read: {exc.strerror or exc}") from exc
    except KeyError as exc:
        raise DkimKeyError(f"{name}: the environment has no variable {exc.args[0]}") from exc
    except DkimKeyError as exc:
        raise DkimKeyError(f"{name} {exc}") from exc


def algorithm_of(key: PrivateKey) -> str:
    """As a= names it."""
    return "rsa-sha256" if isinstance(key, RSAPrivateKey) else "ed25519-sha256"


def signature_of(key: PrivateKey, data: bytes) -> bytes:
    """The signature of `data`; both kinds give the same octets each time."""
    if isinstance(key, RSAPrivateKey):
        return key.sign(data, _PADDING, _SHA_256)
    return key.sign(sha256(data).digest())
