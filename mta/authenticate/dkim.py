"""DKIM (RFC 6376, 8301, 8463): which domains answer for a message?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from mta.authenticate.keys import PublicKey
from mta.authenticate.material import Material
from mta.authenticate.signature import Signature, public_key, read_signature, verify_signature
from mta.model.authentication import SignatureResult
from mta.off_the_loop import off_the_loop
from mta.ports.resolver import Resolver

SIGNATURES_MAX = 10
"""Signatures that are tried, from the top down; a message may come with a thousand."""
_ORDER = ("pass", "temperror", "fail", "policy", "permerror", "neutral")


async def verify_dkim(
    material: Material, resolver: Resolver, now: datetime, *, counts: Callable[[str], bool] = lambda _: True
) -> tuple[SignatureResult, ...]:
    """Try the signatures of a message; the results in the order in which they stand.

    `counts`: whether a signature of this domain could be of use; others are not tried.
    """
    indexes = material.indexes(b"dkim-signature")[:SIGNATURES_MAX]
    read = [_if_it_counts(read_signature(material, index, now), counts) for index in indexes]
    signatures = [signature for signature in read if isinstance(signature, Signature)]
    keys = await asyncio.gather(*(public_key(resolver, signature) for signature in signatures))
    forms = {signature.body_form for signature, key in zip(signatures, keys, strict=True) if isinstance(key, PublicKey)}
    if forms:
        await off_the_loop(material.size_octets, _hash_bodies, material, forms)
    key_by_index = {signature.index: key for signature, key in zip(signatures, keys, strict=True)}
    return tuple(
        verify_signature(each, key_by_index[each.index], material) if isinstance(each, Signature) else each
        for each in read
    )


def _if_it_counts(read: Signature | SignatureResult, counts: Callable[[str], bool]) -> Signature | SignatureResult:
    if isinstance(read, Signature) and not counts(read.domain):
        return read.result("neutral", "another's signature")
    return read


def _hash_bodies(material: Material, forms: Iterable[str]) -> None:
    for form in forms:
        material.body(form)


def in_one_word(results: Sequence[SignatureResult]) -> str:
    """What the signatures come to: pass if one holds, none where there is none."""
    found = {result.result for result in results}
    return next((word for word in _ORDER if word in found), "none")
