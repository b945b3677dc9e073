"""From items to Graph's JSON.

Graph makes drafts of MIME, so an item is made from fields, and from properties that have none. It is a sent item only
if PidTagMessageFlags 0x0E07 says so when it is created; nothing changes that later.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from mta.adapters.mailbox.graph import properties as known
from mta.adapters.mailbox.graph.properties import property_of
from mta.model.mailbox_item import FollowUp, Marks, NewAttachment, NewItem, Participant, SentItem

_SENT_AND_READ = 1
"""MSGFLAG_READ without MSGFLAG_UNSENT (MS-OXCMSG 2.2.1.6)."""
_SENSITIVITIES = {"normal": 0, "personal": 1, "private": 2, "confidential": 3}


def encoded(value: dict[str, Any]) -> bytes:
    """A request's body; a lone surrogate, which JSON in UTF-8 can't carry, is replaced."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def new_message(item: NewItem, stamp: str) -> dict[str, Any]:
    """The whole item without its attachments."""
    original = item.original
    message: dict[str, Any] = {
        "subject": item.subject,
        "body": _body(item),
        "internetMessageId": item.message_id,
        "toRecipients": _recipients(original.to),
        "ccRecipients": _recipients(original.cc),
        "bccRecipients": _recipients(original.bcc),
        "replyTo": _recipients(original.reply_to),
        "importance": original.importance,
        "isReadReceiptRequested": original.wants_read_receipt,
        "isDeliveryReceiptRequested": original.wants_delivery_receipt,
        **marked(item.marks),
        "singleValueExtendedProperties": [
            property_of(name, value) for name, value in _extended(item, stamp) if value is not None
        ],
    }
    if original.author is not None:
        message["from"] = _recipient(original.author)
    if original.sender is not None:
        message["sender"] = _recipient(original.sender)
    return message


def stamped(stamp: str) -> dict[str, Any]:
    """The change that sets the stamp."""
    return {"singleValueExtendedProperties": [property_of(known.STAMP, stamp)]}


def marked(marks: Marks) -> dict[str, Any]:
    """The change that sets read, categories and flag."""
    return {"isRead": marks.is_read, "categories": list(marks.categories), "flag": _flag(marks.follow_up)}


def new_attachment(attachment: NewAttachment) -> dict[str, Any]:
    """A fileAttachment; so is an attached message, for an itemAttachment can't be made from MIME."""
    return {
        "@odata.type": "#microsoft.graph.fileAttachment",
        **_described(attachment),
        "contentBytes": base64.b64encode(attachment.data).decode(),
    }


def upload(attachment: NewAttachment) -> dict[str, Any]:
    """What opens an upload session."""
    described = {**_described(attachment), "attachmentType": "file", "size": len(attachment.data)}
    return {"AttachmentItem": described}


def _described(attachment: NewAttachment) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": attachment.name,
        "contentType": attachment.content_type,
        "isInline": attachment.is_inline,
    }
    if attachment.content_id:
        described["contentId"] = attachment.content_id
    return described


def _body(item: NewItem) -> dict[str, str]:
    if item.html is not None:
        return {"contentType": "html", "content": item.html}
    return {"contentType": "text", "content": item.text or ""}


def _extended(item: NewItem, stamp: str) -> Iterator[tuple[str, object]]:
    original = item.original
    yield known.STAMP, stamp
    yield known.MESSAGE_FLAGS, _SENT_AND_READ
    yield known.SUBMIT_TIME, original.sent_at
    yield known.DELIVERY_TIME, original.delivered_at or original.sent_at
    yield known.IN_REPLY_TO, item.in_reply_to or None
    yield known.REFERENCES, item.references or None
    yield known.CONVERSATION_TOPIC, original.conversation_topic or None
    yield known.CONVERSATION_INDEX, original.conversation_index or None
    yield known.SENSITIVITY, _SENSITIVITIES[original.sensitivity] or None
    yield known.ICON, original.reply_marker.icon
    yield known.LAST_VERB, original.reply_marker.verb
    yield known.LAST_VERB_AT, original.reply_marker.at
    yield from _reminder(original)


def _reminder(original: SentItem) -> Iterator[tuple[str, object]]:
    if original.reminder.is_set:
        yield known.REMINDER_IS_SET, True
        yield known.REMINDER_AT, original.reminder.due_at
        yield known.REMINDER_MINUTES, original.reminder.minutes_before


def _flag(follow_up: FollowUp) -> dict[str, Any]:
    if follow_up.status == "none":
        return {"flagStatus": "notFlagged"}
    flag: dict[str, Any] = {"flagStatus": follow_up.status}
    if follow_up.due_at is not None:
        # A due date needs a start date (https://learn.microsoft.com/graph/api/resources/followupflag).
        flag["startDateTime"] = _zoned(follow_up.start_at or follow_up.due_at)
        flag["dueDateTime"] = _zoned(follow_up.due_at)
    if follow_up.status == "complete" and follow_up.completed_at is not None:
        flag["completedDateTime"] = _zoned(follow_up.completed_at)
    return flag


def _zoned(value: datetime) -> dict[str, str]:
    return {"dateTime": value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds"), "timeZone": "UTC"}


def _recipients(people: Iterable[Participant]) -> list[dict[str, Any]]:
    return [_recipient(person) for person in people]


def _recipient(person: Participant) -> dict[str, Any]:
    address = {"address": person.address, "name": person.name}
    return {"emailAddress": {name: value for name, value in address.items() if value}}
