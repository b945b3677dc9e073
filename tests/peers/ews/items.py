"""Items as the store keeps them: properties, recipients and attachments, never the MIME that made them."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

from tests.peers.ews import properties as p
from tests.peers.ews.ids import new_id
from tests.peers.ews.properties import Key

RecipientKind = Literal["to", "cc", "bcc", "reply_to"]
_READ, _UNMODIFIED, _SUBMIT, _UNSENT, _HAS_ATTACH, _FROM_ME = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_PREFIX = re.compile(r"[^\W\d_]{1,3}: ")


@dataclass(frozen=True, slots=True)
class Participant:
    address: str
    name: str = ""


@dataclass(slots=True)
class Attachment:
    id: str
    name: str
    content_type: str
    content: bytes
    """Of an item its MIME."""
    content_id: str = ""
    content_location: str = ""
    is_inline: bool = False
    is_item: bool = False
    modified_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(slots=True)
class Item:
    id: str
    mailbox: str
    folder: str
    """Id."""
    change: int
    """Of the store at the item's last change: makes the change key."""
    properties: dict[Key, Any] = field(default_factory=dict)
    recipients: dict[RecipientKind, tuple[Participant, ...]] = field(default_factory=dict)
    attachments: list[Attachment] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    """Fields of the MIME without a property of their own, in their order; named properties (InternetHeaders) too."""
    exact_mime: bytes = b""
    """Of signed and encrypted mail, which must not be made anew."""
    is_draft: bool = True
    is_read: bool = True
    is_associated: bool = False
    changed_at: dict[str, int] = field(default_factory=dict)
    """The change at which a property was set last, by what stands for it in conflicts."""
    visible_at: float = 0
    """Monotonic: before it FindItem doesn't show the item."""
    is_receipt_sent: bool = False

    # --- content ---

    @property
    def html(self) -> str | None:
        data = self.properties.get(p.HTML)
        return None if data is None else data.decode("utf-8", "replace")

    @html.setter
    def html(self, value: str) -> None:
        self.properties[p.HTML] = value.encode()
        self.properties.pop(p.TEXT, None)

    @property
    def text(self) -> str | None:
        """Of a plain text item; a HTML item's text is made of its HTML."""
        value = self.properties.get(p.TEXT)
        return None if value is None else str(value)

    @text.setter
    def text(self, value: str) -> None:
        self.properties[p.TEXT] = value
        self.properties.pop(p.HTML, None)

    @property
    def subject(self) -> str:
        return str(self.properties.get(p.SUBJECT, ""))

    @property
    def item_class(self) -> str:
        return str(self.properties.get(p.CLASS, "IPM.Note"))

    def people(self, kind: RecipientKind) -> tuple[Participant, ...]:
        return self.recipients.get(kind, ())

    def participant(self, name: Key, address: Key, smtp: Key) -> Participant | None:
        found = self.properties.get(smtp) or self.properties.get(address)
        return Participant(str(found), str(self.properties.get(name, ""))) if found else None

    @property
    def sender(self) -> Participant | None:
        return self.participant(p.SENDER_NAME, p.SENDER_ADDRESS, p.SENDER_SMTP)

    @property
    def author(self) -> Participant | None:
        return self.participant(p.FROM_NAME, p.FROM_ADDRESS, p.FROM_SMTP)

    def set_sender(self, who: Participant) -> None:
        self.properties |= {
            p.SENDER_NAME: who.name or who.address,
            p.SENDER_TYPE: "SMTP",
            p.SENDER_ADDRESS: who.address,
            p.SENDER_SMTP: who.address,
        }

    def set_author(self, who: Participant) -> None:
        self.properties |= {
            p.FROM_NAME: who.name or who.address,
            p.FROM_TYPE: "SMTP",
            p.FROM_ADDRESS: who.address,
            p.FROM_SMTP: who.address,
        }

    @property
    def has_attachments(self) -> bool:
        """Whether a paper clip is shown: inline pictures don't count (PidLidSmartNoAttach, [MS-OXCMSG] 2.2.1.14)."""
        return any(not attachment.is_inline for attachment in self.attachments)

    @property
    def flags(self) -> int:
        """PidTagMessageFlags ([MS-OXCMSG] 2.2.1.6)."""
        value = _READ if self.is_read else 0
        value |= _UNSENT if self.is_draft else 0
        value |= _HAS_ATTACH if self.attachments else 0
        return value | (int(self.properties.get(p.FLAGS, 0)) & (_SUBMIT | _FROM_ME | _UNMODIFIED))

    @property
    def size(self) -> int:
        """Octets of what it holds."""
        total = 600 + sum(len(name) + len(value) for name, value in self.headers)
        total += sum(len(attachment.content) + 200 for attachment in self.attachments)
        total += sum(60 + 2 * len(who.address + who.name) for people in self.recipients.values() for who in people)
        return total + sum(_value_size(value) for value in self.properties.values())

    @property
    def wants_receipt(self) -> bool:
        """Whether Exchange would tell its sender that it was read, or deleted unread."""
        return bool(self.properties.get(p.READ_RECEIPT)) and not self.is_draft and not self.is_receipt_sent

    def value(self, key: Key) -> Any:
        """A property, also of those that are worked out; None where it has none."""
        made = _MADE.get(key)
        return self.properties.get(key) if made is None else made(self)

    # --- life ---

    def complete(self, now: datetime) -> None:
        """What the store adds to a new item where the client gave nothing ([MS-OXCMSG] 3.2.5, [MS-OXOMSG] 2.2.1)."""
        values = self.properties
        values.setdefault(p.CLASS, "IPM.Note")
        values.setdefault(p.IMPORTANCE, 1)
        values.setdefault(p.SENSITIVITY, 0)
        values.setdefault(p.DELIVERY_TIME, now)
        values.setdefault(p.SUBMIT_TIME, now)
        values[p.CREATED] = values[p.MODIFIED] = now
        values.setdefault(p.CODE_PAGE, 65001)
        self.split_subject()
        values.setdefault(p.INDEX, _new_index(self.id, now))
        if p.HTML not in values and p.TEXT not in values:
            values[p.TEXT] = ""

    def split_subject(self) -> None:
        """Prefix, normalised subject, and a topic where there is none ([MS-OXCMSG] 2.2.1.9, 2.2.1.10)."""
        found = _PREFIX.match(self.subject)
        prefix = found[0] if found else ""
        self.properties[p.SUBJECT_PREFIX] = prefix
        self.properties[p.NORMALIZED] = self.subject[len(prefix) :]
        self.properties.setdefault(p.TOPIC, self.properties[p.NORMALIZED])

    def touch(self, change: int, now: datetime, names: Iterable[str]) -> None:
        """It was changed: another change key."""
        self.change = change
        self.properties[p.MODIFIED] = now
        for name in names:
            self.changed_at[name] = change

    def duplicate(self, item_id: str, folder: str, change: int) -> Item:
        """A copy, of which nothing is shared."""
        twin = copy.deepcopy(self)
        twin.id, twin.folder, twin.change = item_id, folder, change
        for attachment in twin.attachments:
            attachment.id = new_id("attachment", self.mailbox)
        return twin


def conversation_id(item: Item) -> bytes:
    """PidTagConversationId ([MS-OXOMSG] 2.2.1.2): of the index's GUID, else of the topic."""
    index = bytes(item.properties.get(p.INDEX, b""))
    seed = index[6:22] if len(index) >= 22 else str(item.properties.get(p.TOPIC, "")).upper().encode("utf-16-le")
    return sha256(seed).digest()[:16]


def _value_size(value: Any) -> int:
    if isinstance(value, tuple):
        return sum(_value_size(entry) for entry in value)
    return 2 * len(value) if isinstance(value, str) else len(value) if isinstance(value, bytes) else 8


def _new_index(seed: str, now: datetime) -> bytes:
    """A header block of PidTagConversationIndex ([MS-OXOMSG] 2.2.1.3): 1, 40 bits of FILETIME, a GUID."""
    filetime = int((now - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds() * 10**7)
    return b"\x01" + (filetime >> 24).to_bytes(5, "big") + sha256(seed.encode()).digest()[:16]


def _names(people: tuple[Participant, ...]) -> str:
    return "; ".join(who.name or who.address for who in people)


_MADE: dict[Key, Callable[[Item], Any]] = {
    p.FLAGS: lambda item: item.flags,
    p.SIZE: lambda item: item.size,
    p.tag(0x0E02): lambda item: _names(item.people("bcc")),
    p.tag(0x0E03): lambda item: _names(item.people("cc")),
    p.tag(0x0E04): lambda item: _names(item.people("to")),
    p.tag(0x0E1B): lambda item: bool(item.attachments),
    p.tag(0x0E69): lambda item: item.is_read,
    p.tag(0x3013): conversation_id,
    p.NATIVE_BODY: lambda item: 3 if item.html is not None else 1,
}
READ_ONLY = frozenset(_MADE) | {p.CREATED, p.MODIFIED, p.MODIFIER}
"""Written by the store alone; the flags' unsent bit is the client's at creation."""
