"""The decoder on every short stream, and at its limits."""

from __future__ import annotations

import itertools

import pytest

from mta.relay.receive.data import DataDecoder


def _content(pieces: tuple[bytes, ...], *, normalise: bool) -> tuple[bytes, bool]:
    """The content, taken as early as can be."""
    decoder = DataDecoder(normalise=normalise)
    content = b""
    for piece in pieces:
        if decoder.feed(piece) is not None:
            return content + decoder.finish(), decoder.has_bare
        content += decoder.take()
    raise AssertionError("no end found")


@pytest.mark.parametrize("normalise", [False, True])
def test_no_short_stream_depends_on_where_it_is_cut(normalise: bool) -> None:
    for octets in itertools.product(b"\r\n.x", repeat=5):
        stream = bytes(octets) + b"\r\n.\r\n"
        whole = _content((stream,), normalise=normalise)
        for cut in range(len(octets) + 5):
            assert _content((stream[:cut], stream[cut:]), normalise=normalise) == whole, (stream, cut)


def test_octet_by_octet_is_the_same() -> None:
    stream = b"..a\r\n..\r\n.b\r\n\r\n..\r\n.\r\n"
    single = tuple(stream[position : position + 1] for position in range(len(stream)))
    assert _content(single, normalise=False) == (b".a\r\n.\r\nb\r\n\r\n.\r\n", False)


def test_an_endless_line_leaves_nothing_behind_in_the_decoder() -> None:
    decoder = DataDecoder()
    for _ in range(100):
        assert decoder.feed(b"x" * 10_000) is None
        assert len(decoder.take()) == 10_000
        assert decoder.held_octets == 0
    assert decoder.size_octets == 1_000_000
