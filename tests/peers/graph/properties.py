"""MAPI properties as Graph names and writes them: ids, and values as text.

learn.microsoft.com/graph/api/resources/extended-properties-overview; types of predefined properties from [MS-OXPROPS].
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.peers.graph.answers import GraphError

Value = str | int | float | bool | bytes | datetime

IMPORTANCE, DELIVERY_RECEIPT, READ_RECEIPT, SENSITIVITY = "0x0017", "0x0023", "0x0029", "0x0036"
SUBJECT, SUBMIT_TIME, TOPIC, INDEX = "0x0037", "0x0039", "0x0070", "0x0071"
DELIVERY_TIME, MESSAGE_FLAGS, MESSAGE_SIZE = "0x0E06", "0x0E07", "0x0E08"
ITEM_CLASS, NATIVE_BODY, MESSAGE_ID, REFERENCES, IN_REPLY_TO = "0x001A", "0x1016", "0x1035", "0x1039", "0x1042"
FLAG_STATUS, FLAG_COMPLETED = "0x1090", "0x1091"
TASK = "{00062003-0000-0000-c000-000000000046}"
TASK_START, TASK_DUE = f"{TASK}/0x8104", f"{TASK}/0x8105"

READ, UNSENT = 0x1, 0x8
"""MSGFLAG_READ and MSGFLAG_UNSENT of MESSAGE_FLAGS ([MS-OXCMSG] 2.2.1.6)."""

_TYPES = {
    "ApplicationTime", "Binary", "Boolean", "CLSID", "Currency", "Double", "Float", "Integer", "Long", "Short",
    "String", "SystemTime",
}  # fmt: skip
_KNOWN = {
    IMPORTANCE: "Integer", DELIVERY_RECEIPT: "Boolean", READ_RECEIPT: "Boolean", SENSITIVITY: "Integer",
    SUBJECT: "String", SUBMIT_TIME: "SystemTime", TOPIC: "String", INDEX: "Binary", DELIVERY_TIME: "SystemTime",
    MESSAGE_FLAGS: "Integer", MESSAGE_SIZE: "Integer", ITEM_CLASS: "String", NATIVE_BODY: "Integer",
    MESSAGE_ID: "String", REFERENCES: "String", IN_REPLY_TO: "String", FLAG_STATUS: "Integer",
    FLAG_COMPLETED: "SystemTime", "0x0042": "String", "0x0065": "String", "0x0064": "String", "0x0C1A": "String",
    "0x0C1F": "String", "0x0C1E": "String", "0x0041": "Binary", "0x0C19": "Binary", "0x1080": "Integer",
    "0x1081": "Integer", "0x1082": "SystemTime", "0x3007": "SystemTime", "0x3008": "SystemTime",
    TASK_START: "SystemTime", TASK_DUE: "SystemTime",
    "{00062008-0000-0000-c000-000000000046}/0x8503": "Boolean",
    "{00062008-0000-0000-c000-000000000046}/0x8502": "SystemTime",
    "{00062008-0000-0000-c000-000000000046}/0x8501": "Integer",
    "{00062008-0000-0000-c000-000000000046}/0x8520": "Binary",
    "{00062008-0000-0000-c000-000000000046}/0x8524": "String",
}  # fmt: skip
_TAG_TYPES = {
    "0002": "Short", "0003": "Integer", "0004": "Float", "0005": "Double", "000B": "Boolean", "0014": "Long",
    "001F": "String", "001E": "String", "0040": "SystemTime", "0048": "CLSID", "0102": "Binary",
}  # fmt: skip
_NAMED = re.compile(
    r"(?i:(?P<type>[a-z]+) \{(?P<guid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\} (?:(?P<by>name) (?P<name>.+)|"
    r"id 0x(?P<number>[0-9a-f]{1,4})))"
)
_TAG = re.compile(r"(?i:(?P<type>[a-z]+) 0x(?P<tag>[0-9a-f]{1,4}|[0-9a-f]{8}))")


@dataclass(frozen=True, slots=True)
class PropertyId:
    type: str
    key: str
    """`0x0E07`, `{guid}/0x8104` or `{guid}/Name`, the GUID in lower case."""
    written: str
    """As Graph repeats it: hexadecimal digits and the GUID in lower case, no leading zeros."""


def property_id(text: object) -> PropertyId:
    """Read a single value's id. Raises GraphError."""
    match = _NAMED.fullmatch(text) or _TAG.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise _refused(text)
    found = match.groupdict()
    kind = next((name for name in _TYPES if name.lower() == found["type"].lower()), "")
    if "tag" in found:
        number, tail = found["tag"][:4], found["tag"][4:].upper()
        if int(number, 16) >= 0x8000 or (tail and _TAG_TYPES.get(tail) != kind):
            raise _refused(text)
        key, written = f"0x{int(number, 16):04X}", f"{kind} 0x{int(number, 16):x}"
    else:
        guid = "{" + found["guid"].lower() + "}"
        last = found["name"] if found["name"] else f"0x{int(found['number'], 16):04X}"
        key = f"{guid}/{last}"
        shown = f"Name {last}" if found["name"] else f"Id 0x{int(found['number'], 16):x}"
        written = f"{kind} {guid} {shown}"
    if not kind or _KNOWN.get(key, kind) != kind:
        raise _refused(text)
    return PropertyId(kind, key, written)


def _refused(text: object) -> GraphError:
    return GraphError(400, "ErrorInvalidExtendedProperty", f"The extended property id '{text}' is not valid.")


def value_of(wanted: PropertyId, text: object) -> Value:
    """Read a value, which is always a string in JSON. Raises GraphError."""
    if not isinstance(text, str):
        raise GraphError(
            400, "RequestBodyRead", "Cannot convert a value of 'singleValueExtendedProperties' to a string."
        )
    try:
        match wanted.type:
            case "Integer" | "Short" | "Long" | "Currency":
                return int(text)
            case "Boolean":
                return {"true": True, "false": False}[text.lower()]
            case "Binary":
                return base64.b64decode(text, validate=True)
            case "SystemTime" | "ApplicationTime":
                return moment(text)
            case "Double" | "Float":
                return float(text)
            case _:
                return text
    except (ValueError, KeyError, binascii.Error) as error:
        code, what = "ErrorInvalidExtendedPropertyValue", f"The value of '{wanted.written}' is not of its type."
        raise GraphError(400, code, what) from error


def text_of(value: Value) -> str:
    """A value as Graph writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case bytes():
            return base64.b64encode(value).decode()
        case datetime():
            return written_moment(value)
        case _:
            return str(value)


def moment(text: str) -> datetime:
    """An Edm.DateTimeOffset, which needs its offset. Raises ValueError."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d)", text):
        raise ValueError(text)
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).astimezone(UTC)


def written_moment(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
