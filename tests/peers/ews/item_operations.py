"""Operations on items ([MS-OXWSCORE] 3.1.4, [MS-OXWSMSG] 3.1.4, [MS-OXWSSRCH] 3.1.4)."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from tests.peers.ews import properties as p
from tests.peers.ews.access import check_available, open_folder
from tests.peers.ews.calls import Call
from tests.peers.ews.contents import item_id_element
from tests.peers.ews.errors import EwsError
from tests.peers.ews.ids import change_of_key
from tests.peers.ews.items import Item
from tests.peers.ews.mailboxes import Disposal, Folder, Mailbox
from tests.peers.ews.restrictions import sorted_by, test_of
from tests.peers.ews.shapes import Shape, asks_for_mime, element_name, has_mime, shape_from, write_item
from tests.peers.ews.writing import changes_content, fill_new, touched, update
from tests.peers.ews.xml import Element, add, children, find, is_true, local_name

Filler = Callable[[Element], None]


def _only_id(parent: Element, item: Item) -> None:
    item_id_element(add(parent, element_name(item)), item)


def get_item(call: Call) -> Element:
    shape = _shape(call, is_find=False)

    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            item_id = node.get("Id")
            if local_name(node) != "ItemId":
                raise EwsError("ErrorInvalidId")
            mailbox, item, rights = call.item(item_id)
            check_available(mailbox)
            if asks_for_mime(shape) and not has_mime(item) and call.settings.refuses_mime_of_others:
                raise EwsError("ErrorUnsupportedMimeConversion", "The item's class has no MIME.")
            write_item(add(message, "m:Items"), item, shape, rights=rights)

        return fill

    return call.answer([one(node) for node in _ids(call)], empty="m:Items")


def _shape(call: Call, *, is_find: bool) -> Shape:
    node = find(call.request, "m:ItemShape")
    assert node is not None  # the schema says so
    return shape_from(node, is_find=is_find, version=call.version, nanoseconds=call.settings.is_other)


def _ids(call: Call) -> list[Element]:
    ids = find(call.request, "m:ItemIds")
    return children(ids) if ids is not None else []


# --- searching --------------------------------------------------------------------------------------------------------


def find_item(call: Call) -> Element:
    """Each folder's answer by itself. Newly made items may be missing for a while."""
    if find(call.request, "m:QueryString") is not None:
        raise EwsError("ErrorInvalidOperation", "This server has no content index.")
    shape = _shape(call, is_find=True)
    restriction = find(call.request, "m:Restriction")
    test = test_of(children(restriction)[0]) if restriction is not None else lambda item: True
    associated = call.request.get("Traversal") == "Associated"

    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            mailbox, folder, rights = open_folder(node, call.caller, call.store)
            if call.request.get("Traversal") == "SoftDeleted" and restriction is not None:
                folder = Folder("", "", "")  # "FindItem operation": the two together find nothing
            elif call.request.get("Traversal") == "SoftDeleted":
                folder = mailbox.by_distinguished["recoverableitemsdeletions"]
            now = time.monotonic()
            seen = [item for item in folder.items.values() if item.visible_at <= now]
            found = [item for item in seen if item.is_associated == associated and test(item)]
            found = sorted_by(found, find(call.request, "m:SortOrder"))
            page = _page(call, message, found)
            items = add(find(message, "m:RootFolder"), "t:Items")
            for item in page:
                write_item(items, item, shape, rights=rights)

        return fill

    folders = find(call.request, "m:ParentFolderIds")
    return call.answer([one(node) for node in children(folders)])


def _page(call: Call, message: Element, found: list[Item]) -> list[Item]:
    """IndexedPageItemView's part of it ([MS-OXWSSRCH] 2.2.4.20), or all, but never more than the server gives."""
    view = find(call.request, "m:IndexedPageItemView")
    if any(
        find(call.request, f"m:{name}") is not None for name in ("FractionalPageItemView", "CalendarView", "GroupBy")
    ):
        raise EwsError("ErrorInvalidOperation", "This server has none of the other views.")
    start, end = 0, min(len(found), call.settings.largest_page)
    if view is not None:
        offset, most = int(view.get("Offset")), int(view.get("MaxEntriesReturned", call.settings.largest_page))
        if offset < 0 or most < 1:
            raise EwsError("ErrorInvalidPagingMaxRows" if most < 1 else "ErrorInvalidIndexedPagingParameters")
        most = min(most, call.settings.largest_page)
        if view.get("BasePoint") == "Beginning":
            start, end = offset, min(offset + most, len(found))
        else:
            end = max(len(found) - offset, 0)
            start = max(end - most, 0)
    attributes = {"TotalItemsInView": str(len(found)), "IncludesLastItemInRange": str(end >= len(found)).lower()}
    if view is not None:
        attributes["IndexedPagingOffset"] = str(end)
    add(message, "m:RootFolder", **attributes)
    return found[start:end]


# --- creation ---------------------------------------------------------------------------------------------------------


def create_item(call: Call) -> Element:
    disposition = call.request.get("MessageDisposition")
    items = find(call.request, "m:Items")

    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            if local_name(node) not in ("Message", "Item", "PostItem"):
                raise EwsError("ErrorInvalidItemForOperationCreateItem", f"This server makes no {local_name(node)}.")
            if disposition is None and local_name(node) == "Message":
                raise EwsError("ErrorMessageDispositionRequired", "Message disposition is required.")
            item = _create(call, node, disposition or "SaveOnly")
            holder = add(message, "m:Items")
            if item is not None:
                _only_id(holder, item)

        return fill

    return call.answer([one(node) for node in children(items)], empty="m:Items")


def _create(call: Call, node: Element, disposition: str) -> Item | None:
    """The saved item; None where it is only sent."""
    mailbox, folder = _target(call, "drafts" if disposition == "SaveOnly" else "sentitems")
    item = call.store.new_item(mailbox, folder)
    fill_new(item, node, is_other=call.settings.is_other)
    item.properties[p.MODIFIER] = (call.caller.acting_as or mailbox).name
    if item.size > call.settings.largest_item:
        raise EwsError("ErrorMessageSizeExceeded")
    mailbox.check_room(item.size)
    if disposition != "SaveOnly":
        _send(call, item)
    if disposition == "SendOnly":
        return None
    mailbox.put(item)
    return item


def _target(call: Call, default: str, name: str = "m:SavedItemFolderId") -> tuple[Mailbox, Folder]:
    """The folder to save into. Raises EwsError: ErrorCreateItemAccessDenied for those who may only read."""
    given = find(call.request, name)
    if given is not None:
        try:
            mailbox, folder, rights = open_folder(children(given)[0], call.caller, call.store)
        except EwsError as error:
            if error.code == "ErrorFolderNotFound":
                raise EwsError(
                    "ErrorToFolderNotFound" if name == "m:ToFolderId" else "ErrorSavedItemFolderNotFound"
                ) from error
            raise
        if rights != "full":
            raise EwsError("ErrorCreateItemAccessDenied", "Cannot save item to folder without CreateContents rights.")
        return mailbox, folder
    own = call.caller.acting_as
    if own is None:
        raise EwsError("ErrorMissingEmailAddress")
    check_available(own)
    return own, own.by_distinguished[default]


def _send(call: Call, item: Item) -> None:
    """To the mailboxes that are here. Sending makes it a sent item."""
    if not any(item.people(kind) for kind in ("to", "cc", "bcc")):
        raise EwsError(
            "ErrorMissingRecipients" if call.operation == "SendItem" else "ErrorInvalidRecipients",
            "At least one recipient isn't valid.",
        )
    people = [who for kind in ("to", "cc", "bcc") for who in item.people(kind)]
    now = datetime.now(UTC)
    item.is_draft, item.is_read = False, True
    item.properties |= {p.SUBMIT_TIME: now, p.DELIVERY_TIME: now}
    item.properties.setdefault(p.MESSAGE_ID, f"<{uuid4().hex}@ews.example>")
    own = call.caller.acting_as
    if item.author is None and own is not None:
        from_own = type(people[0])(own.address, own.name)
        item.set_author(from_own)
        item.set_sender(from_own)
    for who in people:
        target = call.store.addresses.get(who.address.lower())
        if target is not None:
            copied = call.store.copy(item, target, target.by_distinguished["inbox"])
            copied.is_read = False
            copied.recipients.pop("bcc", None)


def send_item(call: Call) -> Element:
    """ErrorStaleObject for a missing or old key ("ItemId": SendItem tests for the latest version)."""

    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            mailbox, item, _ = call.item(node.get("Id"), to_write=True)
            key = node.get("ChangeKey")
            if not key or change_of_key(key) != item.change:
                raise EwsError("ErrorStaleObject")
            _send(call, item)
            if call.request.get("SaveItemToFolder") in ("true", "1"):
                target, folder = _target(call, "sentitems")
                call.store.move(mailbox, item, target, folder)
            else:
                mailbox.take(item)

        return fill

    return call.answer([one(node) for node in _ids(call)])


# --- changing ---------------------------------------------------------------------------------------------------------


def update_item(call: Call) -> Element:
    how = call.request.get("ConflictResolution")
    disposition = call.request.get("MessageDisposition")
    changes = find(call.request, "m:ItemChanges")

    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            if disposition is None:  # "UpdateItem": required for messages
                raise EwsError("ErrorMessageDispositionRequired", "Message disposition is required.")
            if disposition != "SaveOnly":
                raise EwsError("ErrorInvalidOperation", "This server sends no updated items.")
            item = _update(call, node, how)
            _only_id(add(message, "m:Items"), item)
            add(add(message, "m:ConflictResults"), "t:Count", "0")

        return fill

    return call.answer([one(node) for node in children(changes)], empty="m:Items")


def _update(call: Call, node: Element, how: str) -> Item:
    id_node = find(node, "t:ItemId")
    updates = children(find(node, "t:Updates"))
    if id_node is None:
        raise EwsError("ErrorInvalidId")
    mailbox, item, _ = call.item(id_node.get("Id"), to_write=True)
    names = [touched(change) for change in updates]
    _check_conflict(call, item, id_node.get("ChangeKey"), how, names)
    draft = copy.deepcopy(item)
    for change in updates:
        update(draft, change, is_other=call.settings.is_other)
    if draft.size > item.size:
        mailbox.check_room(draft.size - item.size)
    if any(changes_content(change) for change in updates):
        call.store.keep_version(mailbox, item)
    if draft.is_read and not item.is_read:
        _tell_sender(call, mailbox, draft, "read")
    mailbox.take(item)
    mailbox.put(draft)
    call.store.changed(mailbox, draft, names)
    draft.properties[p.MODIFIER] = (call.caller.acting_as or mailbox).name
    return draft


def _tell_sender(call: Call, mailbox: Mailbox, item: Item, what: str) -> None:
    """Unless SuppressReadReceipts says otherwise (UpdateItem, DeleteItem: since Exchange 2013), and once."""
    if item.wants_receipt and call.request.get("SuppressReadReceipts") not in ("true", "1"):
        item.is_receipt_sent = True
        mailbox.receipts.append((str(item.properties.get(p.MESSAGE_ID, "")), what))


def _check_conflict(call: Call, item: Item, key: str | None, how: str, names: list[str]) -> None:
    """Raises EwsError. A missing key is refused even for AlwaysOverwrite ("ResponseCode", both codes say so).

    NeverOverwrite: any newer version is a conflict. AutoResolve: only if the same property was changed since. Servers
    that aren't Exchange overwrite, and need no key.
    """
    if call.settings.is_other:
        return
    if not key:
        raise EwsError("ErrorChangeKeyRequiredForWriteOperations")
    known = change_of_key(key)
    if known > item.change:
        raise EwsError("ErrorInvalidChangeKey")
    if known == item.change or how == "AlwaysOverwrite":
        return
    if how == "NeverOverwrite" or any(item.changed_at.get(name, 0) > known for name in names):
        raise EwsError(call.settings.stale_code)


# --- removing and moving ----------------------------------------------------------------------------------------------


def delete_item(call: Call) -> Element:
    how: Disposal = call.request.get("DeleteType")

    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            mailbox, item, _ = call.item(node.get("Id"), to_write=True)
            if call.settings.checks_key_of_delete and not call.settings.is_other:
                key = node.get("ChangeKey")
                if not key or change_of_key(key) != item.change:
                    raise EwsError("ErrorStaleObject")
            if not item.is_read:
                _tell_sender(call, mailbox, item, "not-read")
            call.store.delete(mailbox, item, how)

        return fill

    return call.answer([one(node) for node in _ids(call)])


def move_item(call: Call) -> Element:
    return _move_or_copy(call, moves=True)


def copy_item(call: Call) -> Element:
    return _move_or_copy(call, moves=False)


def _move_or_copy(call: Call, *, moves: bool) -> Element:
    returns = find(call.request, "m:ReturnNewItemIds")

    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            mailbox, item, _ = call.item(node.get("Id"), to_write=moves)
            target, folder = _target(call, "", "m:ToFolderId")
            store = call.store
            twin = store.move(mailbox, item, target, folder) if moves else store.copy(item, target, folder)
            items = add(message, "m:Items")
            if is_true(returns, default=True) and target is mailbox:
                _only_id(items, twin)

        return fill

    return call.answer([one(node) for node in _ids(call)], empty="m:Items")
