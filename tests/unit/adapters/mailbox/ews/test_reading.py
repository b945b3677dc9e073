"""Items as EWS servers show them: Exchange's way, and what others leave out or write otherwise."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from mta.adapters.mailbox.ews import EwsSentItems
from mta.adapters.mailbox.mapi import STAMP_NAME, STAMP_SET
from mta.model.mailbox_item import (
    FollowUp,
    ItemRef,
    Marks,
    Participant,
    Reminder,
    ReplyMarker,
    SentItem,
    StoredAttachment,
)
from mta.ports.mailbox import ItemGoneError
from tests.unit.adapters.mailbox.ews.conftest import Scripted, response

ANN = "ann@example.com"
REF = ItemRef("AAA=", "CK1")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
Open = Callable[..., EwsSentItems]


def named(value: str) -> str:
    return (
        f'<t:ExtendedProperty><t:ExtendedFieldURI PropertySetId="{STAMP_SET.upper()}" PropertyName="{STAMP_NAME}" '
        f'PropertyType="String"/><t:Value>{value}</t:Value></t:ExtendedProperty>'
    )


def tagged(tag: str, kind: str, value: str) -> str:
    return (
        f'<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="{tag}" PropertyType="{kind}"/>'
        f"<t:Value>{value}</t:Value></t:ExtendedProperty>"
    )


def numbered(set_name: str, number: int, kind: str, value: str) -> str:
    return (
        f'<t:ExtendedProperty><t:ExtendedFieldURI {set_name} PropertyId="{number}" PropertyType="{kind}"/>'
        f"<t:Value>{value}</t:Value></t:ExtendedProperty>"
    )


def item(inside: str) -> str:
    return response("GetItem", f"<m:Items><t:Message>{inside}</t:Message></m:Items>")


async def read(scripted: Scripted, opened: Open, inside: str) -> SentItem:
    scripted.answers = [item(inside)]
    return await opened(scripted.url).read(ANN, REF)


WHOLE = (
    '<t:MimeContent CharacterSet="UTF-8">U3ViamVjdDogSGkNCg0KSGkNCg==</t:MimeContent>'
    '<t:ItemId Id="AAA=" ChangeKey="CK2"/><t:ItemClass>IPM.Note</t:ItemClass><t:Subject>Grüße &amp; mehr</t:Subject>'
    '<t:Sensitivity>Private</t:Sensitivity><t:Body BodyType="HTML">&lt;p&gt;Hi&lt;/p&gt;</t:Body><t:Attachments>'
    '<t:FileAttachment><t:AttachmentId Id="BBB="/><t:Name>logo.png</t:Name><t:ContentType>image/png</t:ContentType>'
    "<t:ContentId>logo@1</t:ContentId><t:Size>99</t:Size><t:IsInline>true</t:IsInline></t:FileAttachment>"
    '<t:ItemAttachment><t:AttachmentId Id="CCC="/><t:Name>Fwd</t:Name><t:IsInline>false</t:IsInline>'
    "</t:ItemAttachment></t:Attachments><t:DateTimeReceived>2026-11-22T12:00:01Z</t:DateTimeReceived>"
    "<t:Size>4711</t:Size><t:Categories><t:String>Red</t:String><t:String>Blue</t:String></t:Categories>"
    "<t:Importance>High</t:Importance><t:InReplyTo>&lt;0@example.com&gt;</t:InReplyTo><t:IsDraft>false</t:IsDraft>"
    "<t:DateTimeSent>2026-11-22T12:00:00Z</t:DateTimeSent><t:ReminderDueBy>2026-11-22T12:00:00Z</t:ReminderDueBy>"
    "<t:ReminderIsSet>true</t:ReminderIsSet><t:ReminderMinutesBeforeStart>15</t:ReminderMinutesBeforeStart>"
    + named("job copy")
    + tagged("0xe06", "SystemTime", "2026-11-22T12:00:00.123456789Z")
    + tagged("0x39", "SystemTime", "2026-11-22T12:00:00Z")
    + tagged("0x1080", "Integer", "261")
    + tagged("0x1081", "Integer", "102")
    + tagged("0x1082", "SystemTime", "2026-11-22T12:00:00Z")
    + tagged("0x70", "String", "Hi")
    + tagged("0x71", "Binary", "AQI=")
    + "<t:Flag><t:FlagStatus>Flagged</t:FlagStatus><t:StartDate>2026-11-22T12:00:00Z</t:StartDate>"
    "<t:DueDate>2026-11-22T12:00:00Z</t:DueDate></t:Flag>"
    "<t:Sender><t:Mailbox><t:Name>Ann</t:Name><t:EmailAddress>ann@example.com</t:EmailAddress></t:Mailbox></t:Sender>"
    "<t:ToRecipients><t:Mailbox><t:Name>Bob</t:Name><t:EmailAddress>bob@example.net</t:EmailAddress></t:Mailbox>"
    "<t:Mailbox><t:EmailAddress>carl@example.net</t:EmailAddress></t:Mailbox></t:ToRecipients>"
    "<t:BccRecipients><t:Mailbox><t:Name>Dora</t:Name><t:EmailAddress>dora@example.net</t:EmailAddress></t:Mailbox>"
    "</t:BccRecipients><t:IsReadReceiptRequested>true</t:IsReadReceiptRequested>"
    "<t:IsDeliveryReceiptRequested>false</t:IsDeliveryReceiptRequested><t:From><t:Mailbox><t:Name>Boss</t:Name>"
    "<t:EmailAddress>boss@example.com</t:EmailAddress></t:Mailbox></t:From>"
    "<t:InternetMessageId>&lt;1@example.com&gt;</t:InternetMessageId><t:IsRead>false</t:IsRead>"
    "<t:References>&lt;a@b&gt;\r\n &lt;c@d&gt;</t:References>"
)


async def test_a_whole_item(scripted: Scripted, opened: Open) -> None:
    assert await read(scripted, opened, WHOLE) == SentItem(
        ItemRef("AAA=", "CK2"), "<1@example.com>", "Grüße & mehr", size_octets=4711, sent_at=NOON,
        delivered_at=NOON.replace(microsecond=123_456), author=Participant("boss@example.com", "Boss"),
        sender=Participant("ann@example.com", "Ann"),
        to=(Participant("bob@example.net", "Bob"), Participant("carl@example.net")),
        bcc=(Participant("dora@example.net", "Dora"),), html="<p>Hi</p>",
        attachments=(
            StoredAttachment("logo.png", "image/png", 99, "logo@1", is_inline=True),
            StoredAttachment("Fwd", is_item=True),
        ),
        mime=b"Subject: Hi\r\n\r\nHi\r\n", stamp="job copy",
        marks=Marks(is_read=False, categories=("Red", "Blue"), follow_up=FollowUp("flagged", NOON, NOON)),
        importance="high", sensitivity="private", wants_read_receipt=True, reminder=Reminder(True, NOON, 15),
        conversation_topic="Hi", conversation_index=b"\1\2", reply_marker=ReplyMarker(261, 102, NOON),
        in_reply_to="<0@example.com>", references="<a@b> <c@d>",
    )  # fmt: skip


async def test_an_item_of_which_nothing_is_told(scripted: Scripted, opened: Open) -> None:
    assert await read(scripted, opened, "<!-- nothing --><t:Attachments><!-- none --></t:Attachments>") == SentItem(
        REF, "", ""
    )


async def test_an_item_that_is_not_answered(scripted: Scripted, opened: Open) -> None:
    scripted.answers = [response("GetItem", "<m:Items/>")]
    with pytest.raises(ItemGoneError):
        await opened(scripted.url).read(ANN, REF)


async def test_a_flag_by_its_properties_alone(scripted: Scripted, opened: Open) -> None:
    task = 'PropertySetId="00062003-0000-0000-C000-000000000046"'
    behind = numbered(task, 0x8104, "SystemTime", "2026-11-22T12:00:00Z") + numbered(
        'DistinguishedPropertySetId="Task"', 0x8105, "SystemTime", "2026-11-22T12:00:00Z"
    )
    flagged = await read(scripted, opened, tagged("4240", "Integer", "2") + behind)
    assert flagged.marks.follow_up == FollowUp("flagged", NOON, NOON)
    done = tagged("0x1090", "Integer", "1") + tagged("0x1091", "SystemTime", "2026-11-22T12:00:00Z")
    assert (await read(scripted, opened, done)).marks.follow_up == FollowUp("complete", completed_at=NOON)


def _verbs(kind: int) -> str:
    option = struct.pack("<I", kind) + b"\x03Yes\x00\x00\x03Yes" + bytes(29)
    return (struct.pack("<HI", 0x0102, 1) + option).hex()


@pytest.mark.parametrize(("kind", "has_votes"), [(4, True), (2, False)])
async def test_votes(scripted: Scripted, opened: Open, kind: int, has_votes: bool) -> None:
    stream = base64.b64encode(bytes.fromhex(_verbs(kind))).decode()
    common = 'PropertySetId="00062008-0000-0000-C000-000000000046"'
    assert (await read(scripted, opened, numbered(common, 0x8520, "Binary", stream))).has_votes is has_votes


async def test_rights_management(scripted: Scripted, opened: Open) -> None:
    protected = (
        '<t:ExtendedProperty><t:ExtendedFieldURI DistinguishedPropertySetId="InternetHeaders" '
        'PropertyName="content-class" PropertyType="String"/><t:Value>rpmsg.message</t:Value></t:ExtendedProperty>'
    )
    assert (await read(scripted, opened, protected)).is_protected


async def test_text_and_its_control_characters(scripted: Scripted, opened: Open) -> None:
    """Exchange writes what XML can't hold as references."""
    inside = '<t:Subject>a&#x1F;b&#xD83D;c&#9;d</t:Subject><t:Body BodyType="Text">x &amp; y</t:Body>'
    shown = await read(scripted, opened, inside)
    assert (shown.subject, shown.text, shown.html) == ("a?b?c\td", "x & y", None)


async def test_what_lies_elsewhere_in_an_item_is_not_its_own(scripted: Scripted, opened: Open) -> None:
    inside = (
        "<t:Attachments><t:ItemAttachment><t:Message><t:Subject>inner</t:Subject>"
        '<t:ItemId Id="ZZZ="/></t:Message></t:ItemAttachment></t:Attachments>'
    )
    shown = await read(scripted, opened, inside)
    assert (shown.subject, shown.ref) == ("", REF)


async def test_found_items_are_each_told_once(scripted: Scripted, opened: Open) -> None:
    one = (
        '<t:Message><t:ItemId Id="AAA=" ChangeKey="CK2"/><t:DateTimeSent>2026-11-22T12:00:00Z</t:DateTimeSent>'
        f"{named('job copy')}<t:InternetMessageId>&lt;1@example.com&gt;</t:InternetMessageId></t:Message>"
    )
    scripted.answers = [response("FindItem", f"<m:RootFolder><t:Items>{one}{one}<t:Message/></t:Items></m:RootFolder>")]
    (found,) = await opened(scripted.url).find(ANN, "<1@example.com>", "job")
    assert (found.ref, found.message_id, found.stamp, found.sent_at) == (
        ItemRef("AAA=", "CK2"), "<1@example.com>", "job copy", NOON,
    )  # fmt: skip


async def test_a_server_that_can_not_search_for_stamps_is_asked_for_message_ids(
    scripted: Scripted, opened: Open
) -> None:
    nothing = response("FindItem", "<m:RootFolder><t:Items/></m:RootFolder>")
    scripted.answers = [response("FindItem", code="ErrorUnsupportedPathForQuery"), nothing]
    server = opened(scripted.url)
    assert list(await server.find(ANN, "<1@example.com>", "job")) == []
    assert list(await server.find(ANN, "<2@example.com>", "job")) == []
    assert [b"t:Contains" in request.body for request in scripted.asked] == [True, False, False]


@pytest.mark.parametrize(
    "message_id", ["<\x00\x1f\ud800@example.com>", "<&<>\"'@example.com>"], ids=["control", "markup"]
)
async def test_any_message_id_can_be_asked_for(scripted: Scripted, opened: Open, message_id: str) -> None:
    scripted.answers = [response("FindItem", "<m:RootFolder><t:Items/></m:RootFolder>")]
    assert list(await opened(scripted.url).find(ANN, message_id, "job")) == []
