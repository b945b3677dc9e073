"""Filed messages by EWS: requests that find their copies below Inbox and Sent Items, and mark them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

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
REMEMBERED_S = 300.0
"""How long a mailbox's folders are taken to be the same: of one message several marks follow each other."""
_REMEMBERED_MAX = 1000
_COPIES_MAX = 20
_NOTE = "ipm.note"


class FiledMessages:
    """Of all mailboxes of one endpoint; used by its threads."""

    def __init__(self, ask: Callable[..., Answer]) -> None:
        """`ask`: as `Endpoint.call`."""
        self._ask = ask
        self._folders: dict[str, tuple[float, tuple[tuple[str, str], ...]]] = {}
        """By mailbox: until when, and (id, name) of the folders below `TOPS`."""

    def find(self, mailbox: str, owner: str, message_id: str) -> Sequence[FiledItem]:
        """See the port. A folder that is gone since it was seen, or closed to us, is passed over."""
        known = [(top, top) for top in TOPS] + [*self._below(mailbox, owner)]
        found: dict[str, FiledItem] = {}
        for start in range(0, len(known), AT_A_TIME):
            some = known[start : start + AT_A_TIME]
            places = (_place(identity, owner) for identity, _ in some)
            answer = self._ask(
                mailbox, find_copies(message_id, list(places)), optional_from=len(TOPS) if start == 0 else 0
            )
            if answer.passed_over:
                self._folders.pop(mailbox, None)
            found.update((copy.ref.id, copy) for copy in copies_in(answer, [name for _, name in some], message_id))
        return list(found.values())

    def _below(self, mailbox: str, owner: str) -> tuple[tuple[str, str], ...]:
        until, folders = self._folders.get(mailbox, (0.0, ()))
        now = time.monotonic()
        if now < until:
            return folders
        answer = self._ask(mailbox, find_folders(owner))
        folders = tuple(dict(each for message in answer.messages for each in _folder_ids(message)).items())
        if len(self._folders) >= _REMEMBERED_MAX:
            self._folders.clear()
        self._folders[mailbox] = (now + REMEMBERED_S, folders)
        return folders


def _place(identity: str, owner: str) -> Element:
    return writing.distinguished(owner, identity) if identity in TOPS else element("t:FolderId", Id=identity)


def find_folders(owner: str) -> Element:
    """FindFolder (MS-OXWSFOLD 3.1.4.4): all folders below Inbox, and all below Sent Items."""
    shape = element(
        "m:FolderShape",
        element("t:BaseShape", "IdOnly"),
        element("t:AdditionalProperties", field("folder:DisplayName")),
    )
    view = element("m:IndexedPageFolderView", MaxEntriesReturned=str(FOLDERS_MAX), Offset="0", BasePoint="Beginning")
    parents = element("m:ParentFolderIds", *(writing.distinguished(owner, top) for top in TOPS))
    return element("m:FindFolder", shape, view, parents, Traversal="Deep")


def _folder_ids(message: Element) -> Iterator[tuple[str, str]]:
    """(id, name) of each folder that was found."""
    for holder in message.iter(tag("t:Folders")):
        for folder in holder:
            identity = folder.find(tag("t:FolderId"))
            if identity is not None and identity.get("Id"):
                yield identity.get("Id"), folder.findtext(tag("t:DisplayName"), "")


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


def get_marked(ref: ItemRef, mark: FiledMark) -> Element:
    """GetItem: what a mark changes, and what says that it must not change the body."""
    with_body = bool(mark.link and mark.link_text)
    fields = ["item:ItemClass", "item:Categories", *(["item:Body", "item:IsDraft"] if with_body else [])]
    named = (column.uri() for column, _ in _columns(mark))
    shape = element(
        "m:ItemShape",
        element("t:BaseShape", "IdOnly"),
        element("t:BodyType", "Best") if with_body else None,
        element("t:AdditionalProperties", *map(field, fields), names.CONTENT_CLASS.uri(), *named),
    )
    return element("m:GetItem", shape, writing.item_ids(ItemRef(ref.id)))


def changes(item: Element, mark: FiledMark) -> list[Element]:
    """What an item lacks of a mark, as `t:SetItemField` each."""
    now, has = reading.sent_item(item, ItemRef("")), reading.extended(item)
    found = []
    if mark.category and mark.category.lower() not in {each.lower() for each in now.marks.categories}:
        texts = (element("t:String", each) for each in (*now.marks.categories, mark.category))
        found.append(writing.set_field(field("item:Categories"), element("t:Categories", *texts)))
    for column, value in _columns(mark):
        if has.get(column.key) != value:
            found.append(writing.set_field(column.uri(), column.valued(value)))
    if mark.link and mark.link_text and not (now.is_protected or now.is_draft) and now.item_class.lower() == _NOTE:
        found += _with_link(now.html, now.text, mark)
    return found


def _columns(mark: FiledMark) -> list[tuple[Property, str]]:
    """Named properties and their values, the link among them."""
    values = {**mark.columns, **({mapi.LINK_NAME: mark.link} if mark.link else {})}
    return [
        (Property(mapi.column_type(value), set_id="PublicStrings", name=name), mapi.column_text(value))
        for name, value in values.items()
    ]


def _with_link(html: str | None, text: str | None, mark: FiledMark) -> Iterator[Element]:
    """The change of the body; none where the server shows no body."""
    body = html if html is not None else text
    if body is None:
        return
    changed = with_link(body, mark.link, mark.link_text, is_html=html is not None)
    if changed != body:
        kind = "HTML" if html is not None else "Text"
        yield writing.set_field(field("item:Body"), element("t:Body", changed, BodyType=kind))
