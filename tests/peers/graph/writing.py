"""Items → JSON of answers, with $select and $expand (learn.microsoft.com/graph/query-parameters)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from tests.peers.graph.answers import GraphError
from tests.peers.graph.bodies import html_of_text, safe_html
from tests.peers.graph.properties import (
    DELIVERY_RECEIPT,
    DELIVERY_TIME,
    FLAG_COMPLETED,
    FLAG_STATUS,
    IMPORTANCE,
    INDEX,
    MESSAGE_ID,
    NATIVE_BODY,
    READ_RECEIPT,
    SUBJECT,
    SUBMIT_TIME,
    TASK_DUE,
    TASK_START,
    TOPIC,
    PropertyId,
    Value,
    property_id,
    text_of,
    written_moment,
)
from tests.peers.graph.reading import FLAG_STATUSES, IMPORTANCES
from tests.peers.graph.store import Attachment, Item, Person

FIELDS = (
    "id", "createdDateTime", "lastModifiedDateTime", "changeKey", "categories", "receivedDateTime", "sentDateTime",
    "hasAttachments", "internetMessageId", "subject", "bodyPreview", "importance", "parentFolderId", "conversationId",
    "conversationIndex", "isDeliveryReceiptRequested", "isReadReceiptRequested", "isRead", "isDraft", "webLink",
    "inferenceClassification", "body", "sender", "from", "toRecipients", "ccRecipients", "bccRecipients", "replyTo",
    "flag",
)  # fmt: skip
ON_REQUEST = ("uniqueBody", "internetMessageHeaders")
"""Shown only where $select names them."""
ATTACHMENT_FIELDS = ("id", "lastModifiedDateTime", "name", "contentType", "size", "isInline")
FILE_FIELDS = ("contentId", "contentLocation", "contentBytes")


@dataclass(frozen=True, slots=True)
class View:
    """How a request wants items shown."""

    url: str
    """Of the mailbox: `https://…/v1.0/users/ID`."""
    select: tuple[str, ...] = ()
    properties: tuple[PropertyId, ...] = ()
    attachments: tuple[str, ...] | None = None
    """Fields of attachments; None without $expand."""
    immutable_ids: bool = False
    body_type: str = "html"
    unsafe_html: bool = False
    applied: list[str] = field(default_factory=list)
    """Of the preferences."""


def view_of(query: dict[str, str], headers: dict[str, str], url: str) -> View:
    """Read $select, $expand and Prefer. Raises GraphError."""
    preferences = [part.strip() for part in headers.get("prefer", "").split(",") if part.strip()]
    known = {'IdType="ImmutableId"', "outlook.allow-unsafe-html"}
    known |= {f'outlook.body-content-type="{kind}"' for kind in ("text", "html")}
    applied = [one for one in preferences if one in known]
    properties, attachments = _expanded(query.get("$expand", ""))
    return View(
        url,
        _selected(query.get("$select", ""), (*FIELDS, *ON_REQUEST), "microsoft.graph.message"),
        properties,
        attachments,
        'IdType="ImmutableId"' in applied,
        "text" if 'outlook.body-content-type="text"' in applied else "html",
        "outlook.allow-unsafe-html" in applied,
        applied,
    )


def _selected(text: str, known: tuple[str, ...], kind: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in known:
            message = (
                f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type '{kind}'."
            )
            raise GraphError(400, "RequestBroker--ParseUri", message)
    return names


def _expanded(text: str) -> tuple[tuple[PropertyId, ...], tuple[str, ...] | None]:
    properties: list[PropertyId] = []
    attachments: tuple[str, ...] | None = None
    for part in _split(text):
        name, _, options = part.partition("(")
        options = options.removesuffix(")")
        if name == "singleValueExtendedProperties":
            properties += _wanted(options)
        elif name == "attachments":
            attachments = attachment_fields(options.removeprefix("$select=") if options else "")
        else:
            text = f"Parsing OData Select and Expand failed: Could not find a property named '{name}'."
            raise GraphError(400, "RequestBroker--ParseUri", text)
    return tuple(properties), attachments


def _split(text: str) -> list[str]:
    """At commas that stand in no parentheses."""
    return [part.strip() for part in re.findall(r"(?:[^,(]|\((?:[^()']|'(?:[^']|'')*')*\))+", text) if part.strip()]


def _wanted(options: str) -> list[PropertyId]:
    """`$filter=id eq 'A' or id eq 'B'`; without a filter nothing says which ones."""
    clause = options.removeprefix("$filter=")
    found = re.findall(r"id eq '((?:[^']|'')*)'", clause, re.IGNORECASE)
    rest = re.sub(r"id eq '(?:[^']|'')*'", "@", clause, flags=re.IGNORECASE)
    if not options.startswith("$filter=") or not re.fullmatch(r"@(?: or @)*", rest):
        raise GraphError(400, "ErrorInvalidUrlQuery", "Extended properties need $filter=id eq '…' in $expand.")
    return [property_id(text.replace("''", "'")) for text in found]


def attachment_fields(select: str) -> tuple[str, ...]:
    """Those of derived types go by the name of their type: `microsoft.graph.fileAttachment/contentId`."""
    derived = tuple(f"microsoft.graph.fileAttachment/{name}" for name in FILE_FIELDS)
    return _selected(select, (*ATTACHMENT_FIELDS, *derived), "microsoft.graph.attachment")


def message_json(item: Item, view: View) -> dict[str, Any]:
    """The whole, or what was selected; id and etag always."""
    shown: dict[str, Any] = {"@odata.etag": f'W/"{item.change_key}"'}
    for name in dict.fromkeys(("id", *(view.select or FIELDS))):
        shown[name] = _field(item, name, view)
    if view.properties:
        found = [(one, property_of(item, one.key)) for one in view.properties]
        values = [{"id": one.written, "value": text_of(value)} for one, value in found if value is not None]
        if values:  # an item with none of them has no such member
            shown["singleValueExtendedProperties"] = values
    if view.attachments is not None:
        shown["attachments"] = [attachment_json(one, view.attachments) for one in item.attachments]
    return shown


def property_of(item: Item, key: str) -> Value | None:
    if key == NATIVE_BODY:
        return 3 if item.body_type == "html" else 1
    return item.properties.get(key)


def _field(item: Item, name: str, view: View) -> Any:
    match name:
        case "id":
            return item.immutable_id if view.immutable_ids else item.id
        case "from" | "sender":
            found = item.author if name == "from" else item.sender
            return None if found is None else _person(found)
        case "body" | "uniqueBody":
            return {"contentType": view.body_type, "content": _content(item, view)}
        case "parentFolderId":
            return item.folder.id
        case "webLink":
            return f"https://outlook.office365.com/owa/?ItemID={item.id}&exvsurl=1&viewmodel=ReadMessageItem"
        case _:
            return _SHOWN[name](item)


def _content(item: Item, view: View) -> str:
    if view.body_type == "text":
        return item.text
    body = item.body if item.body_type == "html" else html_of_text(item.body)
    return body if view.unsafe_html else safe_html(body)


def _person(one: Person) -> dict[str, Any]:
    return {"emailAddress": {"name": one.name, "address": one.address}}


def _flag(item: Item) -> dict[str, Any]:
    status = item.properties.get(FLAG_STATUS, 0)
    shown: dict[str, Any] = {"flagStatus": next(name for name, number in FLAG_STATUSES.items() if number == status)}
    for name, key in (("startDateTime", TASK_START), ("dueDateTime", TASK_DUE), ("completedDateTime", FLAG_COMPLETED)):
        value = item.properties.get(key)
        if isinstance(value, datetime):
            written = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000")
            shown[name] = {"dateTime": written, "timeZone": "UTC"}
    return shown


def _moment(item: Item, key: str) -> str:
    value = item.properties[key]
    assert isinstance(value, datetime)
    return written_moment(value)


def _importance(item: Item) -> str:
    return next(name for name, number in IMPORTANCES.items() if number == item.properties.get(IMPORTANCE, 1))


def _conversation(item: Item) -> str:
    index = item.properties.get(INDEX)
    seed = index[6:22] if isinstance(index, bytes) and len(index) >= 22 else str(item.properties.get(TOPIC)).encode()
    return "AAQkA" + base64.urlsafe_b64encode(sha256(seed).digest()[:20]).decode()


_SHOWN: dict[str, Callable[[Item], Any]] = {
    "createdDateTime": lambda item: written_moment(item.created_at),
    "lastModifiedDateTime": lambda item: written_moment(item.modified_at),
    "changeKey": lambda item: item.change_key,
    "categories": lambda item: list(item.categories),
    "receivedDateTime": lambda item: _moment(item, DELIVERY_TIME),
    "sentDateTime": lambda item: _moment(item, SUBMIT_TIME),
    "hasAttachments": lambda item: any(not one.is_inline for one in item.attachments),
    "internetMessageId": lambda item: item.properties[MESSAGE_ID],
    "subject": lambda item: item.properties[SUBJECT],
    "bodyPreview": lambda item: item.text[:255],
    "importance": _importance,
    "conversationId": _conversation,
    "conversationIndex": lambda item: text_of(item.properties[INDEX]),
    "isDeliveryReceiptRequested": lambda item: bool(item.properties.get(DELIVERY_RECEIPT, False)),
    "isReadReceiptRequested": lambda item: bool(item.properties.get(READ_RECEIPT, False)),
    "isRead": lambda item: item.is_read,
    "isDraft": lambda item: item.is_draft,
    "inferenceClassification": lambda item: item.inference,
    "toRecipients": lambda item: [_person(one) for one in item.to],
    "ccRecipients": lambda item: [_person(one) for one in item.cc],
    "bccRecipients": lambda item: [_person(one) for one in item.bcc],
    "replyTo": lambda item: [_person(one) for one in item.reply_to],
    "flag": _flag,
    "internetMessageHeaders": lambda item: [{"name": name, "value": value} for name, value in item.headers],
}


def attachment_json(one: Attachment, select: tuple[str, ...] = ()) -> dict[str, Any]:
    """Without $select a file comes with its content."""
    file_prefix = "microsoft.graph.fileAttachment/"
    wanted = select or (*ATTACHMENT_FIELDS, *(f"{file_prefix}{name}" for name in FILE_FIELDS))
    kind = "fileAttachment" if one.kind == "file" else "itemAttachment"
    shown: dict[str, Any] = {"@odata.type": f"#microsoft.graph.{kind}", "@odata.mediaContentType": one.content_type}
    values = {
        "id": one.id,
        "lastModifiedDateTime": written_moment(one.changed_at),
        "name": one.name,
        "contentType": one.content_type if one.kind == "file" else None,
        "size": one.size,
        "isInline": one.is_inline,
        "contentId": one.content_id or None,
        "contentLocation": None,
        "contentBytes": base64.b64encode(one.data).decode(),
    }
    for name in dict.fromkeys(("id", *wanted)):
        if not name.startswith(file_prefix):
            shown[name] = values[name]
        elif one.kind == "file":
            shown[name.removeprefix(file_prefix)] = values[name.removeprefix(file_prefix)]
    return shown
