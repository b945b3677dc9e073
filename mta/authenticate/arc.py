"""ARC (RFC 8617): did those who handed the message on vouch for it, without a gap?"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from binascii import Error as BinasciiError
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mta.authenticate.keys import KeyProblem, PublicKey, key_of
from mta.authenticate.material import Material
from mta.authenticate.signature import Signature, name_of, public_key, read_signature, verify_signature
from mta.authenticate.tags import TagListError, read_tags, without_signature, without_white
from mta.message.canonical import relaxed_field
from mta.message.domain_names import is_host_name
from mta.off_the_loop import off_the_loop
from mta.ports.resolver import Resolver

SETS_MAX = 50
RESULTS = b"arc-authentication-results"
SIGNATURE = b"arc-message-signature"
SEAL = b"arc-seal"
_NAMES = (RESULTS, SIGNATURE, SEAL)
_IN_A_THREAD_FROM = 5
"""Seals: each costs a public key operation and the hash of all sets before it."""


@dataclass(frozen=True, slots=True)
class ArcResult:
    """none, pass, fail, or temperror where DNS did not tell; `domain` sealed the newest set."""

    result: str
    domain: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Seal:
    domain: str
    selector: str
    algorithm: str
    status: str
    value: bytes


class _BrokenChainError(ValueError):
    pass


async def verify_arc(material: Material, resolver: Resolver, now: datetime) -> ArcResult:
    """Judge the chain as it stands on the message (§5.2)."""
    if not any(material.indexes(name) for name in _NAMES):
        return ArcResult("none")
    domain = ""
    try:
        sets = _sets(material)
        seals = {number: _seal(material.value(found[SEAL]), number) for number, found in sets.items()}
        domain = seals[len(seals)].domain
        signature = _message_signature(material, sets[len(sets)][SIGNATURE], now)
    except _BrokenChainError as exc:
        return ArcResult("fail", domain, str(exc))
    names = dict.fromkeys(f"{seal.selector}._domainkey.{seal.domain}" for seal in seals.values())
    signature_key, answers = await asyncio.gather(
        public_key(resolver, signature), asyncio.gather(*(resolver.txt(name) for name in names))
    )
    keys = dict(zip(names, map(key_of, answers), strict=True))
    size = material.size_octets if len(sets) < _IN_A_THREAD_FROM else 1 << 62
    reason = await off_the_loop(size, _what_fails, material, sets, seals, keys, signature, signature_key)
    if not reason:
        return ArcResult("pass", domain)
    is_temporary = any(
        isinstance(key, KeyProblem) and key.result == "temperror" for key in (signature_key, *keys.values())
    )
    return ArcResult("temperror" if is_temporary else "fail", domain, reason)


def _sets(material: Material) -> dict[int, dict[bytes, int]]:
    """Instance → header field name → where it stands: complete sets from 1 on, without a gap."""
    sets: dict[int, dict[bytes, int]] = {}
    for name in _NAMES:
        for index in material.indexes(name):
            number = _instance(material.value(index), name)
            if name in sets.setdefault(number, {}):
                raise _BrokenChainError(f"two {name.decode()} of one instance")
            sets[number][name] = index
    if sorted(sets) != list(range(1, len(sets) + 1)) or any(len(found) != len(_NAMES) for found in sets.values()):
        raise _BrokenChainError("a set is missing or incomplete")
    return sets


def _instance(value: bytes, name: bytes) -> int:
    """i= of a field: anywhere in its tags, in results first of all (§4.1.1)."""
    if name == RESULTS:
        tag, _, text = value.partition(b";")[0].partition(b"=")
        text = text if tag.strip(b" \t\r\n") == b"i" else b""
    else:
        try:
            text = read_tags(value).get(b"i", b"")
        except TagListError:
            text = b""
    text = text.strip(b" \t\r\n")
    if not (text.isdigit() and len(text) <= 2 and 0 < int(text) <= SETS_MAX):
        raise _BrokenChainError("a field without a valid instance")
    return int(text)


def _seal(value: bytes, number: int) -> _Seal:
    tags = read_tags(value)
    domain, selector = (name_of(tags.get(tag, b"")) for tag in (b"d", b"s"))
    status = tags.get(b"cv", b"").decode("latin_1").lower()
    if status != ("none" if number == 1 else "pass"):
        raise _BrokenChainError("chain had failed before" if status == "fail" else "a seal has a wrong cv=")
    if b"h" in tags or not (is_host_name(domain) and is_host_name(selector)):
        raise _BrokenChainError("a seal is malformed")
    try:
        octets = b64decode(without_white(tags.get(b"b", b"")), validate=True)
    except BinasciiError:
        octets = b""
    return _Seal(domain, selector, tags.get(b"a", b"").decode("latin_1").lower(), status, octets)


def _message_signature(material: Material, index: int, now: datetime) -> Signature:
    read = read_signature(material, index, now, has_version=False)
    if not isinstance(read, Signature):
        raise _BrokenChainError(read.reason)
    if SEAL in read.names:
        raise _BrokenChainError("ARC-Message-Signature signs a seal")
    return read


def _what_fails(
    material: Material,
    sets: Mapping[int, Mapping[bytes, int]],
    seals: Mapping[int, _Seal],
    keys: Mapping[str, PublicKey | KeyProblem],
    signature: Signature,
    signature_key: PublicKey | KeyProblem,
) -> str:
    """The first fault in a few words, "" where all holds."""
    checked = verify_signature(signature, signature_key, material)
    if checked.result != "pass":
        return f"newest ARC-Message-Signature: {checked.reason}"
    pieces: list[bytes] = []
    for number in range(1, len(sets) + 1):
        seal, found = seals[number], sets[number]
        pieces += [material.canonical(found[name], "relaxed") for name in (RESULTS, SIGNATURE)]
        key = keys[f"{seal.selector}._domainkey.{seal.domain}"]
        if isinstance(key, KeyProblem):
            return f"seal {number}: {key.reason}"
        if key.algorithm != seal.algorithm:
            return f"seal {number}: key is of another kind"
        if not key.verifies(seal.value, b"".join(pieces) + relaxed_field(without_signature(material.raw(found[SEAL])))):
            return f"seal {number} does not fit"
        pieces.append(material.canonical(found[SEAL], "relaxed"))
    return ""
