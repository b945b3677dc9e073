"""From Graph's JSON to items.

https://learn.microsoft.com/graph/api/resources/message
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from mta.adapters.mailbox.graph import properties as known
from mta.adapters.mailbox.graph.properties import Properties, moment
from mta.adapters.mailbox.mapi import has_votes
from mta.model.mailbox_item import (
    FollowUp,
    FoundItem,
    Importance,
    ItemRef,
    Marks,
    Participant,
    Reminder,
    ReplyMarker,
    Sensitivity,
    SentItem,
    StoredAttachment,
)

UNFINISHED = " unfinished"
"""Follows the stamp of an item whose attachments aren't all there yet."""
FOUND_FIELDS = "id,changeKey,internetMessageId,subject,sentDateTime,createdDateTime"
ITEM_FIELDS = (
    "id,changeKey,internetMessageId,subject,isDraft,sentDateTime,receivedDateTime,from,sender,toRecipients,ccRecipients,"
    "bccRecipients,replyTo,body,isRead,categories,flag,importance,isReadReceiptRequested,isDeliveryReceiptRequested"
)
ATTACHMENT_FIELDS = "id,name,contentType,size,isInline,microsoft.graph.fileAttachment/contentId"
SHA256 = "-sha256"
"""What we note of an attachment beside Graph's own fields."""
_PLAIN = 1
_FLAGS = {"flagged": "flagged", "complete": "complete"}
_SENSITIVITIES: tuple[Sensitivity, ...] = ("normal", "personal", "private", "confidential")
"""By PidTagSensitivity (MS-OXCMSG 2.2.1.13)."""


def ref(message: Mapping[str, Any]) -> ItemRef:
    return ItemRef(_text(message, "id"), _text(message, "changeKey"))


def found_item(message: Mapping[str, Any]) -> FoundItem:
    """Of a list that brought FOUND_FIELDS, stamp and submit time."""
    extended = Properties(message)
    return FoundItem(
        ref(message),
        _text(message, "internetMessageId"),
        extended.text(known.STAMP) or "",
        extended.moment(known.SUBMIT_TIME) or moment(message.get("sentDateTime")),
    )


def sent_item(message: Mapping[str, Any], attachments: list[Any]) -> SentItem:
    extended = Properties(message)
    html, text = _body(message.get("body"))
    stored = tuple(stored_attachment(entry) for entry in attachments if isinstance(entry, dict))
    importance = _text(message, "importance").lower()
    return SentItem(
        ref=ref(message),
        message_id=_text(message, "internetMessageId"),
        subject=_text(message, "subject"),
        item_class=extended.text(known.ITEM_CLASS) or "IPM.Note",
        is_draft=message.get("isDraft") is not False,
        size_octets=extended.integer(known.SIZE) or 0,
        sent_at=extended.moment(known.SUBMIT_TIME) or moment(message.get("sentDateTime")),
        delivered_at=extended.moment(known.DELIVERY_TIME) or moment(message.get("receivedDateTime")),
        author=_participant(message.get("from")),
        sender=_participant(message.get("sender")),
        to=_participants(message, "toRecipients"),
        cc=_participants(message, "ccRecipients"),
        bcc=_participants(message, "bccRecipients"),
        reply_to=_participants(message, "replyTo"),
        html=html,
        text=text,
        attachments=stored,
        stamp=extended.text(known.STAMP) or "",
        marks=marks(message),
        importance=cast("Importance", importance) if importance in get_args(Importance) else "normal",
        sensitivity=_sensitivity(extended.integer(known.SENSITIVITY)),
        wants_read_receipt=message.get("isReadReceiptRequested") is True,
        wants_delivery_receipt=message.get("isDeliveryReceiptRequested") is True,
        reminder=Reminder(
            extended.is_true(known.REMINDER_IS_SET),
            extended.moment(known.REMINDER_AT),
            extended.integer(known.REMINDER_MINUTES) or 0,
        ),
        conversation_topic=extended.text(known.CONVERSATION_TOPIC) or "",
        conversation_index=extended.octets(known.CONVERSATION_INDEX),
        reply_marker=ReplyMarker(
            extended.integer(known.ICON), extended.integer(known.LAST_VERB), extended.moment(known.LAST_VERB_AT)
        ),
        in_reply_to=extended.text(known.IN_REPLY_TO) or "",
        references=extended.text(known.REFERENCES) or "",
        has_votes=has_votes(extended.octets(known.VERB_STREAM)),
        is_protected=_is_protected(extended, stored),
    )


def is_plain(message: Mapping[str, Any]) -> bool:
    """Whether its body is plain text (PidTagNativeBody, MS-OXBBODY 2.1.3.1), in whatever form it is shown here."""
    return Properties(message).integer(known.NATIVE_BODY) == _PLAIN


def marks(message: Mapping[str, Any]) -> Marks:
    categories = message.get("categories")
    return Marks(
        is_read=message.get("isRead") is not False,
        categories=tuple(name for name in categories if isinstance(name, str)) if isinstance(categories, list) else (),
        follow_up=_follow_up(message.get("flag")),
    )


def _follow_up(flag: Any) -> FollowUp:
    status = _FLAGS.get(_text(flag, "flagStatus")) if isinstance(flag, dict) else None
    if status is None:
        return FollowUp()
    return FollowUp(
        "complete" if status == "complete" else "flagged",
        _zoned(flag.get("startDateTime")),
        _zoned(flag.get("dueDateTime")),
        _zoned(flag.get("completedDateTime")),
    )


def _zoned(value: Any) -> Any:
    """A dateTimeTimeZone; we ask for no other zone than UTC."""
    return moment(value.get("dateTime")) if isinstance(value, dict) else None


def _body(body: Any) -> tuple[str | None, str | None]:
    if not isinstance(body, dict) or not isinstance(body.get("content"), str):
        return None, None
    return (None, body["content"]) if _text(body, "contentType").lower() == "text" else (body["content"], None)


def _participants(message: Mapping[str, Any], name: str) -> tuple[Participant, ...]:
    listed = message.get(name)
    people = (_participant(entry) for entry in listed) if isinstance(listed, list) else ()
    return tuple(person for person in people if person is not None)


def _participant(value: Any) -> Participant | None:
    address = value.get("emailAddress") if isinstance(value, dict) else None
    if not isinstance(address, dict):
        return None
    person = Participant(_text(address, "address"), _text(address, "name"))
    return person if person.address or person.name else None


def is_file(entry: Mapping[str, Any]) -> bool:
    """No other item, and no link to a file elsewhere."""
    return _text(entry, "@odata.type").endswith("fileAttachment") and bool(_text(entry, "id"))


def stored_attachment(entry: Mapping[str, Any]) -> StoredAttachment:
    size = entry.get("size")
    return StoredAttachment(
        name=_text(entry, "name"),
        content_type=_text(entry, "contentType"),
        size_octets=size if isinstance(size, int) else 0,
        content_id=_text(entry, "contentId").removeprefix("<").removesuffix(">"),
        is_inline=entry.get("isInline") is True,
        is_item=_text(entry, "@odata.type").endswith("itemAttachment"),
        sha256=_text(entry, SHA256),
    )


def _is_protected(extended: Properties, stored: tuple[StoredAttachment, ...]) -> bool:
    """Rights-protected (MS-OXORMMS 2.2.1): its content is an encrypted attachment."""
    return extended.text(known.CONTENT_CLASS) == "rpmsg.message" or any(
        item.content_type.lower() == "application/x-microsoft-rpmsg-message" for item in stored
    )


def _sensitivity(value: int | None) -> Sensitivity:
    return _SENSITIVITIES[value] if value is not None and 0 <= value < len(_SENSITIVITIES) else "normal"


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
