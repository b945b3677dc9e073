"""Items as EWS shows them; a server that knows less, or writes it otherwise, leaves fields empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

from mta.adapters.mailbox import mapi
from mta.adapters.mailbox.ews import names
from mta.adapters.mailbox.ews.names import Element, Property, tag
from mta.adapters.mailbox.ews.values import integer_of, octets_of, time_of, truth_of
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

_IMPORTANCES: Mapping[str, Importance] = MappingProxyType({"Low": "low", "High": "high"})
_SENSITIVITIES: Mapping[str, Sensitivity] = MappingProxyType({
    "Personal": "personal", "Private": "private", "Confidential": "confidential",
})  # fmt: skip

_SHOWN_WHOLE = 250
"""Characters of a property that FindItem doesn't cut off."""

FOUND = (
    *(names.field(name) for name in ("item:Subject", "item:DateTimeSent", "message:InternetMessageId")),
    *(known.uri() for known in (names.STAMP, names.SUBMIT_TIME)),
)
"""What `found_item` needs of an item."""
WHOLE = (
    *(
        names.field(name)
        for name in (
            "item:ItemClass", "item:Subject", "item:Sensitivity", "item:Body", "item:Attachments",
            "item:DateTimeReceived", "item:Size", "item:Categories", "item:Importance", "item:InReplyTo",
            "item:IsDraft", "item:DateTimeSent", "item:ReminderDueBy", "item:ReminderIsSet",
            "item:ReminderMinutesBeforeStart", "item:Flag", "message:Sender",
            "message:ToRecipients", "message:CcRecipients", "message:BccRecipients", "message:IsReadReceiptRequested",
            "message:IsDeliveryReceiptRequested", "message:ConversationIndex", "message:ConversationTopic",
            "message:From", "message:InternetMessageId", "message:IsRead", "message:References", "message:ReplyTo",
        )
    ),
    *(
        known.uri()
        for known in (
            names.STAMP, names.SUBMIT_TIME, names.DELIVERY_TIME, names.CONVERSATION_TOPIC, names.CONVERSATION_INDEX,
            names.ICON_INDEX, names.LAST_VERB, names.LAST_VERB_TIME, names.FLAG_STATUS, names.FLAG_COMPLETED,
            names.TASK_START, names.TASK_DUE, names.VERB_STREAM, names.CONTENT_CLASS,
        )
    ),
)  # fmt: skip
"""What `sent_item` needs of an item, with its MIME."""


def items_in(message: Element) -> Iterator[Element]:
    """The items of a response message: GetItem's and CreateItem's, or FindItem's page."""
    for holder in message.iter(tag("m:Items"), tag("t:Items")):
        yield from holder
        return


def ref_of(item: Element) -> ItemRef | None:
    found = item.find(tag("t:ItemId"))
    if found is None or not found.get("Id"):
        return None
    return ItemRef(found.get("Id"), found.get("ChangeKey", ""))


def found_item(item: Element) -> FoundItem | None:
    ref = ref_of(item)
    if ref is None:
        return None
    values = extended(item)
    return FoundItem(
        ref,
        item.findtext(tag("t:InternetMessageId"), "").strip(),
        values.get(names.STAMP.key, ""),
        time_of(values.get(names.SUBMIT_TIME.key)) or time_of(item.findtext(tag("t:DateTimeSent"))),
    )


def is_shown(shown: str, whole: str) -> bool:
    """Whether FindItem shows this text: of a long one the beginning ("FindItem operation"), of some none at all."""
    return not shown or shown == whole or (len(shown) >= _SHOWN_WHOLE and whole.startswith(shown))


def is_subject(item: Element, subject: str) -> bool:
    """Whether a found item has this very subject."""
    return is_shown(item.findtext(tag("t:Subject"), ""), subject)


def sent_item(item: Element, ref: ItemRef) -> SentItem:
    """The whole item; `ref` is what it was asked for by, for servers that don't repeat it."""
    values = extended(item)

    def said(name: str) -> str:
        text: str = item.findtext(tag(name), "")
        return text

    html, plain = _bodies(item)
    return SentItem(
        ref_of(item) or ref,
        message_id=said("t:InternetMessageId").strip(),
        subject=said("t:Subject"),
        item_class=said("t:ItemClass") or "IPM.Note",
        is_draft=truth_of(said("t:IsDraft")),
        size_octets=integer_of(said("t:Size")) or 0,
        sent_at=time_of(values.get(names.SUBMIT_TIME.key)) or time_of(said("t:DateTimeSent")),
        delivered_at=time_of(values.get(names.DELIVERY_TIME.key)) or time_of(said("t:DateTimeReceived")),
        author=next(_people(item, "t:From"), None),
        sender=next(_people(item, "t:Sender"), None),
        to=tuple(_people(item, "t:ToRecipients")),
        cc=tuple(_people(item, "t:CcRecipients")),
        bcc=tuple(_people(item, "t:BccRecipients")),
        reply_to=tuple(_people(item, "t:ReplyTo")),
        html=html,
        text=plain,
        attachments=tuple(_attachments(item)),
        mime=octets_of(said("t:MimeContent")),
        stamp=values.get(names.STAMP.key, ""),
        marks=_marks(item, values),
        importance=_IMPORTANCES.get(said("t:Importance"), "normal"),
        sensitivity=_SENSITIVITIES.get(said("t:Sensitivity"), "normal"),
        wants_read_receipt=truth_of(said("t:IsReadReceiptRequested")),
        wants_delivery_receipt=truth_of(said("t:IsDeliveryReceiptRequested")),
        reminder=Reminder(
            truth_of(said("t:ReminderIsSet")), time_of(said("t:ReminderDueBy")),
            max(0, integer_of(said("t:ReminderMinutesBeforeStart")) or 0),
        ),
        conversation_topic=values.get(names.CONVERSATION_TOPIC.key) or said("t:ConversationTopic"),
        conversation_index=octets_of(values.get(names.CONVERSATION_INDEX.key) or said("t:ConversationIndex")),
        reply_marker=ReplyMarker(
            integer_of(values.get(names.ICON_INDEX.key)), integer_of(values.get(names.LAST_VERB.key)),
            time_of(values.get(names.LAST_VERB_TIME.key)),
        ),
        in_reply_to=said("t:InReplyTo").strip(),
        references=" ".join(said("t:References").split()),
        has_votes=mapi.has_votes(octets_of(values.get(names.VERB_STREAM.key))),
        is_protected=values.get(names.CONTENT_CLASS.key, "").lower().startswith("rpmsg"),
    )  # fmt: skip


def extended(item: Element) -> dict[tuple[str, str], str]:
    """Values of extended properties by `Property.key`; those of several values are none of ours."""
    values: dict[tuple[str, str], str] = {}
    for entry in item.iterfind(tag("t:ExtendedProperty")):
        uri, value = entry.find(tag("t:ExtendedFieldURI")), entry.findtext(tag("t:Value"))
        if uri is not None and value is not None:
            values[_key(uri)] = value
    return values


def _key(uri: Element) -> tuple[str, str]:
    if number := uri.get("PropertyTag", ""):
        try:
            return "", str(int(number, 16 if number[:2] in ("0x", "0X") else 10))
        except ValueError:
            return "", number
    set_id = (uri.get("PropertySetId") or uri.get("DistinguishedPropertySetId", "")).lower()
    return _SHORT.get(set_id, set_id), uri.get("PropertyName") or uri.get("PropertyId", "")


_SHORT = {
    "00062008-0000-0000-c000-000000000046": "common",
    "00062003-0000-0000-c000-000000000046": "task",
    mapi.PUBLIC_STRINGS: "publicstrings",
}
"""Exchange may answer with the set's GUID where it was asked by name (MS-OXPROPS 1.3.2)."""


def _bodies(item: Element) -> tuple[str | None, str | None]:
    """As it is stored: HTML or text; Exchange would make the other one of it."""
    body = item.find(tag("t:Body"))
    if body is None:
        return None, None
    return (None, body.text or "") if body.get("BodyType") == "Text" else (body.text or "", None)


def _people(item: Element, name: str) -> Iterator[Participant]:
    holder = item.find(tag(name))
    if holder is None:
        return
    for person in holder.iterfind(tag("t:Mailbox")):
        yield Participant(
            person.findtext(tag("t:EmailAddress"), "").strip(), person.findtext(tag("t:Name"), "").strip()
        )


def _attachments(item: Element) -> Iterator[StoredAttachment]:
    holder = item.find(tag("t:Attachments"))
    for stored in () if holder is None else holder:
        if not isinstance(stored.tag, str):
            continue
        yield StoredAttachment(
            stored.findtext(tag("t:Name"), ""),
            stored.findtext(tag("t:ContentType"), ""),
            integer_of(stored.findtext(tag("t:Size"))) or 0,
            stored.findtext(tag("t:ContentId"), "").strip().strip("<>"),
            truth_of(stored.findtext(tag("t:IsInline"))),
            is_item=stored.tag == tag("t:ItemAttachment"),
        )


def _marks(item: Element, extended: Mapping[tuple[str, str], str]) -> Marks:
    categories = item.find(tag("t:Categories"))
    is_read = item.findtext(tag("t:IsRead"))
    return Marks(
        is_read=is_read is None or truth_of(is_read),
        categories=() if categories is None else tuple(
            text for entry in categories.iterfind(tag("t:String")) if (text := entry.text)
        ),
        follow_up=_follow_up(item, extended),
    )  # fmt: skip


def _follow_up(item: Element, extended: Mapping[tuple[str, str], str]) -> FollowUp:
    """From the element Flag, and where a server has none from the properties that are behind it (MS-OXOFLAG 2.2)."""
    flag = item.find(tag("t:Flag"))
    status = "" if flag is None else flag.findtext(tag("t:FlagStatus"), "")
    behind = integer_of(extended.get(names.FLAG_STATUS.key))

    def when(name: str, known: Property) -> datetime | None:
        return time_of(None if flag is None else flag.findtext(tag(name))) or time_of(extended.get(known.key))

    if status == "Complete" or (not status and behind == 1):
        return FollowUp("complete", completed_at=when("t:CompleteDate", names.FLAG_COMPLETED))
    if status == "Flagged" or (not status and behind == 2):
        return FollowUp("flagged", when("t:StartDate", names.TASK_START), when("t:DueDate", names.TASK_DUE))
    return FollowUp()
