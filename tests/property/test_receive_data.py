"""Whatever a message holds and however it is cut on its way, the decoder gives the same content back."""

from __future__ import annotations

import itertools
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.relay.receive.data import ChunkDecoder, DataDecoder

_TOKENS = st.sampled_from(
    [b"\r\n", b"\r", b"\n", b".", b"..", b"\r\n.", b"\r\n..", b"\r\n.\r", b"x", b"\xe9", b"\0", b" "]
)
raw_streams = st.lists(_TOKENS, max_size=40).map(b"".join)
clean_contents = st.lists(
    st.sampled_from([b"\r\n", b".", b"..", b"x", b"line", b"\xff", b" "]), max_size=40
).map(lambda tokens: b"".join(tokens) + b"\r\n")  # fmt: skip


def _stuffed(content: bytes) -> bytes:
    """Dot-stuffing by RFC 5321 §4.5.2, line by line, as a second opinion."""
    lines = content.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n"


def _pieces(draw: st.DataObject, stream: bytes) -> list[bytes]:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=12), label="cuts"))
    bounds = [0, *cuts, len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(bounds)]


def _decode(pieces: list[bytes], *, normalise: bool, takes: list[bool]) -> tuple[DataDecoder, bytes, bytes | None]:
    """Content and rest; `takes` says after which pieces the content so far is taken."""
    decoder = DataDecoder(normalise=normalise)
    content = b""
    for position, piece in enumerate(pieces):
        rest = decoder.feed(piece)
        if rest is not None:
            return decoder, content + decoder.finish(), rest + b"".join(pieces[position + 1 :])
        if takes[position]:
            content += decoder.take()
            assert decoder.held_octets <= 4
    return decoder, content, None


@given(clean_contents, st.binary(max_size=20), st.data())
@settings(max_examples=300, deadline=None)
def test_stuffed_content_comes_back(content: bytes, behind: bytes, data: st.DataObject) -> None:
    pieces = _pieces(data, _stuffed(content) + behind)
    takes = data.draw(st.lists(st.booleans(), min_size=len(pieces), max_size=len(pieces)))
    decoder, decoded, rest = _decode(pieces, normalise=False, takes=takes)
    assert decoded == content
    assert rest == behind
    assert decoder.size_octets == len(content)
    assert not decoder.has_bare
    assert decoder.has_8bit == (not content.isascii())


@given(raw_streams, st.booleans(), st.data())
@settings(max_examples=500, deadline=None)
def test_cutting_changes_nothing(stream: bytes, normalise: bool, data: st.DataObject) -> None:
    whole = stream + b"\r\n.\r\n"
    pieces = _pieces(data, whole)
    takes = data.draw(st.lists(st.booleans(), min_size=len(pieces), max_size=len(pieces)))
    one, content, rest = _decode([whole], normalise=normalise, takes=[False])
    other, same_content, same_rest = _decode(pieces, normalise=normalise, takes=takes)
    assert (content, rest) == (same_content, same_rest)
    assert (one.has_bare, one.has_nul, one.has_8bit) == (other.has_bare, other.has_nul, other.has_8bit)
    assert one.size_octets == other.size_octets == len(content)


@given(raw_streams)
@settings(max_examples=500, deadline=None)
def test_what_is_noticed_is_there(stream: bytes) -> None:
    decoder, _, rest = _decode([stream + b"\r\n.\r\n"], normalise=False, takes=[False])
    assert rest is not None
    virtual = b"\r\n" + stream + b"\r\n.\r\n"
    before_end = virtual[: virtual.index(b"\r\n.\r\n")]
    assert decoder.has_bare == bool(re.search(rb"\r(?!\n)|(?<!\r)\n", before_end))
    assert decoder.has_nul == (b"\0" in before_end)
    assert rest == virtual[virtual.index(b"\r\n.\r\n") + 5 :]


@given(raw_streams)
@settings(max_examples=300, deadline=None)
def test_normalised_content_holds_crlf_only(stream: bytes) -> None:
    _, content, _ = _decode([stream + b"\r\n.\r\n"], normalise=True, takes=[False])
    assert content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n")


# --- chunks ---


def _dechunk(pieces: list[bytes], *, normalise: bool, takes: list[bool]) -> tuple[ChunkDecoder, bytes]:
    decoder = ChunkDecoder(normalise=normalise)
    content = b""
    for piece, take in zip(pieces, takes, strict=True):
        assert decoder.feed(piece) is None
        if take:
            content += decoder.take()
            assert decoder.held_octets <= 1
    return decoder, content + decoder.finish()


@given(raw_streams, st.booleans(), st.data())
@settings(max_examples=500, deadline=None)
def test_chunks_of_any_size_hold_the_same_message(stream: bytes, normalise: bool, data: st.DataObject) -> None:
    pieces = _pieces(data, stream)
    takes = data.draw(st.lists(st.booleans(), min_size=len(pieces), max_size=len(pieces)))
    one, content = _dechunk([stream], normalise=normalise, takes=[False])
    other, same_content = _dechunk(pieces, normalise=normalise, takes=takes)
    assert content == same_content
    assert (one.has_bare, one.has_nul, one.has_8bit) == (other.has_bare, other.has_nul, other.has_8bit)
    assert one.size_octets == other.size_octets == len(content)
    assert one.has_bare == bool(re.search(rb"\r(?!\n)|(?<!\r)\n", stream))
    if normalise:
        assert content.count(b"\r\n") == content.count(b"\r") == content.count(b"\n")
    elif not one.has_bare:
        assert content == (stream if stream.endswith(b"\r\n") or not stream else stream + b"\r\n")
