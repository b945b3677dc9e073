"""EWS's namespaces and properties, and elements of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lxml import etree

from mta.adapters.mailbox import mapi

Element = Any
"""An lxml element: the project checks without lxml's types."""

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"
AUTODISCOVER = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
ADDRESSING = "http://www.w3.org/2005/08/addressing"
_NAMESPACES = {"s": SOAP, "m": MESSAGES, "t": TYPES, "a": AUTODISCOVER, "wsa": ADDRESSING}
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def tag(name: str) -> str:
    """`t:Body` as lxml writes it."""
    prefix, _, local = name.partition(":")
    return f"{{{_NAMESPACES[prefix]}}}{local}"


def element(name: str, *inside: Any, **attributes: str) -> Element:
    """An element `t:Name` with children, or a text; None among the children is nothing.

    Characters that XML can't hold become question marks.
    """
    made = etree.Element(tag(name), {key: xml_text(value) for key, value in attributes.items()}, nsmap=None)
    for child in inside:
        if isinstance(child, str):
            made.text = xml_text(child)
        elif child is not None:
            made.append(child)
    return made


def xml_text(value: str) -> str:
    """The text as XML 1.0 can hold it."""
    return _NO_XML.sub("?", value)


@dataclass(frozen=True, slots=True)
class Property:
    """An extended property: MAPI's, by its tag; or a named one."""

    type: str
    tag: int = 0
    set_id: str = ""
    """A GUID, or an EWS name of a well-known set."""
    name: str = ""
    number: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What it is found by in an answer."""
        if self.tag:
            return "", str(self.tag)
        return self.set_id.lower(), self.name or str(self.number)

    def uri(self) -> Element:
        """Its `t:ExtendedFieldURI` (MS-OXWSXPROP 2.2.4.3)."""
        if self.tag:
            return element("t:ExtendedFieldURI", PropertyTag=f"0x{self.tag:04X}", PropertyType=self.type)
        named = {"PropertyName": self.name} if self.name else {"PropertyId": str(self.number)}
        which = "PropertySetId" if "-" in self.set_id else "DistinguishedPropertySetId"
        return element("t:ExtendedFieldURI", **{which: self.set_id}, **named, PropertyType=self.type)

    def valued(self, value: str) -> Element:
        """As it stands in an item."""
        return element("t:ExtendedProperty", self.uri(), element("t:Value", value))


STAMP = Property("String", set_id=mapi.STAMP_SET, name=mapi.STAMP_NAME)
MESSAGE_FLAGS = Property("Integer", mapi.MESSAGE_FLAGS)
SUBMIT_TIME = Property("SystemTime", mapi.SUBMIT_TIME)
DELIVERY_TIME = Property("SystemTime", mapi.DELIVERY_TIME)
CONVERSATION_TOPIC = Property("String", mapi.CONVERSATION_TOPIC)
CONVERSATION_INDEX = Property("Binary", mapi.CONVERSATION_INDEX)
ICON_INDEX = Property("Integer", mapi.ICON_INDEX)
LAST_VERB = Property("Integer", mapi.LAST_VERB)
LAST_VERB_TIME = Property("SystemTime", mapi.LAST_VERB_TIME)
FLAG_STATUS = Property("Integer", mapi.FLAG_STATUS)
FLAG_COMPLETED = Property("SystemTime", mapi.FLAG_COMPLETED)
TASK_START = Property("SystemTime", set_id="Task", number=mapi.TASK_START)
TASK_DUE = Property("SystemTime", set_id="Task", number=mapi.TASK_DUE)
VERB_STREAM = Property("Binary", set_id="Common", number=mapi.VERB_STREAM)

CONTENT_CLASS = Property("String", set_id="InternetHeaders", name="content-class")
"""`rpmsg.message` is of a message under rights management (MS-OXORMMS 2.2.1.1)."""


def field(name: str) -> Element:
    """`item:Subject`."""
    return element("t:FieldURI", FieldURI=name)
