"""Signatures over messages of any shape: verified as they are, broken by one changed octet or one more field."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import dkim
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mta.message.canonical import RelaxedBodyHash, relaxed_fields
from mta.relay.sign import Signer
from tests.unit.relay.sign.signing import Keys, signed

NAMES = ("From", "To", "Cc", "Subject", "Reply-To", "Date", "X-Other", "List-Id", "Content-Type", "sUbJect")
OVERSIGNED = ("From", "To", "Cc", "Subject", "Reply-To")
# VT and FF are white space for dkimpy, though not for RFC 6376.
NOT_IN_LINES = b"\r\n\0\x0b\x0c"
WORDS = st.text("ab \t", max_size=12).map(str.encode) | st.binary(min_size=1, max_size=12).map(
    lambda octets: bytes(octet for octet in octets if octet not in NOT_IN_LINES) or b"x"
)


@cache
def keys() -> tuple[Keys, Signer, Signer]:
    with TemporaryDirectory() as folder:
        made = Keys(Path(folder))
        return made, made.signer(), made.both()


@st.composite
def fields(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(WORDS, min_size=1, max_size=3))
    folded = b"\r\n\t".join(lines)
    return draw(st.sampled_from(NAMES)).encode() + b":" + draw(st.sampled_from([b"", b" ", b"\t "])) + folded + b"\r\n"


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    header = b"".join(draw(st.lists(fields(), min_size=1, max_size=8)))
    body = b"".join(line + b"\r\n" for line in draw(st.lists(WORDS, max_size=8)))  # as SMTP carries it
    return header + b"\r\n" + body


def dkimpy_verifies(content: bytes) -> bool:
    try:
        return keys()[0].dkimpy_verifies(content)
    except dkim.DKIMException:
        return False


@settings(deadline=None, max_examples=60)
@given(messages())
def test_dkimpy_verifies_what_we_sign(content: bytes) -> None:
    assert dkimpy_verifies(signed(keys()[1], content))


@settings(deadline=None, max_examples=40)
@given(messages())
async def test_we_verify_both_signatures(content: bytes) -> None:
    assert await keys()[0].our_verdicts(signed(keys()[2], content)) == {"rsa": "pass", "ed25519": "pass"}


def _canonical(content: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    header, _, body = content.partition(b"\r\n\r\n")
    signed_names = {name.lower().encode() for name in NAMES} - {b"x-other"}
    hashing = RelaxedBodyHash()
    hashing.update(body)
    found = sorted(relaxed_fields(header + b"\r\n", signed_names), key=lambda field: field[0])
    return found, hashing.digest()


@settings(deadline=None, max_examples=60)
@given(messages(), st.data())
def test_one_changed_octet_breaks_it(content: bytes, data: st.DataObject) -> None:
    """Of what is signed, and where the canonical form doesn't forgive it."""
    position = data.draw(st.integers(0, len(content) - 1))
    octet = content[position] ^ data.draw(st.integers(1, 31))
    assume(content[position] not in b"\r\n" and octet not in NOT_IN_LINES)
    changed = content[:position] + bytes([octet]) + content[position + 1 :]
    assume(_canonical(changed) != _canonical(content))
    whole = signed(keys()[1], content)
    assert dkimpy_verifies(whole)
    assert not dkimpy_verifies(whole[: -len(content)] + changed)


@settings(deadline=None, max_examples=40)
@given(messages(), st.sampled_from(OVERSIGNED), st.booleans())
def test_one_more_oversigned_field_breaks_it(content: bytes, name: str, is_on_top: bool) -> None:
    whole = signed(keys()[1], content)
    extra = name.encode() + b": another\r\n"
    header, _, body = whole.partition(b"\r\n\r\n")
    added = extra + whole if is_on_top else header + b"\r\n" + extra + b"\r\n" + body
    assert not dkimpy_verifies(added)
