"""JSON of requests → items: as strict as the OData reader, and as the rules for drafts and sent items.

learn.microsoft.com/graph/api: message-update (what is updatable only while isDraft), user-post-messages,
message-post-attachments, singlevaluelegacyextendedproperty-post-singlevalueextendedproperties; resources/message.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from tests.peers.graph.answers import GraphError, bad_body
from tests.peers.graph.bodies import stored_html
from tests.peers.graph.mime import mime_of
from tests.peers.graph.properties import (
    DELIVERY_RECEIPT,
    FLAG_COMPLETED,
    FLAG_STATUS,
    IMPORTANCE,
    MESSAGE_FLAGS,
    MESSAGE_ID,
    READ,
    READ_RECEIPT,
    SUBJECT,
    TASK_DUE,
    TASK_START,
    UNSENT,
    property_id,
    value_of,
)
from tests.peers.graph.store import Attachment, Item, Mailbox, Person

SMALLEST_SESSION = 3 * 1024 * 1024
"""Files as large as that need an upload session (graph/api/attachment-createuploadsession)."""
IMPORTANCES = {"low": 0, "normal": 1, "high": 2}
FLAG_STATUSES = {"notFlagged": 0, "complete": 1, "flagged": 2}
_ANY_TIME = {
    "categories", "flag", "importance", "inferenceClassification", "isDeliveryReceiptRequested", "isRead",
    "isReadReceiptRequested", "multiValueExtendedProperties", "singleValueExtendedProperties",
}  # fmt: skip
_DRAFTS_ONLY = {
    "bccRecipients", "body", "ccRecipients", "from", "internetMessageId", "replyTo", "sender", "subject",
    "toRecipients",
}  # fmt: skip
_AT_CREATION = {"attachments", "internetMessageHeaders"}
_COMPUTED = {
    "bodyPreview", "changeKey", "conversationId", "conversationIndex", "createdDateTime", "hasAttachments", "id",
    "isDraft", "lastModifiedDateTime", "parentFolderId", "receivedDateTime", "sentDateTime", "uniqueBody", "webLink",
}  # fmt: skip
"""Read-only: a request may name them, and nothing comes of it; so nothing but 0x0E07 makes a sent item."""


def make(item: Item, message: object) -> None:
    """Fill a new item. Raises GraphError."""
    given = entity(message, "microsoft.graph.message", _ANY_TIME | _DRAFTS_ONLY | _AT_CREATION | _COMPUTED)
    item.properties[MESSAGE_FLAGS] = UNSENT | READ
    _read_properties(item, given.get("singleValueExtendedProperties"), at_creation=True)
    _set_fields(item, given)
    for name, value in _headers(given.get("internetMessageHeaders", [])):
        item.headers.append((name, value))
    for attachment in array(given.get("attachments", []), "attachments"):
        item.attachments.append(attachment_of(attachment))


def change(item: Item, message: object, *, rewrites_sent: bool) -> None:
    """Change an item as PATCH says; all or nothing. Raises GraphError."""
    given = entity(message, "microsoft.graph.message", _ANY_TIME | _DRAFTS_ONLY | _AT_CREATION | _COMPUTED)
    refused = [name for name in given if name in _AT_CREATION]
    allowed = {"body"} if rewrites_sent else set()
    if not item.is_draft:
        refused += [name for name in given if name in _DRAFTS_ONLY - allowed]
    if refused:
        text = f"Update operation is invalid for property of a sent message: {', '.join(refused)}."
        raise GraphError(400, "ErrorInvalidPropertyUpdateSentMessage", text)
    trial = Item(item.mailbox, item.folder)  # what can't be read must not be half done
    _read_properties(trial, given.get("singleValueExtendedProperties"), at_creation=False)
    _set_fields(trial, given)
    _read_properties(item, given.get("singleValueExtendedProperties"), at_creation=False)
    _set_fields(item, given)


def attachment_of(value: object) -> Attachment:
    """A file or an item from JSON. Raises GraphError."""
    kind = value.get("@odata.type") if isinstance(value, dict) else None
    if kind == "#microsoft.graph.fileAttachment":
        allowed = {"contentBytes", "contentId", "contentLocation", "contentType", "isInline", "name", "size", "id"}
        given = entity(value, "microsoft.graph.fileAttachment", allowed)
        data = _octets(given.get("contentBytes"), "contentBytes")
        if len(data) >= SMALLEST_SESSION:
            text = "The size of the attachment is 3 MB or more: use an upload session."
            raise GraphError(413, "ErrorAttachmentSizeLimitExceeded", text)
        return Attachment(
            id=f"{uuid4().hex}=",
            kind="file",
            name=_needed(given, "name"),
            content_type=_text(given.get("contentType") or "application/octet-stream", "contentType"),
            data=data,
            content_id=_text(given.get("contentId") or "", "contentId"),
            is_inline=_flag(given.get("isInline", False), "isInline"),
        )
    if kind == "#microsoft.graph.itemAttachment":
        given = entity(value, "microsoft.graph.itemAttachment", {"name", "item", "isInline", "contentType"})
        message = given.get("item")
        if not isinstance(message, dict) or message.get("@odata.type") != "#microsoft.graph.message":
            raise bad_body("An itemAttachment needs an item with '@odata.type' '#microsoft.graph.message'.")
        data = _mime_of(message)
        return Attachment(f"{uuid4().hex}=", "item", _needed(given, "name"), "message/rfc822", data)
    raise bad_body("The abstract type 'microsoft.graph.attachment' needs '@odata.type' of a type that can be made.")


def _mime_of(message: dict[str, Any]) -> bytes:
    mailbox = Mailbox("nobody@example.com", "Nobody")
    item = Item(mailbox, mailbox.folders["drafts"])
    make(item, message)
    return mime_of(mailbox.add(item))


def entity(value: object, kind: str, allowed: set[str]) -> dict[str, Any]:
    """An object of a type, without annotations. Raises GraphError for a property that the type doesn't have."""
    if not isinstance(value, dict):
        raise bad_body(f"A value of type '{kind}' was expected.")
    given = {name: field for name, field in value.items() if not name.startswith("@odata.")}
    for name in given:
        if name not in allowed:
            text = f"The property '{name}' does not exist on type '{kind}'. Make sure to only use property names that "
            raise bad_body(text + "are defined by the type.")
    return given


def array(value: object, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise bad_body(f"A 'StartArray' was expected for property '{name}'.")
    return value


def _read_properties(item: Item, value: object, *, at_creation: bool) -> None:
    for entry in array([] if value is None else value, "singleValueExtendedProperties"):
        given = entity(entry, "microsoft.graph.singleValueLegacyExtendedProperty", {"id", "value"})
        wanted = property_id(given.get("id"))
        read = value_of(wanted, given.get("value"))
        if wanted.key == MESSAGE_FLAGS and not at_creation:
            continue  # [MS-OXCMSG] 2.2.1.6: read-only once the message is saved
        item.properties[wanted.key] = read


def _set_fields(item: Item, given: dict[str, Any]) -> None:
    for name, field in given.items():
        if name in _SETTERS:
            _SETTERS[name](item, field)


def _set_subject(item: Item, value: object) -> None:
    item.properties[SUBJECT] = _text(value or "", "subject")


def _set_body(item: Item, value: object) -> None:
    given = entity(value, "microsoft.graph.itemBody", {"contentType", "content"})
    kind = str(given.get("contentType", "text")).lower()
    if kind not in ("html", "text"):
        raise bad_body(f"Cannot convert the literal '{kind}' to the expected type 'microsoft.graph.bodyType'.")
    content = _text(given.get("content") or "", "content")
    item.body_type = "html" if kind == "html" else "text"
    item.body = stored_html(content) if kind == "html" else content


def person_of(value: object) -> Person:
    given = entity(value, "microsoft.graph.recipient", {"emailAddress"})
    address = entity(given.get("emailAddress"), "microsoft.graph.emailAddress", {"address", "name"})
    written = _text(address.get("address") or "", "address")
    if not written:
        raise GraphError(400, "ErrorInvalidRecipients", "At least one recipient is not valid.")
    return Person(_text(address.get("name") or written, "name"), written)


def _people(value: object) -> list[Person]:
    return [person_of(one) for one in array(value, "recipients")]


def _set_from(item: Item, value: object) -> None:
    item.author = person_of(value)


def _set_sender(item: Item, value: object) -> None:
    item.sender = person_of(value)


def _set_flag(item: Item, value: object) -> None:
    """graph/api/resources/followupflag: a due date needs a start date."""
    allowed = {"flagStatus", "startDateTime", "dueDateTime", "completedDateTime"}
    given = entity(value, "microsoft.graph.followupFlag", allowed)
    status = given.get("flagStatus", "notFlagged")
    if status not in FLAG_STATUSES:
        raise bad_body(f"Cannot convert the literal '{status}' to the expected type 'followupFlagStatus'.")
    moments = {name: _zoned(given[name]) for name in given if name.endswith("DateTime") and given[name] is not None}
    if "dueDateTime" in moments and "startDateTime" not in moments:
        raise GraphError(400, "ErrorInvalidArgument", "The due date of a flag needs a start date.")
    for name, key in (("startDateTime", TASK_START), ("dueDateTime", TASK_DUE), ("completedDateTime", FLAG_COMPLETED)):
        item.properties.pop(key, None)
        if name in moments:
            item.properties[key] = moments[name]
    item.properties[FLAG_STATUS] = FLAG_STATUSES[status]


def _zoned(value: object) -> datetime:
    """A dateTimeTimeZone; of zones UTC, and IANA's names."""
    given = entity(value, "microsoft.graph.dateTimeTimeZone", {"dateTime", "timeZone"})
    zone = given.get("timeZone")
    written = str(given.get("dateTime"))[:26]  # Graph writes seven decimal places
    try:
        read = datetime.fromisoformat(written.removesuffix("Z"))
        return read.replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(str(zone))).astimezone(UTC)
    except (ValueError, KeyError) as error:
        raise GraphError(400, "ErrorInvalidTimeZone", "A date and time with its zone was expected.") from error


def _set_importance(item: Item, value: object) -> None:
    if not isinstance(value, str) or value.lower() not in IMPORTANCES:
        raise bad_body(f"Cannot convert the literal '{value}' to the expected type 'microsoft.graph.importance'.")
    item.properties[IMPORTANCE] = IMPORTANCES[value.lower()]


def _set_inference(item: Item, value: object) -> None:
    if value not in ("focused", "other"):
        raise bad_body(f"Cannot convert the literal '{value}' to 'inferenceClassificationType'.")
    item.inference = str(value)


def _set_categories(item: Item, value: object) -> None:
    item.categories = [_text(one, "categories") for one in array(value, "categories")]


def _set_message_id(item: Item, value: object) -> None:
    item.properties[MESSAGE_ID] = _text(value, "internetMessageId")


def _headers(value: object) -> list[tuple[str, str]]:
    """graph/api/resources/internetmessageheader: at creation only, and only names that begin with x-."""
    found = []
    for entry in array(value, "internetMessageHeaders"):
        given = entity(entry, "microsoft.graph.internetMessageHeader", {"name", "value"})
        name = _text(given.get("name"), "name")
        if not name.lower().startswith("x-"):
            text = f"The internet message header name '{name}' should start with 'x-' or 'X-'."
            raise GraphError(400, "InvalidInternetMessageHeader", text)
        found.append((name, _text(given.get("value"), "value")))
    return found


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise bad_body(f"Cannot convert the value of property '{name}' to the expected type 'Edm.String'.")
    return value


def _needed(given: dict[str, Any], name: str) -> str:
    if not given.get(name):
        raise GraphError(400, "ErrorInvalidRequest", f"Required property '{name}' is missing.")
    return _text(given[name], name)


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise bad_body(f"Cannot convert the value of property '{name}' to the expected type 'Edm.Boolean'.")
    return value


def _octets(value: object, name: str) -> bytes:
    try:
        return base64.b64decode(_text(value, name), validate=True)
    except binascii.Error as error:
        raise bad_body(f"Cannot convert the value of property '{name}' to the expected type 'Edm.Binary'.") from error


def _store(name: str, set_value: Callable[[Item, bool], None]) -> Callable[[Item, object], None]:
    return lambda item, value: set_value(item, _flag(value, name))


def _set_property(key: str) -> Callable[[Item, bool], None]:
    def set_value(item: Item, value: bool) -> None:
        item.properties[key] = value

    return set_value


def _set_people(attribute: str) -> Callable[[Item, object], None]:
    return lambda item, value: setattr(item, attribute, _people(value))


_SETTERS: dict[str, Callable[[Item, object], None]] = {
    "subject": _set_subject,
    "body": _set_body,
    "from": _set_from,
    "sender": _set_sender,
    "toRecipients": _set_people("to"),
    "ccRecipients": _set_people("cc"),
    "bccRecipients": _set_people("bcc"),
    "replyTo": _set_people("reply_to"),
    "categories": _set_categories,
    "flag": _set_flag,
    "importance": _set_importance,
    "inferenceClassification": _set_inference,
    "internetMessageId": _set_message_id,
    "isRead": _store("isRead", lambda item, value: item.set_read(value)),
    "isDeliveryReceiptRequested": _store("isDeliveryReceiptRequested", _set_property(DELIVERY_RECEIPT)),
    "isReadReceiptRequested": _store("isReadReceiptRequested", _set_property(READ_RECEIPT)),
}
