"""Operations on attachments ([MS-OXWSATT] 3.1.4): each changes its item, so the item's change key too."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

from tests.peers.ews import properties as p
from tests.peers.ews.calls import Call
from tests.peers.ews.contents import attachment_element
from tests.peers.ews.errors import EwsError
from tests.peers.ews.ids import change_key, change_of_key, mailbox_of_id
from tests.peers.ews.items import Item
from tests.peers.ews.mailboxes import Mailbox
from tests.peers.ews.mime_in import read_mime
from tests.peers.ews.writing import attachment_from
from tests.peers.ews.xml import Element, add, children, find, is_true

Filler = Callable[[Element], None]


def create_attachment(call: Call) -> Element:
    """AttachmentId tells the item's new change key: RootItemChangeKey."""
    parent = find(call.request, "m:ParentItemId")
    attachments = find(call.request, "m:Attachments")

    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            mailbox, item, _ = call.item(parent.get("Id"), to_write=True)  # type: ignore[union-attr]
            if not call.settings.is_other:
                _check_key(parent.get("ChangeKey"), item)  # type: ignore[union-attr]
            attachment = attachment_from(node, item)
            if item.size + len(attachment.content) > call.settings.largest_item:
                raise EwsError("ErrorMessageSizeExceeded")
            mailbox.check_room(len(attachment.content) + 200)
            call.store.keep_version(mailbox, item)
            mailbox.take(item)
            item.attachments.append(attachment)
            mailbox.put(item)
            call.store.changed(mailbox, item, ["item:Attachments"])
            holder = add(
                add(message, "m:Attachments"), "t:ItemAttachment" if attachment.is_item else "t:FileAttachment"
            )
            _id_element(holder, attachment.id, item)

        return fill

    return call.answer([one(node) for node in children(attachments)], empty="m:Attachments")


def _check_key(key: str | None, item: Item) -> None:
    """Raises EwsError. An old key is one of before our own attachments, or of before somebody's change of content."""
    if not key:
        return
    known = change_of_key(key)
    if known > item.change:
        raise EwsError("ErrorInvalidChangeKey")


def _id_element(parent: Element, attachment_id: str, item: Item) -> None:
    add(
        parent,
        "t:AttachmentId",
        Id=attachment_id,
        RootItemId=item.id,
        RootItemChangeKey=change_key("item", item.change),
    )


def _owner(call: Call, attachment_id: str, *, to_write: bool) -> tuple[Mailbox, Item, int]:
    """The item that holds it, and its place. Raises EwsError."""
    kind, address = mailbox_of_id(attachment_id)
    mailbox = call.store.mailboxes.get(address)
    if kind != "attachment":
        raise EwsError("ErrorInvalidAttachmentId")
    for folder in mailbox.folders.values() if mailbox else ():
        for item in folder.items.values():
            for index, attachment in enumerate(item.attachments):
                if attachment.id == attachment_id:
                    call.item(item.id, to_write=to_write)
                    assert mailbox is not None
                    return mailbox, item, index
    raise EwsError("ErrorInvalidAttachmentId")  # "ResponseCode": where none corresponds to the id


def get_attachment(call: Call) -> Element:
    shape = find(call.request, "m:AttachmentShape")
    with_mime = shape is not None and is_true(find(shape, "t:IncludeMimeContent"))

    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            _, item, index = _owner(call, node.get("Id"), to_write=False)
            attachment = item.attachments[index]
            shown = attachment_element(add(message, "m:Attachments"), item, index)
            content = b64encode(attachment.content).decode()
            if not attachment.is_item:
                add(shown, "t:Content", content)
                return
            inner = Item("", item.mailbox, item.folder, item.change)
            read_mime(inner, attachment.content)
            if with_mime:
                message_node = add(shown, "t:Message")
                add(message_node, "t:MimeContent", content, CharacterSet="UTF-8")
                add(message_node, "t:Subject", str(inner.properties[p.SUBJECT]))
            else:
                message_node = add(shown, "t:Message")
                add(message_node, "t:ItemClass", "IPM.Note")
                add(message_node, "t:Subject", inner.subject)

        return fill

    ids = find(call.request, "m:AttachmentIds")
    return call.answer([one(node) for node in children(ids)], empty="m:Attachments")


def delete_attachment(call: Call) -> Element:
    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            mailbox, item, index = _owner(call, node.get("Id"), to_write=True)
            call.store.keep_version(mailbox, item)
            mailbox.take(item)
            del item.attachments[index]
            mailbox.put(item)
            call.store.changed(mailbox, item, ["item:Attachments"])
            add(message, "m:RootItemId", RootItemId=item.id, RootItemChangeKey=change_key("item", item.change))

        return fill

    ids = find(call.request, "m:AttachmentIds")
    return call.answer([one(node) for node in children(ids)])
