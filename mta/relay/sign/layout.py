"""What DKIM and ARC signatures share: header and body told apart, and values folded as header lines want them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

HEADER_OCTETS_MAX = 1 << 20
"""No empty line within this many octets: not a message to sign."""
_LINE_MAX = 76


def split_header(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The header block with its last CRLF, and the pieces of the body, which may not be there.

    Raises ValueError if there is no end of the header within HEADER_OCTETS_MAX.
    """
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
