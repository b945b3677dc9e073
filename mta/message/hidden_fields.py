"""Fields that some readers find in a header and we don't: whoever smuggles one past us would have it believed there.

They stand in lines that are no fields by RFC 5322 (octets in front of the name, a fold in front of the colon), or
behind a line at which the header ends for us, without an empty line, and for others doesn't.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mta.message.parse import Message

_NAMES = re.compile(rb"(?m)^[\x80-\xff]*+([!-9;-~]++)\s*+:")
_LOOKED_AT = 100_000
"""Octets behind a header that is not closed: Exchange's headers are no longer."""


def hidden_names(message: Message) -> Iterator[bytes]:
    """The names of such fields, in lower case."""
    if b"" in message.names:
        for field in message.fields_named(""):
            yield from _found(bytes(message.data[field.start : field.end]))
    yield from _found(behind_the_header(message))


def behind_the_header(message: Message) -> bytes:
    """What stands between a header that no empty line closes and the next empty line; b"" where it is closed."""
    if message.root.header_is_closed or message.body_start >= len(message.data):
        return b""
    rest = bytes(message.data[message.body_start : message.body_start + _LOOKED_AT])
    return rest.partition(b"\r\n\r\n")[0]


def _found(octets: bytes) -> Iterator[bytes]:
    for match in _NAMES.finditer(octets):
        yield match[1].lower()
