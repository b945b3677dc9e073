"""The ARC seal (RFC 8617): what we vouch for when we hand on what came from outside, the last change to its bytes."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mta.config.authentication_schema import ArcKey
from mta.config.signing_keys import arc_key
from mta.message.canonical import RelaxedBodyHash, chunks, relaxed_field, relaxed_fields
from mta.model.address import domain_key
from mta.ports.transport import Segments
from mta.relay.sign.keys import load_key, signature_of
from mta.relay.sign.layout import fold_base64, fold_names, split_header

SETS_MAX = 50
SIGNED = (
    b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"in-reply-to", b"references",
    b"mime-version", b"content-type", b"content-transfer-encoding", b"dkim-signature",
)  # fmt: skip
_SET = (b"arc-authentication-results", b"arc-message-signature", b"arc-seal")
_WANTED = frozenset((*SIGNED, *_SET))
_INSTANCE = re.compile(rb"(?:\A[a-z-]+:|;) ?i ?= ?([1-9][0-9]?) ?(?:;|\Z)")
_FAILED = re.compile(rb"; ?cv ?= ?fail ?(?:;|\Z)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ArcSet:
    """`fields` are the three header fields, to stand on top: folded, CRLF at the end of each."""

    fields: bytes
    instance: int
    domain: str
    selector: str


class Sealer:
    """One organisation's key, loaded once."""

    def __init__(self, domain: str, selector: str, private: RSAPrivateKey) -> None:
        self._domain = domain
        self._selector = selector
        self._private = private

    @classmethod
    def from_config(cls, key: ArcKey) -> Sealer:
        """Load the key. Raises DkimKeyError for one that can't be read or used."""
        private = load_key(f"ARC key {key.selector}._domainkey.{key.domain}", key.key, arc_key)
        return cls(domain_key(key.domain), key.selector, private)

    def seal(self, segments: Segments, results: bytes, status: str, now: datetime) -> ArcSet | None:
        """Seal a copy: all its bytes as they will be sent, without these fields.

        `results` is the value of our Authentication-Results, `status` what became of the chain so far: none, pass or
        fail. None where the chain can't go on: it had been found broken before us, has 50 sets (§5.1), or can't be
        counted. Raises ValueError if there is no end of the header in sight.
        """
        header, body = split_header(chunks(segments))
        fields = relaxed_fields(header, _WANTED)
        sets = [(_instance(line), _SET.index(name), line) for name, line in fields if name in _SET]
        instance = max((number for number, _, _ in sets), default=0) + 1
        if instance > SETS_MAX or any(number == instance - 1 and _FAILED.search(line) for number, _, line in sets):
            return None
        status = _status(sets, status)
        if not status:
            return None
        hashing = RelaxedBodyHash()
        for piece in body:
            hashing.update(piece)
        seconds = int(now.timestamp())
        stated = b"ARC-Authentication-Results: i=%d; %b\r\n" % (instance, results)
        signature = self._message_signature(instance, seconds, fields, hashing.digest())
        # After a failure only this set is sealed, for nobody could tell which fields of the others count (§5.1.2).
        before = [line for _, _, line in sorted(sets)] if status != "fail" else []
        lines = [*before, relaxed_field(stated), relaxed_field(signature)]
        seal = b"ARC-Seal: i=%d; a=rsa-sha256; t=%d; cv=%b;\r\n\td=%b; s=%b;\r\n\tb=" % (
            instance, seconds, status.encode(), self._domain.encode(), self._selector.encode(),
        )  # fmt: skip
        seal += self._signed([*lines, relaxed_field(seal)]) + b"\r\n"
        return ArcSet(seal + signature + stated, instance, self._domain, self._selector)

    def _message_signature(
        self, instance: int, seconds: int, fields: Sequence[tuple[bytes, bytes]], digest: bytes
    ) -> bytes:
        # Of each name the lowest field first, as those do who verify.
        signed = [(name, line) for name in SIGNED for found, line in reversed(fields) if found == name]
        names = tuple(name for name, _ in signed) or (b"from",)
        unsigned = b"ARC-Message-Signature: i=%d; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=%b; s=%b; t=%d;\r\n\t" % (
            instance, self._domain.encode(), self._selector.encode(), seconds,
        )  # fmt: skip
        unsigned += b"h=%b;\r\n\tbh=%b;\r\n\tb=" % (fold_names(names), b64encode(digest))
        return unsigned + self._signed([*(line for _, line in signed), relaxed_field(unsigned)]) + b"\r\n"

    def _signed(self, lines: Sequence[bytes]) -> bytes:
        return fold_base64(b64encode(signature_of(self._private, b"\r\n".join(lines))))


def _status(sets: Sequence[tuple[int, int, bytes]], found: str) -> str:
    """What cv= may say of the sets that the copy has now; "" where no seal of ours would make sense.

    A rule may have taken fields out since the chain was verified, and a gateway may have said none of one that is
    there. A chain whose sets can't be counted can't go on: the first set has cv=none whatever was before (§5.1.1).
    """
    numbers = sorted((number, kind) for number, kind, _ in sets)
    if not numbers:
        return "none"
    if numbers[-1][0] == 0 or found == "none":
        return ""
    is_whole = numbers == [(number, kind) for number in range(1, numbers[-1][0] + 1) for kind in range(len(_SET))]
    return found if is_whole else "fail"


def _instance(line: bytes) -> int:
    """Of a field in canonical form; 0 where it has none."""
    match = _INSTANCE.search(line)
    return int(match[1]) if match else 0
