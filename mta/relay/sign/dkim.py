"""DKIM signatures (RFC 6376): rsa-sha256, relaxed/relaxed, the same bytes whenever the same copy is signed again."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mta.config.schema import DkimKey
from mta.config.types import Secret
from mta.message.canonical import RelaxedBodyHash, chunks, relaxed_fields, relaxed_whitespace
from mta.model.address import domain_key
from mta.ports.transport import Segments

RSA_BITS_MIN = 1024
"""RFC 8301 §3.2: verifiers must not take less."""
HEADER_OCTETS_MAX = 1 << 20
"""No empty line within this many octets: not a message to sign."""

_LINE_MAX = 76
PADDING = PKCS1v15()
SHA_256 = SHA256()


class DkimKeyError(ValueError):
    """A key that can't sign; the text says which one and why."""


@dataclass(frozen=True, slots=True)
class DkimSignature:
    """`field` is the whole header field: folded, CRLF at its end."""

    field: bytes
    domain: str
    selector: str


@dataclass(frozen=True, slots=True)
class _Key:
    domain: str
    selector: str
    private: RSAPrivateKey
    headers: tuple[bytes, ...]
    wanted: frozenset[bytes]
    """The same names as `headers`."""
    prefix: bytes
    """How the field begins, up to the value of t=; that never changes."""
    relaxed_prefix: bytes
    """The same in canonical form."""


class Signer:
    """One organisation's keys, loaded once."""

    def __init__(self, keys: Sequence[_Key]) -> None:
        self._keys = {key.domain: key for key in reversed(keys)}
        self._by_selector = {(key.domain, key.selector): key for key in reversed(keys)}

    @classmethod
    def from_config(cls, keys: Sequence[DkimKey]) -> Signer:
        """Load the keys; of several for one domain the first signs, the others wait for their turn in a rotation.

        Raises DkimKeyError for a key that can't be read, isn't RSA in PEM, or is shorter than 1024 bits.
        """
        return cls([_load(key) for key in keys])

    def key_domain(self, from_domain: str) -> str | None:
        """The domain that signs for a From domain: itself, else its nearest parent with a key (RFC 7489 §3.1.1)."""
        domain = domain_key(from_domain)
        while domain and domain not in self._keys:
            domain = domain.partition(".")[2]
        return domain or None

    def _key(self, from_domain: str, selector: str) -> _Key | None:
        """The key of that selector, of the domain itself or its nearest parent that has it; else the usual one."""
        domain = domain_key(from_domain) if selector else ""
        while domain:
            if (chosen := self._by_selector.get((domain, selector))) is not None:
                return chosen
            domain = domain.partition(".")[2]
        usual = self.key_domain(from_domain)
        return self._keys[usual] if usual is not None else None

    def sign(self, from_domain: str, segments: Segments, now: datetime, *, selector: str = "") -> DkimSignature | None:
        """Sign a copy: all its bytes as they will be sent, without this field. None where no key fits.

        `selector` asks for one of several keys; a domain that hasn't it signs with its usual one.
        `now` is the time of acceptance, so that a second try gives the same bytes (PKCS #1 v1.5 is deterministic).
        Raises ValueError if there is no end of the header within HEADER_OCTETS_MAX.
        """
        key = self._key(from_domain, selector)
        if key is None:
            return None
        header, body = split_header(chunks(segments))
        names, signed = _signed_fields(relaxed_fields(header, key.wanted), key.headers)
        hashing = RelaxedBodyHash()
        for piece in body:
            hashing.update(piece)
        rest = _rest_without_signature(names, hashing.digest(), int(now.timestamp()))
        # Last this field itself, without CRLF and with an empty b= (§3.7).
        signed.append(key.relaxed_prefix + relaxed_whitespace(rest.replace(b"\r\n\t", b" ")))
        signature = b64encode(key.private.sign(b"\r\n".join(signed), PADDING, SHA_256))
        return DkimSignature(key.prefix + rest + fold_base64(signature) + b"\r\n", key.domain, key.selector)


def load_private_key(name: str, secret: Secret) -> RSAPrivateKey:
    """An RSA key from PEM; `name` is what a problem calls it. Raises DkimKeyError."""
    try:
        private = load_pem_private_key(secret.read(), password=None)
    except OSError as exc:
        raise DkimKeyError(f"{name} can't be read: {exc.strerror or exc}") from exc
    except KeyError as exc:
        raise DkimKeyError(f"{name}: the environment has no variable {exc.args[0]}") from exc
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise DkimKeyError(f"{name} is not an unencrypted private key in PEM form") from exc
    if not isinstance(private, RSAPrivateKey):
        raise DkimKeyError(f"{name} is not an RSA key")
    if private.key_size < RSA_BITS_MIN:
        raise DkimKeyError(f"{name} has {private.key_size} bits, at least {RSA_BITS_MIN} are needed (2048 are usual)")
    return private


def _load(config: DkimKey) -> _Key:
    private = load_private_key(f"DKIM key {config.selector}._domainkey.{config.domain}", config.key)
    domain = domain_key(config.domain)
    headers = tuple(dict.fromkeys([b"from", *(header.lower().encode() for header in config.headers)]))
    prefix = (
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td={domain}; s={config.selector};\r\n\tt="
    ).encode()
    relaxed_prefix = relaxed_fields(prefix)[0][1]
    return _Key(domain, config.selector, private, headers, frozenset(headers), prefix, relaxed_prefix)


def split_header(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The header block with its last CRLF, and the pieces of the body, which may not be there."""
    head = b""
    for piece in pieces:
        head += piece
        if head.startswith(b"\r\n"):
            return b"", _and_then(head[2:], pieces)
        end = head.find(b"\r\n\r\n")
        if end >= 0:
            return head[: end + 2], _and_then(head[end + 4 :], pieces)
        if len(head) > HEADER_OCTETS_MAX:
            raise ValueError("no end of the header in sight")
    return head, iter(())


def _and_then(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _signed_fields(fields: Sequence[tuple[bytes, bytes]], wanted: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """The names for h= and the fields to hash, in the same order: of each name the lowest field first (§5.4.2).

    Every name that stands in the header is named once more than it occurs, so that nobody can add another Subject
    that a reader would see in place of the signed one (§8.15). From is always named.
    """
    occurring: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for name, line in fields:
        occurring[name].append(line)
    names: list[bytes] = []
    signed: list[bytes] = []
    for name in wanted:
        lines = occurring.get(name)
        if lines:
            names += [name] * len(lines)
            signed += reversed(lines)
        if lines or name == b"from":
            names.append(name)
    return names, signed


def _rest_without_signature(names: Sequence[bytes], digest: bytes, seconds: int) -> bytes:
    """The field from the value of t= up to and with `b=`, folded with CRLF and tab."""
    return b"%d;\r\n\th=%b;\r\n\tbh=%b;\r\n\tb=" % (seconds, fold_names(tuple(names)), b64encode(digest))


@lru_cache(maxsize=128)
def fold_names(names: tuple[bytes, ...]) -> bytes:
    """The value of h=, folded."""
    lines = []
    line = b"  " + names[0]  # as long as "h=" that stands before it
    for name in names[1:]:
        if len(line) + len(name) + 3 > _LINE_MAX:
            lines.append(line)
            line = b" " + name
        else:
            line += b":" + name
    return b":\r\n\t".join([*lines, line])[2:]


def fold_base64(text: bytes) -> bytes:
    """The value of b=, folded."""
    width = _LINE_MAX - 4
    return b"\r\n\t".join([text[i : i + width] for i in range(0, len(text), width)])
