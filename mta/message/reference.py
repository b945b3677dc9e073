"""Signed references: Message-ID-shaped names of tracked conversations, which only we can make.

`<stampline.MODULE.NUMBER.NONCE.MAC@DOMAIN>`; MAC is the first 128 bits of HMAC-SHA256 over organisation, module, number
and nonce, in lower case base32. A reference is a bearer token: whoever gets a mail of the conversation can carry it on,
so a valid one alone proves nothing of who writes.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from collections.abc import Iterator, Sequence

from mta.model.transaction import Transaction

HEADER = "X-Stampline-Transaction"
SHAPE = re.compile(
    r"stampline\.([a-z][a-z0-9-]{0,31})\.([1-9][0-9]{0,14})\.([a-z2-7]{8})\.([a-z2-7]{26})", re.IGNORECASE
)
"""A reference without brackets and domain, wherever it stands: as it stands in a body."""
LOOKED_AT = 64
"""References in one text of which the proof is worked out at most."""


def make_reference(key: bytes, transaction: Transaction) -> str:
    """Without brackets and domain."""
    named = f"stampline.{transaction.module}.{transaction.number}.{transaction.nonce}"
    return f"{named}.{_proof(key, transaction)}"


def references_in(text: str, keys: Sequence[bytes], organisation: str) -> Iterator[Transaction]:
    """The valid references of this organisation in a text, from left to right. Every key counts. Bounded in time."""
    for count, match in enumerate(SHAPE.finditer(text)):
        if count >= LOOKED_AT:
            return
        module, number, nonce, proof = (part.lower() for part in match.groups())
        transaction = Transaction(organisation, module, int(number), nonce)
        if any(hmac.compare_digest(_proof(key, transaction), proof) for key in keys):
            yield transaction


def _proof(key: bytes, transaction: Transaction) -> str:
    signed = "\0".join(
        (
            "stampline-reference",
            transaction.organisation,
            transaction.module,
            str(transaction.number),
            transaction.nonce,
        )
    )
    return b32encode(hmac.digest(key, signed.encode(), "sha256")[:16]).decode().rstrip("=").lower()
