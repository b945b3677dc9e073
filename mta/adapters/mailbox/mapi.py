"""What Exchange's items carry in MAPI properties, the same whether EWS or Graph shows them."""

from __future__ import annotations

import struct

STAMP_SET = "68c741fb-aad1-4553-b637-020e1c540914"
"""Our own property set; a mailbox that moves from EWS to Graph keeps what we put there."""
STAMP_NAME = "StamplineItem"
"""The string property that holds an item's stamp."""

MESSAGE_FLAGS = 0x0E07
"""PidTagMessageFlags (MS-OXCMSG 2.2.1.6): without MSGFLAG_UNSENT at creation, or the item is a draft for ever."""
MESSAGE_FLAG_READ = 0x1
"""MSGFLAG_READ"""
SUBMIT_TIME = 0x0039
DELIVERY_TIME = 0x0E06
CONVERSATION_TOPIC = 0x0070
CONVERSATION_INDEX = 0x0071
ICON_INDEX = 0x1080
LAST_VERB = 0x1081
LAST_VERB_TIME = 0x1082
FLAG_STATUS = 0x1090
"""PidTagFlagStatus (MS-OXOFLAG 2.2.1.1): 2 is flagged, 1 is complete."""
FLAG_COMPLETED = 0x1091
"""PidTagFlagCompleteTime."""
TASK_START = 0x8104
"""PidLidTaskStartDate, in PSETID_Task."""
TASK_DUE = 0x8105
"""PidLidTaskDueDate, in PSETID_Task."""
VERB_STREAM = 0x8520
"""PidLidVerbStream, in PSETID_Common."""

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


PUBLIC_STRINGS = "00020329-0000-0000-c000-000000000046"
"""PS_PUBLIC_STRINGS (MS-OXPROPS 1.3.2): what folders can show as columns of their own."""
LINK_NAME = "StamplineLink"
"""The string property that holds the address of a filed message's record."""


def column_type(value: str | float | bool) -> str:
    """The property type that EWS and Graph call a column's value by."""
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, int):
        return "Integer" if -(2**31) <= value < 2**31 else "Double"
    return "Double" if isinstance(value, float) else "String"


def column_text(value: str | float | bool) -> str:
    """The value as EWS and Graph write it; floats with a point whatever the locale."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(float(value)) if column_type(value) == "Double" else str(value)
