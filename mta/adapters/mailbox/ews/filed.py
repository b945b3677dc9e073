"""Filed messages by EWS: requests that find their copies below Inbox and Sent Items, and mark them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mta.adapters.mailbox import mapi
from mta.adapters.mailbox.ews import names, reading, writing
from mta.adapters.mailbox.ews.calls import Answer
from mta.adapters.mailbox.ews.names import Element, Property, element, field, tag
from mta.adapters.mailbox.link_in_body import with_link
from mta.model.mailbox_item import ItemRef
from mta.model.writeback import FiledItem, FiledMark

TOPS = ("inbox", "sentitems")
FOLDERS_MAX = 500
"""Below each of the two."""
AT_A_TIME = 50
"""Folders that one request looks through."""
_COPIES_MAX = 20
_NOTE = "ipm.note"


def find_folders(owner: str, top: str) -> Element:
    """FindFolder (MS-OXWSFOLD 3.1.4.4): all folders below."""
    shape = element(
        "m:FolderShape",
        element("t:BaseShape", "IdOnly"),
        element("t:AdditionalProperties", field("folder:DisplayName")),
    )
    view = element("m:IndexedPageFolderView", MaxEntriesReturned=str(FOLDERS_MAX), Offset="0", BasePoint="Beginning")
    parents = element("m:ParentFolderIds", writing.distinguished(owner, top))
    return element("m:FindFolder", shape, view, parents, Traversal="Deep")


def folder_ids(answer: Answer) -> list[tuple[str, str]]:
    """(id, name) of each folder that was found."""
    found = []
    for holder in answer.message.iter(tag("t:Folders")):
        for folder in holder:
            identity = folder.find(tag("t:FolderId"))
            if identity is not None and identity.get("Id"):
                found.append((identity.get("Id"), folder.findtext(tag("t:DisplayName"), "")))
    return found


def find_copies(message_id: str, folders: Sequence[Element]) -> Element:
    """FindItem: this Message-ID, in each of the folders."""
    shape = element(
        "m:ItemShape",
        element("t:BaseShape", "IdOnly"),
        element("t:AdditionalProperties", field("item:ItemClass"), field("message:InternetMessageId")),
    )
    view = element("m:IndexedPageItemView", MaxEntriesReturned=str(_COPIES_MAX), Offset="0", BasePoint="Beginning")
    same = element("t:IsEqualTo", field("message:InternetMessageId"), writing.constant(message_id))
    return element(
        "m:FindItem", shape, view, element("m:Restriction", same), element("m:ParentFolderIds", *folders),
        Traversal="Shallow",
    )  # fmt: skip


def copies_in(answer: Answer, folders: Sequence[str], message_id: str) -> Iterator[FiledItem]:
    """The copies of each folder's response message, in the order in which the folders were asked for."""
    for message, name in zip(answer.messages, folders, strict=False):
        for item in reading.items_in(message):
            ref = reading.ref_of(item)
            shown = item.findtext(tag("t:InternetMessageId"), "").strip()
            if ref is not None and reading.is_shown(shown, message_id):
                kind = item.findtext(tag("t:ItemClass"), "").lower()
                yield FiledItem(ref, name, is_protected=kind not in ("", _NOTE))


def get_marked(ref: ItemRef, *, with_body: bool) -> Element:
    """GetItem: what a mark changes."""
    fields = ["item:ItemClass", "item:Categories", *(["item:Body"] if with_body else [])]
    shape = element(
        "m:ItemShape",
        element("t:BaseShape", "IdOnly"),
        element("t:BodyType", "Best") if with_body else None,
        element("t:AdditionalProperties", *map(field, fields), names.CONTENT_CLASS.uri()),
    )
    return element("m:GetItem", shape, writing.item_ids(ItemRef(ref.id)))


def changes(item: Element, mark: FiledMark) -> list[Element]:
    """What an item lacks of a mark, as `t:SetItemField` each."""
    now = reading.sent_item(item, ItemRef(""))
    found = []
    if mark.category and mark.category.lower() not in {each.lower() for each in now.marks.categories}:
        texts = (element("t:String", each) for each in (*now.marks.categories, mark.category))
        found.append(writing.set_field(field("item:Categories"), element("t:Categories", *texts)))
    for name, value in {**mark.columns, **({mapi.LINK_NAME: mark.link} if mark.link else {})}.items():
        column = Property(mapi.column_type(value), set_id="PublicStrings", name=name)
        found.append(writing.set_field(column.uri(), column.valued(mapi.column_text(value))))
    if mark.link and mark.link_text and not now.is_protected and now.item_class.lower() == _NOTE:
        body, is_html = (now.html, True) if now.html is not None else (now.text or "", False)
        changed = with_link(body or "", mark.link, mark.link_text, is_html=is_html)
        if changed != body:
            kind = "HTML" if is_html else "Text"
            found.append(writing.set_field(field("item:Body"), element("t:Body", changed, BodyType=kind)))
    return found
