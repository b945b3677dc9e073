"""Public keys as DNS holds them (RFC 6376 §3.6.1, RFC 8463), and what they verify."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BinasciiError
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mta.authenticate.tags import TagListError, read_tags, without_white
from mta.ports.resolver import Answer, Outcome

RSA_BITS_MIN = 1024
RSA_BITS_MAX = 8192
"""RFC 8301 §3.2 wants 1024 to 4096; much larger ones are made to keep verifiers busy."""
EXPONENT_BITS_MAX = 32
"""Everybody has 65537; with one as long as the modulus a verification takes a hundred times as long."""
RECORD_OCTETS_MAX = 4000
RECORDS_MAX = 5
"""Records of one name that are tried."""
_PADDING = PKCS1v15()
_SHA256 = SHA256()


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """Why there is no key to verify with."""

    result: str
    reason: str


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that may verify."""

    key: RSAPublicKey | Ed25519PublicKey
    is_strict: bool
    """t=s: the identity (i=) must have the signing domain itself, none below it."""

    @property
    def algorithm(self) -> str:
        return "rsa-sha256" if isinstance(self.key, RSAPublicKey) else "ed25519-sha256"

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` is this key's of `data`."""
        try:
            if isinstance(self.key, RSAPublicKey):
                self.key.verify(signature, data, _PADDING, _SHA256)
            else:
                digest = Hash(_SHA256)
                digest.update(data)
                self.key.verify(signature, digest.finalize())  # RFC 8463 §3
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            return False
        return True


def key_of(answer: Answer[bytes]) -> PublicKey | KeyProblem:
    """The key in an answer; of several records the first that holds one."""
    if answer.outcome is Outcome.TEMPFAIL:
        return KeyProblem("temperror", "no answer from DNS for the key")
    problem = KeyProblem("permerror", "no key")
    for record in answer.records[:RECORDS_MAX]:
        found = read_key(record)
        if isinstance(found, PublicKey):
            return found
        problem = found
    return problem


@lru_cache(maxsize=512)
def read_key(record: bytes) -> PublicKey | KeyProblem:
    """Read one key record."""
    if len(record) > RECORD_OCTETS_MAX:
        return KeyProblem("permerror", "key record is too long")
    try:
        tags = read_tags(record)
    except TagListError:
        return KeyProblem("permerror", "key record is malformed")
    if tags.get(b"v", b"DKIM1") != b"DKIM1" or (b"v" in tags and next(iter(tags)) != b"v"):
        return KeyProblem("permerror", "key record is of another version")
    if b"h" in tags and b"sha256" not in _words(tags[b"h"]):
        return KeyProblem("permerror", "key is not for SHA-256")
    if _words(tags.get(b"s", b"*")).isdisjoint((b"*", b"email")):
        return KeyProblem("permerror", "key is not for mail")
    return _decoded(tags)


def _decoded(tags: dict[bytes, bytes]) -> PublicKey | KeyProblem:
    written = without_white(tags.get(b"p", b""))
    if not written:
        return KeyProblem("permerror", "key is revoked" if b"p" in tags else "key record has no key")
    kind = tags.get(b"k", b"rsa")
    try:
        octets = b64decode(written, validate=True)
        key = Ed25519PublicKey.from_public_bytes(octets) if kind == b"ed25519" else load_der_public_key(octets)
    except (BinasciiError, ValueError, UnsupportedAlgorithm):
        return KeyProblem("permerror", "key can't be read")
    is_strict = b"s" in _words(tags.get(b"t", b""))
    if isinstance(key, Ed25519PublicKey) and kind == b"ed25519":
        return PublicKey(key, is_strict)
    if not isinstance(key, RSAPublicKey) or kind != b"rsa":
        return KeyProblem("permerror", "key is of an unknown kind")
    if key.key_size < RSA_BITS_MIN:
        return KeyProblem("policy", f"key has {key.key_size} bits")
    if key.key_size > RSA_BITS_MAX:
        return KeyProblem("policy", "key is too long")
    if key.public_numbers().e.bit_length() > EXPONENT_BITS_MAX:
        return KeyProblem("policy", "key has an unusual exponent")
    return PublicKey(key, is_strict)


def _words(value: bytes) -> frozenset[bytes]:
    return frozenset(word.strip() for word in value.split(b":"))
