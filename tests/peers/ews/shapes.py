"""Which of an item's properties an answer holds ("Property sets and response shapes in EWS in Exchange")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.peers.ews.errors import EwsError
from tests.peers.ews.field import Field, Showing
from tests.peers.ews.fields import BY_URI, EXTENDED_AFTER, FIELDS, ORDER
from tests.peers.ews.items import Item
from tests.peers.ews.properties import Path, named, path_from, write_property
from tests.peers.ews.restrictions import value_getter
from tests.peers.ews.xml import Element, add, children, find, is_true, local_name, text_of

VERSIONS = (
    "Exchange2007", "Exchange2007_SP1", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2", "Exchange2013",
    "Exchange2013_SP1", "Exchange2015", "Exchange2016",
)  # fmt: skip
_LONGEST_FOUND = 255
"""FindItem gives no more of a string ("FindItem operation": the first 512 bytes of streamable properties)."""
_CLASSES = (
    ("IPM.Schedule.Meeting.Request", "t:MeetingRequest"),
    ("IPM.Schedule.Meeting.Resp", "t:MeetingResponse"),
    ("IPM.Schedule.Meeting.Canceled", "t:MeetingCancellation"),
    ("IPM.Post", "t:PostItem"),
    ("IPM.Appointment", "t:CalendarItem"),
    ("IPM.Contact", "t:Contact"),
    ("IPM.Task", "t:Task"),
)
_NO_MIME = frozenset({"t:Contact", "t:Task"})
_NO_MESSAGES = _NO_MIME | {"t:CalendarItem"}
_OF_POSTS = frozenset(f"message:{name}" for name in ("InternetMessageId", "IsRead"))
"""As far as they are looked at here ([MS-OXWSPOST] 2.2.4.1)."""


@dataclass(frozen=True, slots=True)
class Shape:
    fields: tuple[Field, ...]
    """In the order of the schema."""
    extended: tuple[Path, ...]
    headers: tuple[tuple[str, str], ...]
    """Names of single Internet header fields, as asked for."""
    showing: Showing


def shape_from(node: Element, *, is_find: bool, version: str, nanoseconds: bool) -> Shape:
    """Of an ItemShape. Raises EwsError: ErrorInvalidPropertyRequest for what the operation doesn't give."""
    base = text_of(find(node, "t:BaseShape"))
    asked = {"item:ItemId"}
    if base == "Default":
        asked |= {field.uri for field in FIELDS if field.in_default}
    if base == "AllProperties":
        asked |= {field.uri for field in FIELDS if field.uri not in ("item:MimeContent", "item:TextBody")}
        asked -= {"item:UniqueBody", "item:NormalizedBody"}
    asked = {uri for uri in asked if _is_known(BY_URI[uri], version) and not (is_find and BY_URI[uri].only_get)}
    if is_true(find(node, "t:IncludeMimeContent")):
        asked.add("item:MimeContent")
    extended, headers = [], []
    for path in children(find(node, "t:AdditionalProperties") if _has_more(node) else ()):
        if local_name(path) == "ExtendedFieldURI":
            extended.append(path_from(path))
        elif local_name(path) == "IndexedFieldURI":
            headers.append((path.get("FieldURI"), path.get("FieldIndex")))
        else:
            asked.add(_asked(path.get("FieldURI")))
    if is_find and (refused := [uri for uri in asked if BY_URI[uri].only_get]):
        raise EwsError("ErrorInvalidPropertyRequest", f"FindItem doesn't give {sorted(refused)[0]}.")
    fields = tuple(sorted((BY_URI[uri] for uri in asked), key=lambda field: ORDER[field.uri]))
    showing = Showing(
        text_of(find(node, "t:BodyType"), "Best"),
        is_find,
        is_true(find(node, "t:FilterHtmlContent")),
        nanoseconds,
    )
    return Shape(fields, tuple(extended), tuple(headers), showing)


def _has_more(node: Element) -> bool:
    return find(node, "t:AdditionalProperties") is not None


def _asked(uri: str) -> str:
    """A field that sent items don't have may be asked for all the same: folders hold items of many classes."""
    field = BY_URI.get(uri)
    if field is None:
        return "item:ItemId"
    return uri


def _is_known(field: Field, version: str) -> bool:
    return not field.since or VERSIONS.index(version) >= VERSIONS.index(field.since)


def element_name(item: Item) -> str:
    """The element that items of its class come as; the base Item is never shown ("FindItem operation")."""
    return next((name for start, name in _CLASSES if item.item_class.upper().startswith(start.upper())), "t:Message")


def asks_for_mime(shape: Shape) -> bool:
    return any(field.uri == "item:MimeContent" for field in shape.fields)


def has_mime(item: Item) -> bool:
    return element_name(item) not in _NO_MIME


def _is_had(field: Field, name: str) -> bool:
    """Whether items that come as `name` have such a field."""
    if field.uri == "item:MimeContent":
        return name not in _NO_MIME
    is_of_messages = field.uri.startswith("message:")
    return not is_of_messages or (name not in _NO_MESSAGES and (name != "t:PostItem" or field.uri in _OF_POSTS))


def write_item(parent: Element, item: Item, shape: Shape, *, rights: str = "full", name: str = "") -> Element:
    """The item, in the shape."""
    name = name or element_name(item)
    node = add(parent, name)
    showing = replace(shape.showing, rights=rights)
    extended_written = False
    for field in shape.fields:
        order = ORDER[field.uri]
        if order > EXTENDED_AFTER and not extended_written:
            _write_extended(node, item, shape)
            extended_written = True
        if _is_had(field, name):
            field.write(node, item, showing)
    if not extended_written:
        _write_extended(node, item, shape)
    if shape.headers and find(node, "t:InternetMessageHeaders") is None:
        _insert_headers(node, item, shape)
    return node


def _write_extended(node: Element, item: Item, shape: Shape) -> None:
    longest = _LONGEST_FOUND if shape.showing.is_find else None
    for path in shape.extended:
        value = value_getter(path)(item)
        if value is not None:
            write_property(node, path, value, nanoseconds=shape.showing.nanoseconds, longest=longest)


_AFTER_HEADERS: Callable[[str], bool] = frozenset(
    field.element for field in FIELDS[ORDER["item:InternetMessageHeaders"] + 1 :]
).__contains__


def _insert_headers(node: Element, item: Item, shape: Shape) -> None:
    """The single header fields that were asked for, at their place in the sequence."""
    found = [(name, item.value(named("InternetHeaders", name))) for _, name in shape.headers]
    present = [(name, str(value)) for name, value in found if value is not None]
    if not present:
        return
    holder = add(node, "t:InternetMessageHeaders")
    for name, value in present:
        add(holder, "t:InternetMessageHeader", value, HeaderName=name)
    for sibling in children(node):
        shown = "t:" + local_name(sibling)
        if _AFTER_HEADERS(shown) or shown == "t:ExtendedProperty":
            sibling.addprevious(holder)
            return
