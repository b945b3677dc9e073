"""An item's ids and content as EWS shows and takes them."""

from __future__ import annotations

import base64

from tests.peers.ews import properties as p
from tests.peers.ews.bodies import filtered, given_out, html_of_text, text_of_html
from tests.peers.ews.field import Showing, Writer
from tests.peers.ews.ids import change_key
from tests.peers.ews.items import Item, conversation_id
from tests.peers.ews.mime_out import mime_of
from tests.peers.ews.properties import value_text
from tests.peers.ews.xml import Element, add, text_of


def item_id_element(parent: Element, item: Item, name: str = "t:ItemId") -> None:
    add(parent, name, Id=item.id, ChangeKey=change_key("item", item.change))


def write_item_id(parent: Element, item: Item, showing: Showing) -> None:
    item_id_element(parent, item)


def write_parent(parent: Element, item: Item, showing: Showing) -> None:
    add(parent, "t:ParentFolderId", Id=item.folder, ChangeKey=change_key("folder", 1))


def write_conversation(parent: Element, item: Item, showing: Showing) -> None:
    add(parent, "t:ConversationId", Id="AAQkAG" + base64.b64encode(conversation_id(item)).decode())


# --- content ----------------------------------------------------------------------------------------------------------


def write_mime(parent: Element, item: Item, showing: Showing) -> None:
    add(parent, "t:MimeContent", base64.b64encode(mime_of(item)).decode(), CharacterSet="UTF-8")


def body_of(item: Item, wanted: str, *, filters: bool = False) -> tuple[str, str]:
    """`HTML` or `Text`, and the body ("BodyType": Best is what the item has, HTML before text)."""
    html = item.html
    if html is None:
        text = item.text or ""
        return ("HTML", html_of_text(text)) if wanted == "HTML" else ("Text", text)
    if wanted == "Text":
        return "Text", text_of_html(html)
    shown = given_out(html)
    return "HTML", filtered(shown) if filters else shown


def body_writer(name: str, wanted: str = "") -> Writer:
    def write(parent: Element, item: Item, showing: Showing) -> None:
        kind, content = body_of(item, wanted or showing.body_type, filters=showing.filters)
        add(parent, name, content, BodyType=kind)

    return write


def read_body(item: Item, node: Element) -> None:
    if node.get("BodyType") == "HTML":
        item.html = text_of(node)
    else:
        item.text = text_of(node)


def attachment_element(parent: Element, item: Item, index: int) -> Element:
    """What is said of an attachment without its content."""
    attachment = item.attachments[index]
    node = add(parent, "t:ItemAttachment" if attachment.is_item else "t:FileAttachment")
    add(node, "t:AttachmentId", Id=attachment.id)
    add(node, "t:Name", attachment.name)
    if not attachment.is_item:
        add(node, "t:ContentType", attachment.content_type)
    if attachment.content_id:
        add(node, "t:ContentId", attachment.content_id)
    if attachment.content_location:
        add(node, "t:ContentLocation", attachment.content_location)
    add(node, "t:Size", str(len(attachment.content) + 200))
    add(node, "t:LastModifiedTime", value_text(attachment.modified_at))
    add(node, "t:IsInline", value_text(attachment.is_inline))
    if not attachment.is_item:
        add(node, "t:IsContactPhoto", "false")
    return node


def write_attachments(parent: Element, item: Item, showing: Showing) -> None:
    if item.attachments:
        node = add(parent, "t:Attachments")
        for index in range(len(item.attachments)):
            attachment_element(node, item, index)


def write_headers(parent: Element, item: Item, showing: Showing) -> None:
    known = (("Message-ID", p.MESSAGE_ID), ("In-Reply-To", p.IN_REPLY_TO), ("References", p.REFERENCES))
    values = [(name, str(item.properties[key])) for name, key in known if key in item.properties]
    node = add(parent, "t:InternetMessageHeaders")
    for name, value in [("Subject", item.subject), *values, *item.headers]:
        add(node, "t:InternetMessageHeader", value, HeaderName=name)
