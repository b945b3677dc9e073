"""Typed properties of items, as the store keeps them ([MS-OXPROPS]); EWS names them in three ways ([MS-OXWSXPROP])."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tests.peers.ews.errors import EwsError
from tests.peers.ews.xml import Element, add, date_time, find, find_all, text_of

SETS = {  # [MS-OXPROPS] 1.3.2
    "Meeting": "6ed8da90-450b-101b-98da-00aa003f1305",
    "Appointment": "00062002-0000-0000-c000-000000000046",
    "Common": "00062008-0000-0000-c000-000000000046",
    "PublicStrings": "00020329-0000-0000-c000-000000000046",
    "Address": "00062004-0000-0000-c000-000000000046",
    "InternetHeaders": "00020386-0000-0000-c000-000000000046",
    "CalendarAssistant": "11000e07-b51b-40d6-af21-caa85edab1d0",
    "UnifiedMessaging": "4442858e-a9e3-4e80-b900-317a210cc15b",
    "Task": "00062003-0000-0000-c000-000000000046",
    "Sharing": "00062040-0000-0000-c000-000000000046",
}
_NAMES = {guid: name for name, guid in SETS.items()}


@dataclass(frozen=True, slots=True)
class Key:
    """Names a property: a tag's id, or a name in a set."""

    tag: int = 0
    set_id: str = ""
    name: str | int = ""

    def __str__(self) -> str:
        if not self.set_id:
            return f"0x{self.tag:04x}"
        name = f"0x{self.name:04x}" if isinstance(self.name, int) else self.name
        return f"{_NAMES.get(self.set_id, self.set_id)}/{name}"


def tag(number: int) -> Key:
    return Key(tag=number)


def named(set_name: str, name: str | int) -> Key:
    """Of a distinguished set, or of a GUID. Names of Internet headers are compared in lower case ([MS-OXCMSG])."""
    set_id = SETS.get(set_name, set_name).lower()
    return Key(set_id=set_id, name=name.lower() if set_name == "InternetHeaders" and isinstance(name, str) else name)


def key_from(text: str) -> Key:
    """What `str(key)` gave."""
    set_name, slash, name = text.partition("/")
    if not slash:
        return tag(int(text, 16))
    return named(set_name, int(name, 16) if re.fullmatch("0x[0-9a-fA-F]+", name) else name)


SENSITIVITY, IMPORTANCE, SUBJECT, CLASS = tag(0x0036), tag(0x0017), tag(0x0037), tag(0x001A)
SUBMIT_TIME, DELIVERY_TIME, FLAGS, SIZE = tag(0x0039), tag(0x0E06), tag(0x0E07), tag(0x0E08)
CREATED, MODIFIED, MODIFIER = tag(0x3007), tag(0x3008), tag(0x3FFA)
MESSAGE_ID, IN_REPLY_TO, REFERENCES = tag(0x1035), tag(0x1042), tag(0x1039)
TOPIC, INDEX, SUBJECT_PREFIX, NORMALIZED = tag(0x0070), tag(0x0071), tag(0x003D), tag(0x0E1D)
READ_RECEIPT, DELIVERY_RECEIPT, REPLY_REQUESTED = tag(0x0029), tag(0x0023), tag(0x0C17)
SENDER_NAME, SENDER_TYPE, SENDER_ADDRESS, SENDER_SMTP = tag(0x0C1A), tag(0x0C1E), tag(0x0C1F), tag(0x5D01)
FROM_NAME, FROM_TYPE, FROM_ADDRESS, FROM_SMTP = tag(0x0042), tag(0x0064), tag(0x0065), tag(0x5D02)
ICON, VERB, VERB_TIME = tag(0x1080), tag(0x1081), tag(0x1082)
FLAG_STATUS, FLAG_DONE = tag(0x1090), tag(0x1091)
TEXT, HTML, RTF, NATIVE_BODY = tag(0x1000), tag(0x1013), tag(0x1009), tag(0x1016)
CODE_PAGE = tag(0x3FDE)
CATEGORIES = named("PublicStrings", "Keywords")
REMINDER_SET, REMINDER_DUE, REMINDER_MINUTES = named("Common", 0x8503), named("Common", 0x8502), named("Common", 0x8501)
TASK_START, TASK_DUE, TASK_DONE = named("Common", 0x8516), named("Common", 0x8517), named("Task", 0x810F)
FLAG_START, FLAG_DUE = named("Task", 0x8104), named("Task", 0x8105)
VERB_STREAM, VERB_RESPONSE = named("Common", 0x8520), named("Common", 0x8524)

_FIXED = {  # well-known tags whose type is theirs ([MS-OXPROPS] 2)
    "String": (
        0x001A, 0x0037, 0x003D, 0x0042, 0x0064, 0x0065, 0x0070, 0x0C1A, 0x0C1E, 0x0C1F, 0x0E02, 0x0E03, 0x0E04, 0x0E1D,
        0x1000, 0x1035, 0x1039, 0x1042, 0x007D, 0x3FFA, 0x5D01, 0x5D02,
    ),
    "Integer": (0x0017, 0x0036, 0x0E07, 0x0E08, 0x1080, 0x1081, 0x1090, 0x1016, 0x3FDE),
    "SystemTime": (0x0039, 0x0E06, 0x1082, 0x1091, 0x3007, 0x3008),
    "Boolean": (0x0023, 0x0029, 0x0C17, 0x0E1B, 0x0E1F, 0x0E69),
    "Binary": (0x0071, 0x1009, 0x1013, 0x300B, 0x3013, 0x0FFF),
}  # fmt: skip
_TYPE_OF = {number: kind for kind, numbers in _FIXED.items() for number in numbers}
_TYPE_OF_NAMED = {
    CATEGORIES: "StringArray",
    REMINDER_SET: "Boolean",
    REMINDER_DUE: "SystemTime",
    REMINDER_MINUTES: "Integer",
    VERB_STREAM: "Binary",
    VERB_RESPONSE: "String",
    FLAG_START: "SystemTime",
    FLAG_DUE: "SystemTime",
    TASK_DONE: "SystemTime",
}


@dataclass(frozen=True, slots=True)
class Path:
    """An ExtendedFieldURI: a property and the type that it is asked for as."""

    key: Key
    kind: str
    """`String`, `IntegerArray`, …"""
    node: Element

    def written(self, parent: Element) -> None:
        """As it was asked for: that is how clients know it again."""
        add(parent, "t:ExtendedFieldURI", **dict(self.node.attrib))


def path_from(node: Element) -> Path:
    """Of an ExtendedFieldURI. Raises EwsError: which attributes go together is restricted ([MS-OXWSXPROP] 2.2.4.5)."""
    given = dict(node.attrib)
    kind = given.pop("PropertyType")
    if kind in (
        "Null",
        "Object",
        "ObjectArray",
        "Error",
    ):  # [MS-OXWSXPROP] 2.2.5.1: not for use in restrictions or values
        raise EwsError("ErrorUnsupportedMapiPropertyType", f"The property type {kind} is not supported.")
    if "PropertyTag" in given:
        if len(given) > 1:
            raise EwsError("ErrorInvalidExtendedProperty", "PropertyTag excludes the other attributes.")
        number = int(given["PropertyTag"], 0)
        if number >= 0x8000:
            raise EwsError("ErrorNoPropertyTagForCustomProperties", "Property tags from 0x8000 are named properties.")
        key = tag(number)
        fixed = _TYPE_OF.get(number)
    else:
        key = _named_from(given)
        fixed = _TYPE_OF_NAMED.get(key)
    if fixed and fixed != kind:
        raise EwsError("ErrorInvalidExtendedProperty", f"The property {key} is of type {fixed}.")
    return Path(key, kind, node)


def _named_from(given: dict[str, str]) -> Key:
    if ("DistinguishedPropertySetId" in given) == ("PropertySetId" in given):
        raise EwsError("ErrorInvalidExtendedProperty", "One of DistinguishedPropertySetId and PropertySetId is needed.")
    if ("PropertyName" in given) == ("PropertyId" in given):
        raise EwsError("ErrorInvalidExtendedProperty", "One of PropertyName and PropertyId is needed.")
    set_name = given.get("DistinguishedPropertySetId") or given["PropertySetId"].lower()
    name = given["PropertyName"] if "PropertyName" in given else int(given["PropertyId"])
    if name == "":
        raise EwsError("ErrorInvalidExtendedProperty", "PropertyName is empty.")
    return named(_NAMES.get(set_name, set_name), name)


# --- values -----------------------------------------------------------------------------------------------------------


def _integer(bits: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"\s*[+-]?\d+\s*", text):
            raise ValueError("no number")
        value = int(text)
        if not -(1 << bits - 1) <= value < 1 << bits - 1:
            raise ValueError("out of range")
        return value

    return read


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.strip()]


def _binary(text: str) -> bytes:
    return base64.b64decode("".join(text.split()), validate=True)


_READ: dict[str, Callable[[str], Any]] = {
    "ApplicationTime": float,
    "Binary": _binary,
    "Boolean": _boolean,
    "CLSID": lambda text: str(UUID(text)),
    "Currency": _integer(64),
    "Double": float,
    "Float": float,
    "Integer": _integer(32),
    "Long": _integer(64),
    "Short": _integer(16),
    "String": str,
    "SystemTime": date_time,
}


def read_value(kind: str, text: str) -> Any:
    """One value as Python has it. Raises EwsError."""
    try:
        return _READ[kind](text)
    except (ValueError, KeyError, binascii.Error) as error:
        raise EwsError("ErrorInvalidExtendedPropertyValue", f"The value is no {kind}.") from error


def extended_property(node: Element) -> tuple[Path, Any]:
    """An ExtendedProperty: an array's values are a tuple. Raises EwsError."""
    path_node = find(node, "t:ExtendedFieldURI")
    assert path_node is not None  # the schema says so
    path = path_from(path_node)
    values = find(node, "t:Values")
    if (values is not None) != path.kind.endswith("Array"):
        raise EwsError("ErrorInvalidExtendedPropertyValue", "Arrays have Values, others a Value.")
    if values is None:
        return path, read_value(path.kind, text_of(find(node, "t:Value")))
    kind = path.kind.removesuffix("Array")
    return path, tuple(read_value(kind, text_of(value)) for value in find_all(values, "t:Value"))


def moment(value: datetime, *, nanoseconds: bool = False) -> str:
    """xs:dateTime in whole seconds, as Exchange writes it; some servers give nine digits more."""
    value = value.astimezone(UTC)
    return value.strftime(f"%Y-%m-%dT%H:%M:%S.{value.microsecond:06d}123Z" if nanoseconds else "%Y-%m-%dT%H:%M:%SZ")


def value_text(value: Any, *, nanoseconds: bool = False) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return moment(value, nanoseconds=nanoseconds)
    return str(value)


def fits(kind: str, value: Any) -> bool:
    """Whether a stored value can be given as that type; a property of another type is another property."""
    if kind.endswith("Array") != isinstance(value, tuple):
        return False
    if isinstance(value, tuple):
        return all(fits(kind.removesuffix("Array"), entry) for entry in value)
    wanted = {
        bool: {"Boolean"},
        int: {"Integer", "Long", "Short", "Currency"},
        float: {"Double", "Float", "ApplicationTime"},
        str: {"String", "CLSID"},
        bytes: {"Binary"},
        datetime: {"SystemTime"},
    }
    return kind in wanted[type(value)]


def write_property(parent: Element, path: Path, value: Any, *, nanoseconds: bool, longest: int | None) -> None:
    """An ExtendedProperty; strings cut to `longest` characters."""
    node = add(parent, "t:ExtendedProperty")
    path.written(node)
    if isinstance(value, tuple):
        values = add(node, "t:Values")
        for entry in value:
            add(values, "t:Value", value_text(entry, nanoseconds=nanoseconds)[:longest])
        return
    text = value_text(value, nanoseconds=nanoseconds)
    add(node, "t:Value", text if isinstance(value, bytes) else text[:longest])
