"""Requests of EWS for the messages of a monitored folder, and what their answers say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from mta.adapters.mailbox.ews.calls import Answer
from mta.adapters.mailbox.ews.names import Element, element, field, tag
from mta.adapters.mailbox.ews.reading import items_in, ref_of
from mta.adapters.mailbox.ews.values import integer_of, octets_of, time_of, truth_of

_NO_MESSAGES = frozenset({
    "AbchPerson", "Booking", "CalendarItem", "Contact", "DistributionList", "Network", "Person", "RoleMember", "Task",
})  # fmt: skip
"""They have no mark that says whether they were read, and most of them no MIME."""
_OWN_MARK = frozenset({"PostItem", "MeetingMessage", "MeetingRequest", "MeetingResponse", "MeetingCancellation"})


@dataclass(frozen=True, slots=True)
class Seen:
    """An item as it was when it was looked at."""

    id: str
    change_key: str
    kind: str
    """Its element's name: `Message`, `MeetingRequest`, …"""
    size_octets: int
    """In the store; as MIME it may be half as large again, or half as large."""
    received_at: datetime | None
    is_draft: bool

    @property
    def is_message(self) -> bool:
        return self.kind not in _NO_MESSAGES


def find(folder: Element, *, offset: int, most: int, is_unread: bool) -> Element:
    """FindItem: the oldest first."""
    unread = element(
        "t:IsEqualTo", field("message:IsRead"), element("t:FieldURIOrConstant", element("t:Constant", Value="false"))
    )
    view = element("m:IndexedPageItemView", MaxEntriesReturned=str(most), Offset=str(offset), BasePoint="Beginning")
    return element(
        "m:FindItem",
        _shape("item:DateTimeReceived", "item:Size", "item:IsDraft"),
        view,
        element("m:Restriction", unread) if is_unread else None,
        element("m:SortOrder", element("t:FieldOrder", field("item:DateTimeReceived"), Order="Ascending")),
        element("m:ParentFolderIds", folder),
        Traversal="Shallow",
    )


def look(item: str) -> Element:
    """GetItem: what `seen` tells."""
    return element("m:GetItem", _shape("item:DateTimeReceived", "item:Size", "item:IsDraft"), _ids(item))


def get_mime(item: str) -> Element:
    """GetItem: its MIME, and of what class it is."""
    shape = element(
        "m:ItemShape", element("t:BaseShape", "IdOnly"), element("t:IncludeMimeContent", "true"),
        element("t:AdditionalProperties", field("item:ItemClass")),
    )  # fmt: skip
    return element("m:GetItem", shape, _ids(item))


def get_folder(folder: Element) -> Element:
    """GetFolder: how many messages it has."""
    fields = (field(f"folder:{name}") for name in ("TotalCount", "UnreadCount"))
    shape = element("m:FolderShape", element("t:BaseShape", "IdOnly"), element("t:AdditionalProperties", *fields))
    return element("m:GetFolder", shape, element("m:FolderIds", folder))


def mark_read(seen: Seen) -> Element:
    """UpdateItem (MS-OXWSCORE 3.1.4.9), whatever was changed meanwhile; its sender gets no read receipt for it."""
    kind = seen.kind if seen.kind in _OWN_MARK else "Message"
    change = element("t:SetItemField", field("message:IsRead"), element(f"t:{kind}", element("t:IsRead", "true")))
    item = element("t:ItemId", Id=seen.id, ChangeKey=seen.change_key)
    return element(
        "m:UpdateItem",
        element("m:ItemChanges", element("t:ItemChange", item, element("t:Updates", change))),
        ConflictResolution="AlwaysOverwrite", MessageDisposition="SaveOnly", SuppressReadReceipts="true",
    )  # fmt: skip


def move(item: str, folder: Element) -> Element:
    """MoveItem."""
    return element("m:MoveItem", element("m:ToFolderId", folder), _ids(item), element("m:ReturnNewItemIds", "false"))


def delete(item: str, *, for_good: bool) -> Element:
    """DeleteItem; else it can be recovered. Nobody is told that it wasn't read, or that a meeting is off."""
    return element(
        "m:DeleteItem", _ids(item), DeleteType="HardDelete" if for_good else "SoftDelete",
        SendMeetingCancellations="SendToNone", AffectedTaskOccurrences="SpecifiedOccurrenceOnly",
        SuppressReadReceipts="true",
    )  # fmt: skip


def seen_in(answer: Answer) -> Iterator[Seen]:
    for item in items_in(answer.message):
        ref = ref_of(item)
        if ref is None:
            continue
        yield Seen(
            ref.id, ref.change_key, etree.QName(item).localname,
            max(0, integer_of(item.findtext(tag("t:Size"))) or 0),
            time_of(item.findtext(tag("t:DateTimeReceived"))), truth_of(item.findtext(tag("t:IsDraft"))),
        )  # fmt: skip


def mime_in(answer: Answer) -> tuple[bytes, str]:
    """The MIME, b"" where the server gave none, and the class of the item."""
    for item in items_in(answer.message):
        return octets_of(item.findtext(tag("t:MimeContent"))), item.findtext(tag("t:ItemClass"), "")
    return b"", ""


def counts_in(answer: Answer) -> str:
    """Of a folder, in words."""
    total, unread = (
        next((integer_of(each.text) for each in answer.message.iter(tag(f"t:{name}"))), None)
        for name in ("TotalCount", "UnreadCount")
    )
    return "opened" if total is None else f"{total} messages, {unread or 0} unread"


def _shape(*fields: str) -> Element:
    return element(
        "m:ItemShape", element("t:BaseShape", "IdOnly"), element("t:AdditionalProperties", *map(field, fields))
    )


def _ids(item: str) -> Element:
    return element("m:ItemIds", element("t:ItemId", Id=item))
