"""Building and reading the XML of EWS."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from lxml import etree

Element = Any
"""lxml has no types."""

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"
_SPACES = {"s": SOAP, "m": MESSAGES, "t": TYPES, "e": ERRORS}
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STAND_IN = 0xF0000  # of the private use planes
_STAND_INS = re.compile(b"|".join(chr(_STAND_IN + number).encode() for number in range(32)))
_DATE_TIME = re.compile(r"\s*(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?\s*", re.ASCII)


class NotXmlError(Exception):
    """Why it is no XML."""


def tag(name: str) -> str:
    """`t:Subject` as lxml writes it."""
    prefix, _, local = name.partition(":")
    return f"{{{_SPACES[prefix]}}}{local}"


def element(name: str, **attributes: str) -> Element:
    """A new root: `m:GetItemResponse`."""
    return etree.Element(tag(name), attributes, nsmap={"m": MESSAGES, "t": TYPES})


def add(parent: Element, name: str, text: str | None = None, **attributes: str) -> Element:
    """A new last child. Control characters, which XML can't carry, are kept for `written`."""
    child = etree.SubElement(parent, tag(name), attributes)
    if text is not None:
        try:
            child.text = text
        except ValueError:
            child.text = _ILLEGAL.sub(_stand_in, text)
    return child


def _stand_in(found: re.Match[str]) -> str:
    return chr(_STAND_IN + ord(found[0])) if found[0] < " " else ""


def find(parent: Element, path: str) -> Element | None:
    """The first of `t:Body/t:Item`."""
    return parent.find(path, _SPACES)


def find_all(parent: Element, path: str) -> list[Element]:
    return list(parent.findall(path, _SPACES))


def local_name(node: Element) -> str:
    return str(node.tag).rpartition("}")[2]


def children(node: Element) -> list[Element]:
    """Its elements, without comments."""
    return [child for child in node if isinstance(child.tag, str)]


def text_of(node: Element | None, default: str = "") -> str:
    return default if node is None or node.text is None else str(node.text)


def is_true(node: Element | None, *, default: bool = False) -> bool:
    """xs:boolean."""
    return default if node is None else text_of(node).strip() in ("true", "1")


def parse(data: bytes) -> Element:
    """The root. Raises NotXmlError; document types and entities are none of it (SOAP 1.1 §3)."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise NotXmlError(str(error)) from error
    if root.getroottree().docinfo.doctype:
        raise NotXmlError("For security reasons DTD is prohibited in this XML document.")
    return root


def written(root: Element) -> bytes:
    """The document. As Exchange does it writes control characters as references, which XML 1.0 (§4.1) forbids."""
    data = bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))
    return _STAND_INS.sub(lambda found: b"&#x%X;" % (ord(found[0].decode()) - _STAND_IN), data)


def date_time(text: str) -> datetime:
    """Of xs:dateTime; without a zone it is UTC. Raises ValueError."""
    found = _DATE_TIME.fullmatch(text)
    if not found:
        raise ValueError(f"no xs:dateTime: {text!r}")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    micro = int((found[7] or "0")[:6].ljust(6, "0"))
    zone: timezone = UTC
    if found[8] and found[8] != "Z":
        sign = -1 if found[8][0] == "-" else 1
        zone = timezone(sign * timedelta(hours=int(found[8][1:3]), minutes=int(found[8][4:])))
    return datetime(year, month, day, hour, minute, second, micro, zone).astimezone(UTC)
