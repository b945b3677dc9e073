"""What a field of an item is, and the kinds that most of them are of."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.peers.ews.errors import EwsError
from tests.peers.ews.items import Item, Participant, RecipientKind
from tests.peers.ews.properties import Key, value_text
from tests.peers.ews.xml import Element, add, date_time, find, find_all, text_of


@dataclass(frozen=True, slots=True)
class Showing:
    """How an item is to be shown."""

    body_type: str = "Best"
    is_find: bool = False
    filters: bool = False
    nanoseconds: bool = False
    rights: str = "full"
    """Of who asks: `full` or `read`."""


Writer = Callable[[Element, Item, Showing], None]
Reader = Callable[[Item, Element], None]
Value = Callable[[Item], Any]


@dataclass(frozen=True, slots=True)
class Field:
    uri: str
    write: Writer
    """Adds the field's element, where the item has it."""
    value: Value | None = None
    """For restrictions and sorting; None: can't be searched by."""
    read: Reader | None = None
    """Takes an element's content; None: read-only."""
    key: Key | None = None
    """The property that it is, for conflicts."""
    only_get: bool = False
    """FindItem doesn't give it ("FindItem operation": the response's properties)."""
    only_draft: bool = False
    """Can't be set once the item is sent."""
    in_default: bool = False
    words: tuple[str, ...] = ()
    """All that it may be, of an enumeration."""
    since: str = ""
    """Schema version that brought it."""

    @property
    def element(self) -> str:
        return "t:" + self.uri.partition(":")[2]

    @property
    def name(self) -> str:
        """What stands for it in conflicts."""
        return str(self.key) if self.key else self.uri


# --- simple ones: a property shown as it is ---------------------------------------------------------------------------


def plain(uri: str, key: Key, kind: str, *, writable: bool = True, **more: Any) -> Field:
    element = "t:" + uri.partition(":")[2]

    def write(parent: Element, item: Item, showing: Showing) -> None:
        value = item.value(key)
        if value is None and kind == "bool" and not uri.startswith("item:Reminder"):
            value = False
        if value is not None:
            text = value_text(value, nanoseconds=showing.nanoseconds)
            add(parent, element, text[:255] if showing.is_find and kind == "string" else text)

    def read(item: Item, node: Element) -> None:
        item.properties[key] = _READERS[kind](text_of(node))

    def value(item: Item) -> Any:
        return item.value(key)

    return Field(uri, write, value, read if writable else None, key, **more)


_READERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "bool": lambda text: text.strip() in ("true", "1"),
    "int": int,
    "time": date_time,
    "binary": base64.b64decode,
}


def choice(uri: str, key: Key, words: tuple[str, ...], **more: Any) -> Field:
    element = "t:" + uri.partition(":")[2]

    def write(parent: Element, item: Item, showing: Showing) -> None:
        add(parent, element, words[int(item.properties.get(key, 0))])

    def read(item: Item, node: Element) -> None:
        item.properties[key] = words.index(text_of(node))

    return Field(uri, write, lambda item: words[int(item.properties.get(key, 0))], read, key, words=words, **more)


def made(uri: str, value: Callable[[Item], Any], **more: Any) -> Field:
    """A read-only one that is worked out."""
    element = "t:" + uri.partition(":")[2]

    def write(parent: Element, item: Item, showing: Showing) -> None:
        found = value(item)
        if found is not None:
            add(parent, element, value_text(found))

    return Field(uri, write, value, **more)


# --- people -----------------------------------------------------------------------------------------------------------


def mailbox_element(parent: Element, who: Participant) -> None:
    node = add(parent, "t:Mailbox")
    add(node, "t:Name", who.name or who.address)
    add(node, "t:EmailAddress", who.address)
    add(node, "t:RoutingType", "SMTP")
    add(node, "t:MailboxType", "OneOff" if "@" in who.address else "Mailbox")


def participant_from(node: Element) -> Participant:
    """Of a t:Mailbox. Raises EwsError."""
    address = text_of(find(node, "t:EmailAddress")).strip()
    name = text_of(find(node, "t:Name")).strip()
    if not address:
        raise EwsError("ErrorInvalidRecipients", "At least one recipient isn't valid.")
    return Participant(address, name)


def people_field(uri: str, kind: RecipientKind, **more: Any) -> Field:
    element = "t:" + uri.partition(":")[2]

    def write(parent: Element, item: Item, showing: Showing) -> None:
        if people := item.people(kind):
            node = add(parent, element)
            for who in people:
                mailbox_element(node, who)

    def read(item: Item, node: Element) -> None:
        item.recipients[kind] = tuple(participant_from(child) for child in find_all(node, "t:Mailbox"))

    return Field(uri, write, None, read, only_get=True, only_draft=True, **more)


def person_field(
    uri: str, get: Callable[[Item], Participant | None], put: Callable[[Item, Participant], None]
) -> Field:
    element = "t:" + uri.partition(":")[2]

    def write(parent: Element, item: Item, showing: Showing) -> None:
        who = get(item)
        if who and showing.is_find:  # "FindItem operation": only the name
            add(add(add(parent, element), "t:Mailbox"), "t:Name", who.name or who.address)
        elif who:
            mailbox_element(add(parent, element), who)

    def read(item: Item, node: Element) -> None:
        mailbox = find(node, "t:Mailbox")
        assert mailbox is not None  # the schema says so
        put(item, participant_from(mailbox))

    def value(item: Item) -> str | None:
        who = get(item)
        return who.name or who.address if who else None

    return Field(uri, write, value, read, only_draft=True, in_default=uri == "message:From")
