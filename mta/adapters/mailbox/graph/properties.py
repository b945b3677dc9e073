"""MAPI properties as Graph's extended properties name and write them.

https://learn.microsoft.com/graph/api/resources/extended-properties-overview
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mta.adapters.mailbox.mapi import STAMP_NAME, STAMP_SET

_COMMON = "{00062008-0000-0000-c000-000000000046}"
"""PSETID_Common (MS-OXPROPS 1.3.2)."""

STAMP = f"String {{{STAMP_SET}}} Name {STAMP_NAME}"
MESSAGE_FLAGS = "Integer 0x0E07"
SUBMIT_TIME = "SystemTime 0x0039"
DELIVERY_TIME = "SystemTime 0x0E06"
SENSITIVITY = "Integer 0x0036"
ITEM_CLASS = "String 0x001A"
SIZE = "Integer 0x0E08"
NATIVE_BODY = "Integer 0x1016"
CONVERSATION_TOPIC = "String 0x0070"
CONVERSATION_INDEX = "Binary 0x0071"
REFERENCES = "String 0x1039"
IN_REPLY_TO = "String 0x1042"
ICON = "Integer 0x1080"
LAST_VERB = "Integer 0x1081"
LAST_VERB_AT = "SystemTime 0x1082"
REMINDER_IS_SET = f"Boolean {_COMMON} Id 0x8503"
REMINDER_AT = f"SystemTime {_COMMON} Id 0x8502"
REMINDER_MINUTES = f"Integer {_COMMON} Id 0x8501"
VERB_STREAM = f"Binary {_COMMON} Id 0x8520"
CONTENT_CLASS = "String {00020386-0000-0000-c000-000000000046} Name content-class"

ALL_READ = (
    STAMP, SUBMIT_TIME, DELIVERY_TIME, SENSITIVITY, ITEM_CLASS, SIZE, NATIVE_BODY, CONVERSATION_TOPIC,
    CONVERSATION_INDEX, REFERENCES, IN_REPLY_TO, ICON, LAST_VERB, LAST_VERB_AT, REMINDER_IS_SET, REMINDER_AT,
    REMINDER_MINUTES, VERB_STREAM, CONTENT_CLASS,
)  # fmt: skip

_TAG = re.compile(r"(\w+) 0x([0-9A-Fa-f]{1,8})")
_NAMED = re.compile(r"(\w+) (\{[0-9A-Fa-f-]{36}\}) (?:Name (.+)|Id 0x([0-9A-Fa-f]{1,8}))")


def expand(*ids: str) -> str:
    """The value of `$expand` that brings these properties, not yet quoted."""
    wanted = " or ".join(f"id eq '{name}'" for name in ids)
    return f"singleValueExtendedProperties($filter={wanted})"


class Properties:
    """The extended properties in a message's JSON; what is missing or no such value is None."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        listed = message.get("singleValueExtendedProperties")
        self._values: dict[object, str] = {}
        for entry in listed if isinstance(listed, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("value"), str):
                self._values[_key(str(entry.get("id")))] = entry["value"]

    def text(self, name: str) -> str | None:
        return self._values.get(_key(name))

    def integer(self, name: str) -> int | None:
        value = self.text(name)
        return int(value) if value is not None and re.fullmatch(r"-?\d{1,18}", value, re.ASCII) else None

    def is_true(self, name: str) -> bool:
        return (self.text(name) or "").lower() == "true"

    def octets(self, name: str) -> bytes:
        try:
            return base64.b64decode(self.text(name) or "", validate=True)
        except (binascii.Error, ValueError):
            return b""

    def moment(self, name: str) -> datetime | None:
        return moment(self.text(name))


def property_of(name: str, value: object) -> dict[str, str]:
    """A property with its value, as requests carry it."""
    if isinstance(value, bool):
        written = "true" if value else "false"
    elif isinstance(value, datetime):
        written = written_moment(value)
    elif isinstance(value, bytes):
        written = base64.b64encode(value).decode()
    else:
        written = str(value)
    return {"id": name, "value": written}


def moment(value: Any) -> datetime | None:
    """A time of Graph's, `2026-11-22T10:00:00.1234567Z`; None if it is none."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        parsed = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
    except ValueError:
        return None
    return parsed.replace(tzinfo=parsed.tzinfo or UTC).astimezone(UTC)


def written_moment(value: datetime) -> str:
    """As Graph writes times."""
    return (
        value.astimezone(UTC)
        .isoformat(timespec="milliseconds" if value.microsecond else "seconds")
        .replace("+00:00", "Z")
    )


def _key(name: str) -> object:
    """The same for all spellings of a property: Graph answers `0xe08` to `0x0E08`."""
    if match := _TAG.fullmatch(name):
        return match[1].lower(), int(match[2], 16)
    if match := _NAMED.fullmatch(name):
        return match[1].lower(), match[2].lower(), match[3] or int(match[4], 16)
    return name
