"""What Exchange's items carry in MAPI properties, the same whether EWS or Graph shows them."""

from __future__ import annotations

import struct

STAMP_SET = "68c741fb-aad1-4553-b637-020e1c540914"
"""Our own property set; a mailbox that moves from EWS to Graph keeps what we put there."""
STAMP_NAME = "StamplineItem"
"""The string property that holds an item's stamp."""

_VOTING_OPTION = 4
_AFTER_NAMES = 29
"""Octets of a VoteOption after its four strings."""


def has_votes(verb_stream: bytes) -> bool:
    """Whether PidLidVerbStream (MS-OXOMSG 2.2.1.74) holds voting options; one that can't be read does."""
    if not verb_stream:
        return False
    try:
        version, count = struct.unpack_from("<HI", verb_stream)
        at = 6
        for _ in range(count):
            (kind,) = struct.unpack_from("<I", verb_stream, at)
            if kind == _VOTING_OPTION:
                return True
            at += 4
            for _string in range(4):
                at += 1 + verb_stream[at]
            at += _AFTER_NAMES
    except (struct.error, IndexError):
        return True
    return bool(version != 0x0102)
