"""Requests of EWS; elements stand in the order of the schema, or Exchange refuses the whole request."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from datetime import datetime, timedelta

from mta.adapters.mailbox import mapi
from mta.adapters.mailbox.ews import names
from mta.adapters.mailbox.ews.calls import PLACE_OF_LARGE
from mta.adapters.mailbox.ews.names import Element, Property, element, field
from mta.adapters.mailbox.ews.reading import FOUND, WHOLE
from mta.adapters.mailbox.ews.values import time_text
from mta.model.mailbox_item import FollowUp, ItemRef, Marks, NewAttachment, NewItem, Participant, Removal, SentItem

MOST_FOUND = 50
_LONGEST_SUBJECT = 255
"""PidTagSubject in MS-OXCMSG; Exchange refuses restrictions on longer ones."""
_REMOVALS = {
    Removal.RECOVERABLE: "SoftDelete", Removal.DELETED_ITEMS: "MoveToDeletedItems", Removal.FOR_GOOD: "HardDelete",
}  # fmt: skip
_STATUSES = {"none": "NotFlagged", "flagged": "Flagged", "complete": "Complete"}


def distinguished(owner: str, name: str) -> Element:
    """A folder of the one who is impersonated; of `owner`, where it is another's that we have access to."""
    mailbox = element("t:Mailbox", element("t:EmailAddress", owner)) if owner else None
    return element("t:DistinguishedFolderId", mailbox, Id=name)


def sent_folder(owner: str) -> Element:
    """Sent Items."""
    return distinguished(owner, "sentitems")


def get_folder(owner: str) -> Element:
    """GetFolder: Sent Items."""
    shape = element("m:FolderShape", element("t:BaseShape", "IdOnly"))
    return element("m:GetFolder", shape, element("m:FolderIds", sent_folder(owner)))


def find_by_message_id(owner: str, message_id: str, job: str) -> Element:
    """FindItem: this Message-ID, or a stamp of this job unless that is ""."""
    same = element("t:IsEqualTo", field("message:InternetMessageId"), constant(message_id))
    if not job:
        return _find(owner, same)
    ours = element(
        "t:Contains", names.STAMP.uri(), element("t:Constant", Value=f"{job} "),
        ContainmentMode="Prefixed", ContainmentComparison="Exact",
    )  # fmt: skip
    return _find(owner, element("t:Or", same, ours))


def find_by_subject(owner: str, subject: str, earliest: datetime, latest: datetime) -> Element:
    """FindItem: this subject, sent between these times."""
    return _find(owner, element(
        "t:And",
        element("t:IsEqualTo", field("item:Subject"), constant(subject[:_LONGEST_SUBJECT])),
        element("t:IsGreaterThanOrEqualTo", field("item:DateTimeSent"), constant(time_text(earliest))),
        element("t:IsLessThanOrEqualTo", field("item:DateTimeSent"), constant(time_text(latest + _ROUNDING))),
    ))  # fmt: skip


_ROUNDING = timedelta(seconds=1)


def get_item(ref: ItemRef, *, whole: bool) -> Element:
    """GetItem: all that `sent_item` reads; or only which version it is."""
    return element("m:GetItem", deepcopy(_WHOLE_SHAPE if whole else _ID_SHAPE), item_ids(ref))


def create_item(owner: str, item: NewItem) -> Element:
    """CreateItem (MS-OXWSMSG 3.1.4.2), only saved; its MIME is written in later.

    The schema's defaults stand for what the original doesn't have, so each property is given.
    """
    message = element("t:Message", element("t:MimeContent", PLACE_OF_LARGE, CharacterSet="UTF-8"))
    message.extend(_properties(item))
    return element(
        "m:CreateItem", element("m:SavedItemFolderId", sent_folder(owner)), element("m:Items", message),
        MessageDisposition="SaveOnly",
    )  # fmt: skip


def mime_content(mime: bytes) -> bytes:
    """What stands in the place that `create_item` leaves."""
    return base64.b64encode(mime)


def update_marks(ref: ItemRef, marks: Marks) -> Element:
    """UpdateItem: read, categories, flag; refused where the item has changed since."""
    return update(ref, _mark_changes(marks))


def update_content(ref: ItemRef, item: NewItem) -> Element:
    """UpdateItem: body and stamp, and subject and categories where they differ; refused where it has changed since."""
    return update(ref, _content_changes(item))


def create_attachments(ref: ItemRef, attachments: Sequence[NewAttachment]) -> Element:
    """CreateAttachment: these, on this item."""
    made = (
        element(
            "t:FileAttachment",
            element("t:Name", each.name), element("t:ContentType", each.content_type),
            element("t:ContentId", each.content_id) if each.content_id else None,
            element("t:IsInline", _truth(each.is_inline)),
            element("t:Content", base64.b64encode(each.data).decode("ascii")),
        )
        for each in attachments
    )  # fmt: skip
    parent = element("m:ParentItemId", **_id_of(ref))
    return element("m:CreateAttachment", parent, element("m:Attachments", *made))


def delete_attachments(ids: Iterable[str]) -> Element:
    """DeleteAttachment: these."""
    return element(
        "m:DeleteAttachment", element("m:AttachmentIds", *(element("t:AttachmentId", Id=each) for each in ids))
    )


def delete_item(ref: ItemRef, how: Removal) -> Element:
    """DeleteItem (MS-OXWSCORE 3.1.4.3); nobody is told that it wasn't read."""
    return element("m:DeleteItem", item_ids(ref), DeleteType=_REMOVALS[how], SuppressReadReceipts="true")


def resolve_names(address: str) -> Element:
    """ResolveNames: who in the directory has this address."""
    return element(
        "m:ResolveNames", element("m:UnresolvedEntry", f"smtp:{address}"),
        ReturnFullContactData="false", SearchScope="ActiveDirectory",
    )  # fmt: skip


def _find(owner: str, restriction: Element) -> Element:
    return element(
        "m:FindItem",
        deepcopy(_FOUND_SHAPE),
        element("m:IndexedPageItemView", MaxEntriesReturned=str(MOST_FOUND), Offset="0", BasePoint="Beginning"),
        element("m:Restriction", restriction),
        element("m:ParentFolderIds", sent_folder(owner)),
        Traversal="Shallow",
    )


def _shape(fields: Sequence[Element], *, mime: bool) -> Element:
    return element(
        "m:ItemShape",
        element("t:BaseShape", "IdOnly"),
        element("t:IncludeMimeContent", "true") if mime else None,
        element("t:BodyType", "Best") if mime else None,
        element("t:AdditionalProperties", *fields) if fields else None,
    )


_ID_SHAPE, _FOUND_SHAPE, _WHOLE_SHAPE = _shape((), mime=False), _shape(FOUND, mime=False), _shape(WHOLE, mime=True)
"""Most of a request, and always the same."""


def constant(value: str) -> Element:
    """What a property is compared with."""
    return element("t:FieldURIOrConstant", element("t:Constant", Value=value))


def _id_of(ref: ItemRef) -> dict[str, str]:
    return {"Id": ref.id, "ChangeKey": ref.change_key} if ref.change_key else {"Id": ref.id}


def item_ids(ref: ItemRef) -> Element:
    """Of one item, in this version if it names one."""
    return element("m:ItemIds", element("t:ItemId", **_id_of(ref)))


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _properties(item: NewItem) -> Iterator[Element]:
    original, marks = item.original, item.marks
    yield element("t:Sensitivity", original.sensitivity.capitalize())
    if marks.categories:
        yield _categories(marks)
    yield element("t:Importance", original.importance.capitalize())
    if original.reminder.is_set and original.reminder.due_at is not None:
        yield element("t:ReminderDueBy", time_text(original.reminder.due_at))
    yield element("t:ReminderIsSet", _truth(original.reminder.is_set))
    if original.reminder.is_set:
        yield element("t:ReminderMinutesBeforeStart", str(original.reminder.minutes_before))
    yield from _extended(item)
    if marks.follow_up.status != "none":
        yield _flag(marks.follow_up)
    if original.bcc:
        yield element("t:BccRecipients", *(_person(each) for each in original.bcc))
    yield element("t:IsReadReceiptRequested", _truth(original.wants_read_receipt))
    yield element("t:IsDeliveryReceiptRequested", _truth(original.wants_delivery_receipt))
    yield element("t:IsRead", _truth(marks.is_read))


def _extended(item: NewItem) -> Iterator[Element]:
    original, marker = item.original, item.original.reply_marker
    delivered_at = original.delivered_at or original.sent_at
    index = base64.b64encode(original.conversation_index).decode("ascii")
    values: tuple[tuple[Property, str | None], ...] = (
        (names.STAMP, item.stamp),
        (names.MESSAGE_FLAGS, str(mapi.MESSAGE_FLAG_READ if item.marks.is_read else 0)),
        (names.SUBMIT_TIME, _time(original.sent_at)),
        (names.DELIVERY_TIME, _time(delivered_at)),
        (names.CONVERSATION_TOPIC, original.conversation_topic or None),
        (names.CONVERSATION_INDEX, index or None),
        (names.ICON_INDEX, None if marker.icon is None else str(marker.icon)),
        (names.LAST_VERB, None if marker.verb is None else str(marker.verb)),
        (names.LAST_VERB_TIME, _time(marker.at)),
    )
    return (known.valued(value) for known, value in values if value is not None)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)


def _person(person: Participant) -> Element:
    """By SMTP address; an X.500 one (of people who have left) goes as such."""
    routing = "SMTP" if "@" in person.address else "EX"
    return element(
        "t:Mailbox",
        element("t:Name", person.name or person.address),
        element("t:EmailAddress", person.address),
        element("t:RoutingType", routing),
    )


def _categories(marks: Marks) -> Element:
    return element("t:Categories", *(element("t:String", each) for each in marks.categories))


def _flag(follow_up: FollowUp) -> Element:
    """MS-OXWSCDATA 2.2.4.36: a start needs an end, and the other way round; an end is for what is complete alone."""
    start, due = follow_up.start_at or follow_up.due_at, follow_up.due_at or follow_up.start_at
    is_flagged = follow_up.status == "flagged" and start is not None and due is not None
    done = follow_up.completed_at if follow_up.status == "complete" else None
    return element(
        "t:Flag",
        element("t:FlagStatus", _STATUSES[follow_up.status]),
        element("t:StartDate", time_text(start)) if is_flagged and start is not None else None,
        element("t:DueDate", time_text(due)) if is_flagged and due is not None else None,
        element("t:CompleteDate", time_text(done)) if done is not None else None,
    )


def update(ref: ItemRef, changes: Iterable[Element]) -> Element:
    """UpdateItem: these changes; refused where the item has changed since the version that `ref` names."""
    change = element("t:ItemChange", element("t:ItemId", **_id_of(ref)), element("t:Updates", *changes))
    return element(
        "m:UpdateItem", element("m:ItemChanges", change),
        ConflictResolution="NeverOverwrite" if ref.change_key else "AlwaysOverwrite",
        MessageDisposition="SaveOnly", SuppressReadReceipts="true",
    )  # fmt: skip


def set_field(uri: Element, value: Element) -> Element:
    """One change of an item."""
    return element("t:SetItemField", uri, element("t:Message", value))


def _mark_changes(marks: Marks) -> Iterator[Element]:
    yield set_field(field("message:IsRead"), element("t:IsRead", _truth(marks.is_read)))
    yield _category_change(marks)
    yield set_field(field("item:Flag"), _flag(marks.follow_up))


def _category_change(marks: Marks) -> Element:
    if marks.categories:
        return set_field(field("item:Categories"), _categories(marks))
    return element("t:DeleteItemField", field("item:Categories"))


def _content_changes(item: NewItem) -> Iterator[Element]:
    original: SentItem = item.original
    if item.html is not None:
        body, kind = item.html, "HTML"
    else:
        body, kind = item.text or "", "Text"
    yield set_field(field("item:Body"), element("t:Body", body, BodyType=kind))
    if item.subject != original.subject:
        yield set_field(field("item:Subject"), element("t:Subject", item.subject))
    if item.marks.categories != original.marks.categories:
        yield _category_change(item.marks)
    yield set_field(names.STAMP.uri(), names.STAMP.valued(item.stamp))
