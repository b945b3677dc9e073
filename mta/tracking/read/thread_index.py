"""Exchange's names of conversations ([MS-OXOMSG] §2.2.1.3): 22 octets, and 5 for each answer."""

from __future__ import annotations

import binascii
import re

from mta.message.parse import Message

ROOT_OCTETS = 22
_LETTERS_MAX = 4000
_SPACE = re.compile(rb"\s+")


def thread_index_of(message: Message) -> bytes:
    """Decoded; b"" for none, and for one that is too short or can't be read."""
    fields = message.fields_named("thread-index")
    if not fields:
        return b""
    letters = _SPACE.sub(b"", message.raw(fields[0]))
    if len(letters) > _LETTERS_MAX:
        return b""
    try:
        decoded = binascii.a2b_base64(letters, strict_mode=True)
    except binascii.Error:
        return b""
    return decoded if len(decoded) >= ROOT_OCTETS else b""
