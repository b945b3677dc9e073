"""Relaxed canonicalisation against dkimpy's, however the bytes are cut."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import dkim.canonicalization
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message import canonical
from mta.message.canonical import RelaxedBodyHash, chunks, relaxed_fields, relaxed_whitespace

_ALPHABET = st.sampled_from([b"a", b"b", b" ", b"\t", b"\r\n", b"\r\n", b".", b"\xe9", b"\r", b"\n", b"  \r\n"])
_VALUE_PARTS = st.sampled_from([b"a", b"B", b" ", b"\t", b"\r\n ", b"\r\n\t", b":", b"\xc3", b"\x0b"])
_BODIES = st.lists(_ALPHABET, max_size=60).map(b"".join)


def _dkimpy_body(body: bytes) -> bytes:
    return bytes(dkim.canonicalization.Relaxed.canonicalize_body(body))


def _body_hash(pieces: list[bytes]) -> bytes:
    hashing = RelaxedBodyHash()
    for piece in pieces:
        hashing.update(piece)
    return hashing.digest()


def _cut(body: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[a:b] for a, b in pairwise(marks)]


@settings(max_examples=400, deadline=None)
@given(_BODIES, st.lists(st.integers(0, 200), max_size=8))
def test_a_body_hashes_as_dkimpy_hashes_it_however_it_is_cut(body: bytes, places: list[int]) -> None:
    body += b"\r\n"
    assert _body_hash(_cut(body, places)) == sha256(_dkimpy_body(body)).digest()


@pytest.mark.parametrize(
    ("body", "canonical_form"),
    [
        (b"", b""),
        (b"\r\n", b""),
        (b"\r\n\r\n\r\n", b""),
        (b"  \r\n\t\r\n", b""),
        (b"no line end", b"no line end\r\n"),
        (b"no line end  ", b"no line end\r\n"),
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),  # RFC 6376 §3.4.6
        (b"a\r\n\r\nb\r\n \r\n", b"a\r\n\r\nb\r\n"),
    ],
)
def test_the_canonical_form_of_a_body(body: bytes, canonical_form: bytes) -> None:
    assert _body_hash([body]) == sha256(canonical_form).digest()
    assert _body_hash([body[i : i + 1] for i in range(len(body))]) == sha256(canonical_form).digest()


def test_more_blank_lines_than_are_hashed_at_once_are_kept_where_text_follows() -> None:
    body = b"a" + b"\r\n" * 20_000 + b"b\r\n"
    assert _body_hash([body[:7], body[7:30_000], body[30_000:]]) == sha256(body).digest()


@pytest.mark.parametrize("filling", [b"QUJD" * 18 + b"\r\n", b"words and  words\t here \r\n", b"   "])
def test_both_ways_through_a_large_piece_agree(filling: bytes) -> None:
    large = (b"some  text \r\n" + filling * 3000)[:60_000] + b"x\r\n"
    expected = b"".join(relaxed_whitespace(line + b"\r\n") for line in large.split(b"\r\n")[:-1])
    assert relaxed_whitespace(large) == expected


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"Subject", b"FROM", b"x-a", b"To "]),
            st.lists(
                st.sampled_from([b"a", b"B", b" ", b"\t", b"\r\n ", b"\r\n\t", b":", b"\xc3", b"\x0b"]), max_size=12
            ),
        ),
        max_size=6,
    )
)
def test_header_fields_are_as_dkimpy_makes_them(fields: list[tuple[bytes, list[bytes]]]) -> None:
    block = b"".join(name + b":" + b"".join(value) + b"\r\n" for name, value in fields)
    theirs = dkim.canonicalization.Relaxed.canonicalize_headers([(name, b"".join(v) + b"\r\n") for name, v in fields])
    # dkimpy strips every kind of white space, RFC 6376 only spaces and tabs.
    if b"\x0b" not in block:
        assert relaxed_fields(block) == [(name, name + b":" + value.removesuffix(b"\r\n")) for name, value in theirs]
    else:
        assert [name for name, _ in relaxed_fields(block)] == [name for name, _ in theirs]


def test_a_line_that_is_no_field_is_left_out() -> None:
    assert relaxed_fields(b"From: a\r\ngarbage\r\nTo: b\r\n") == [(b"from", b"from:a"), (b"to", b"to:b")]


def test_chunks_are_bounded_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical, "CHUNK_OCTETS", 10)
    segments: list[bytes | memoryview] = [b"abc", memoryview(b"d" * 25), b"", b"efgh", b"ijklmno"]
    pieces = list(chunks(segments))
    assert b"".join(pieces) == b"abc" + b"d" * 25 + b"efghijklmno"
    assert max(map(len, pieces)) <= 10
