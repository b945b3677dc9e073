"""Setting fields and properties of items: at creation, and in updates."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.peers.ews import properties as p
from tests.peers.ews.errors import EwsError
from tests.peers.ews.field import Field, participant_from
from tests.peers.ews.fields import BY_ELEMENT, BY_URI
from tests.peers.ews.ids import new_id
from tests.peers.ews.items import READ_ONLY, Attachment, Item, RecipientKind
from tests.peers.ews.mime_in import VIRUS, decoded_mime, read_mime
from tests.peers.ews.properties import Key, extended_property, path_from
from tests.peers.ews.xml import Element, children, find, find_all, is_true, local_name, text_of

_ONLY_AT_CREATION = frozenset({p.FLAGS, p.SUBMIT_TIME, p.DELIVERY_TIME})
"""Later the store maintains them, whatever clients write ([MS-OXCMSG] 2.2.1.6, [MS-OXOMSG] 2.2.3)."""
UNKNOWN_TO_OTHERS = frozenset(
    {p.VERB_STREAM, p.VERB_RESPONSE, p.ICON, p.VERB, p.VERB_TIME, p.TASK_START, p.TASK_DUE, p.TASK_DONE, p.FLAG_DONE}
)
"""Servers that aren't Exchange know fewer properties."""
_CONTENT = frozenset(
    {"item:Body", "item:Subject", "item:MimeContent", "message:ToRecipients", "message:CcRecipients",
     "message:BccRecipients", "message:From", "message:Sender"}
)  # fmt: skip
"""What makes Exchange keep the old version under hold ("Recoverable Items folder": copy on write)."""


def fill_new(item: Item, node: Element, *, is_other: bool) -> None:
    """From CreateItem's t:Message: the MIME first, whatever else is given on top of it. Raises EwsError."""
    mime = find(node, "t:MimeContent")
    if mime is not None:
        read_mime(item, decoded_mime(text_of(mime)))
    for child in children(node):
        name = "t:" + local_name(child)
        if name == "t:MimeContent":
            continue
        if name == "t:ExtendedProperty":
            set_extended(item, child, is_new=True, is_other=is_other)
        elif name == "t:Attachments":
            item.attachments += [attachment_from(entry, item) for entry in children(child)]
        else:
            set_field(item, _settable(name), child)
    item.complete(datetime.now(UTC))


def _settable(element_name: str) -> Field:
    field = BY_ELEMENT.get(element_name)
    if field is None or field.read is None:
        raise EwsError("ErrorInvalidPropertySet", values={"Property": element_name.removeprefix("t:")})
    return field


def set_field(item: Item, field: Field, node: Element) -> None:
    if field.read is None:
        raise EwsError("ErrorInvalidPropertySet", values={"FieldURI": field.uri})
    try:
        field.read(item, node)
    except ValueError as error:
        raise EwsError("ErrorInvalidValueForProperty", values={"FieldURI": field.uri}) from error
    if field.uri == "item:Subject":
        item.split_subject()


def set_extended(item: Item, node: Element, *, is_new: bool, is_other: bool) -> Key | None:
    """Set an ExtendedProperty; gives its key, or None where nothing was changed. Raises EwsError."""
    path, value = extended_property(node)
    key = path.key
    if key == p.FLAGS and is_new:
        flags = int(value)
        item.is_draft, item.is_read = bool(flags & 8), bool(flags & 1)
        item.properties[p.FLAGS] = flags
        return key
    if (key in _ONLY_AT_CREATION and not is_new) or (is_other and key in UNKNOWN_TO_OTHERS):
        return None
    if key == p.tag(0x0E69):
        item.is_read = bool(value)
        return key
    if key in READ_ONLY:
        raise EwsError("ErrorInvalidPropertySet", values={"Property": str(key)})
    item.properties[key] = value
    if key == p.SUBJECT:
        item.split_subject()
    return key


def attachment_from(node: Element, item: Item) -> Attachment:
    """Of a FileAttachment or ItemAttachment with MimeContent. Raises EwsError."""
    kind = local_name(node)
    name = text_of(find(node, "t:Name"))
    if kind == "ItemAttachment":
        mime = find(node, "t:Message/t:MimeContent")
        if mime is None:
            raise EwsError("ErrorInvalidRequest", "An item attachment needs its MimeContent here.")
        content = decoded_mime(text_of(mime))
        return Attachment(new_id("attachment", item.mailbox), name, "message/rfc822", content, is_item=True)
    if kind != "FileAttachment" or not name:
        raise EwsError("ErrorInvalidOperation" if name else "ErrorRequiredPropertyMissing")
    content = p.read_value("Binary", text_of(find(node, "t:Content")))
    if VIRUS in content:
        raise EwsError("ErrorVirusDetected")
    return Attachment(
        new_id("attachment", item.mailbox),
        name,
        text_of(find(node, "t:ContentType")) or "application/octet-stream",
        content,
        text_of(find(node, "t:ContentId")),
        text_of(find(node, "t:ContentLocation")),
        is_inline=is_true(find(node, "t:IsInline")),
    )


# --- updates ----------------------------------------------------------------------------------------------------------


def touched(update: Element) -> str:
    """What stands for the property that an update names, in conflicts. Raises EwsError."""
    path = children(update)[0]
    if local_name(path) == "ExtendedFieldURI":
        return str(path_from(path).key)
    if local_name(path) == "IndexedFieldURI":
        raise EwsError("ErrorInvalidPropertySet")
    return _field_of(path).name


def changes_content(update: Element) -> bool:
    path = children(update)[0]
    return path.get("FieldURI") in _CONTENT or path.get("PropertyTag", "").lower() in ("0x1013", "0x1000", "0x0037")


def _field_of(path: Element) -> Field:
    field = BY_URI.get(path.get("FieldURI"))
    if field is None:
        raise EwsError("ErrorInvalidPropertySet", values={"FieldURI": path.get("FieldURI")})
    return field


def update(item: Item, change: Element, *, is_other: bool) -> None:
    """One SetItemField, AppendToItemField or DeleteItemField ([MS-OXWSCORE] 3.1.4.9). Raises EwsError."""
    path, *holder = children(change)
    kind = local_name(change)
    if kind == "DeleteItemField":
        _delete_field(item, path)
        return
    given = children(holder[0])
    if len(given) != 1:
        raise EwsError("ErrorIncorrectUpdatePropertyCount", "An object within a change description must contain one "
                       "and only one property to modify.")  # fmt: skip
    if local_name(path) == "ExtendedFieldURI":
        _update_extended(item, path, given[0], kind, is_other=is_other)
        return
    field = _field_of(path)
    if "t:" + local_name(given[0]) != field.element:
        raise EwsError("ErrorUpdatePropertyMismatch", "The property to modify doesn't match the change description.")
    _check_settable(item, field)
    if kind == "AppendToItemField":
        _append(item, field, given[0])
    elif field.uri == "item:MimeContent":
        item.is_draft = True
        item.attachments, item.headers = [], []
        read_mime(item, decoded_mime(text_of(given[0])))
    else:
        set_field(item, field, given[0])


def _check_settable(item: Item, field: Field) -> None:
    if field.uri == "item:MimeContent":
        return
    if field.read is None:
        raise EwsError("ErrorInvalidPropertySet", values={"FieldURI": field.uri})
    if field.only_draft and not item.is_draft:
        raise EwsError("ErrorInvalidPropertyUpdateSentMessage", values={"FieldURI": field.uri})


def _update_extended(item: Item, path: Element, given: Element, kind: str, *, is_other: bool) -> None:
    if kind == "AppendToItemField":
        raise EwsError("ErrorInvalidPropertyAppend", "Append action is invalid for property.")
    if local_name(given) != "ExtendedProperty" or path_from(path).key != extended_property(given)[0].key:
        raise EwsError("ErrorUpdatePropertyMismatch", "The property to modify doesn't match the change description.")
    set_extended(item, given, is_new=False, is_other=is_other)


def _append(item: Item, field: Field, node: Element) -> None:
    """Only bodies and recipients can be appended to."""
    kinds: dict[str, RecipientKind] = {
        "message:ToRecipients": "to", "message:CcRecipients": "cc", "message:BccRecipients": "bcc",
        "message:ReplyTo": "reply_to",
    }  # fmt: skip
    if field.uri == "item:Body":
        if (node.get("BodyType") == "HTML") == (item.html is None):
            raise EwsError("ErrorInvalidPropertyAppend", "The body is of the other format.")
        if item.html is None:
            item.text = (item.text or "") + text_of(node)
        else:
            item.html = item.html + text_of(node)
    elif field.uri in kinds:
        added = tuple(participant_from(child) for child in find_all(node, "t:Mailbox"))
        item.recipients[kinds[field.uri]] = item.people(kinds[field.uri]) + added
    else:
        raise EwsError("ErrorInvalidPropertyAppend", "Append action is invalid for property.")


def _delete_field(item: Item, path: Element) -> None:
    if local_name(path) == "ExtendedFieldURI":
        key = path_from(path).key
        if key in READ_ONLY or key in _ONLY_AT_CREATION:
            raise EwsError("ErrorInvalidPropertyDelete")
        item.properties.pop(key, None)
        return
    field = _field_of(path)
    if field.uri == "item:Flag":
        item.properties[p.FLAG_STATUS] = 0
    elif field.key is None or field.read is None or field.key in READ_ONLY:
        raise EwsError("ErrorInvalidPropertyDelete", values={"FieldURI": field.uri})
    else:
        item.properties.pop(field.key, None)
