"""One signature over a message, as DKIM-Signature and ARC-Message-Signature have it: reading and verifying."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as BinasciiError
from dataclasses import dataclass
from datetime import datetime

from mta.authenticate.keys import KeyProblem, PublicKey, key_of
from mta.authenticate.material import Material
from mta.authenticate.tags import TagListError, read_tags, without_signature, without_white
from mta.message.canonical import relaxed_field
from mta.message.domain_names import NAME_MAX, is_host_name, is_within
from mta.model.address import domain_key
from mta.model.authentication import SignatureResult
from mta.ports.resolver import Answer, Resolver

ALGORITHMS = frozenset({"rsa-sha256", "ed25519-sha256"})
FIELDS_MAX = 500
"""Names in one h=."""
_FORMS = ("simple", "relaxed")
_START = 8


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that can be tried."""

    index: int
    """Of its field in the header."""
    domain: str
    selector: str
    algorithm: str
    header_form: str
    body_form: str
    names: tuple[bytes, ...]
    body_hash: bytes
    value: bytes
    length: int | None
    """l="""
    identity: str
    """The domain of i=."""
    start: str

    @property
    def key_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    def result(self, result: str, reason: str = "") -> SignatureResult:
        return SignatureResult(result, self.domain, self.selector, self.algorithm, self.start, reason)


class SignatureError(ValueError):
    """It can't be tried; `result` is the word for it."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result


def read_signature(
    material: Material, index: int, now: datetime, *, has_version: bool = True
) -> Signature | SignatureResult:
    """Read the field at `index`; a result where it can't or needn't be tried. DKIM's has a version, ARC's none."""
    try:
        tags = read_tags(material.value(index))
    except TagListError as exc:
        return SignatureResult("neutral", reason=str(exc))
    domain, selector = name_of(tags.get(b"d", b"")), name_of(tags.get(b"s", b""))
    if not (is_host_name(domain) and is_host_name(selector)):
        return SignatureResult("neutral", reason="signature names no domain and selector")
    if not has_version:
        tags = {b"v": b"1", **tags}
    algorithm = tags.get(b"a", b"").decode("latin_1").lower()[:20]
    start = without_white(tags.get(b"b", b""))[:_START].decode("ascii", "replace")
    try:
        return _read(index, tags, domain, selector, algorithm, start, now)
    except SignatureError as exc:
        known = algorithm if algorithm in (*ALGORITHMS, "rsa-sha1") else ""
        return SignatureResult(exc.result, domain, selector, known, start, str(exc))


def _read(
    index: int, tags: dict[bytes, bytes], domain: str, selector: str, algorithm: str, start: str, now: datetime
) -> Signature:
    if tags.get(b"v") != b"1":
        raise SignatureError("neutral", "signature of another version")
    if algorithm not in ALGORITHMS:
        known = algorithm == "rsa-sha1"
        raise SignatureError("permerror", "rsa-sha1 is no longer valid" if known else "unknown algorithm")
    header_form, _, body_form = tags.get(b"c", b"simple").decode("latin_1").lower().partition("/")
    body_form = body_form or "simple"
    names = tuple(name.strip().lower() for name in tags.get(b"h", b"").split(b":"))
    if header_form not in _FORMS or body_form not in _FORMS or len(names) > FIELDS_MAX:
        raise SignatureError("neutral", "unknown canonicalisation, or too many fields")
    if b"from" not in names:
        raise SignatureError("permerror", "From is not signed")
    identity = name_of(tags[b"i"].rpartition(b"@")[2]) if b"@" in tags.get(b"i", b"") else domain
    if not is_within(identity, domain):
        raise SignatureError("permerror", "i= is not within d=")
    if b"q" in tags and b"dns/txt" not in tags[b"q"].lower():
        raise SignatureError("permerror", "key is not in DNS")
    expires = _number(tags, b"x")
    if expires is not None and expires < now.timestamp():
        raise SignatureError("fail", "signature is expired")
    return Signature(
        index, domain, selector, algorithm, header_form, body_form, names,
        _octets(tags.get(b"bh", b"")), _octets(tags.get(b"b", b"")), _number(tags, b"l"), identity, start,
    )  # fmt: skip


def name_of(value: bytes) -> str:
    """A domain or selector of a tag as a `domain_key`; "" for one that is too long to be one."""
    return domain_key(value.decode("utf_8", "replace")) if len(value) <= 4 * NAME_MAX else ""  # UTF-8 by RFC 8616


def _number(tags: dict[bytes, bytes], tag: bytes) -> int | None:
    if tag not in tags:
        return None
    if not tags[tag].isdigit() or len(tags[tag]) > 20:
        raise SignatureError("neutral", f"{tag.decode()}= is no number")
    return int(tags[tag])


def _octets(value: bytes) -> bytes:
    try:
        octets = b64decode(without_white(value), validate=True)
    except BinasciiError:
        octets = b""
    if not octets:
        raise SignatureError("neutral", "signature or body hash is missing or not base64")
    return octets


async def public_key(resolver: Resolver, signature: Signature) -> PublicKey | KeyProblem:
    """The key that a signature names, fit for it."""
    answer: Answer[bytes] = await resolver.txt(signature.key_name)
    found = key_of(answer)
    if isinstance(found, KeyProblem):
        return found
    if found.algorithm != signature.algorithm:
        return KeyProblem("permerror", "key is of another kind than the signature")
    if found.is_strict and signature.identity != signature.domain:
        return KeyProblem("permerror", "key is not for domains below")
    return found


def verify_signature(signature: Signature, key: PublicKey | KeyProblem, material: Material) -> SignatureResult:
    """Try it. Pure but for the time that hashing a large body takes."""
    if isinstance(key, KeyProblem):
        return signature.result(key.result, key.reason)
    digest, length = material.body(signature.body_form)
    if signature.length is not None and signature.length < length:
        # Anybody may have added to what is not signed, so this says nothing about what the reader sees.
        return signature.result("policy", "l= leaves a part of the body unsigned")
    if digest != signature.body_hash:
        return signature.result("fail", "body has changed")
    field = without_signature(material.raw(signature.index))
    data = material.selected(signature.names, signature.header_form, without=signature.index)
    data += relaxed_field(field) if signature.header_form == "relaxed" else field.removesuffix(b"\r\n")
    if not key.verifies(signature.value, data):
        return signature.result("fail", "signature does not fit the header")
    return signature.result("pass")
