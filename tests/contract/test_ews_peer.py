"""The tests' Exchange keeps items as Microsoft's documents say."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from itertools import count

import pytest

from tests.contract.raw_ews import FLAGS, Raw, boundaries, equal, extended, field, raw, set_field
from tests.peers.ews import EwsServer, PeerItem, ews_server
from tests.shared import corpus

_NUMBERS = count(1)
_SET = "c11ff724-aa03-4555-9952-8fa248a11c3e"
_STAMP = f'<t:ExtendedFieldURI PropertySetId="{_SET}" PropertyName="job" PropertyType="String"/>'
_NUMBER = 'DistinguishedPropertySetId="Common" PropertyId="9" PropertyType="Integer"'
_TO = "<t:ToRecipients><t:Mailbox><t:EmailAddress>x@example.org</t:EmailAddress></t:Mailbox></t:ToRecipients>"
_SUBJECT, _NORMAL = "<t:Subject>a</t:Subject>", "<t:Sensitivity>Normal</t:Sensitivity>"
_NO_SET = "ErrorInvalidPropertySet"
_SUBMIT = '<t:ExtendedFieldURI PropertyTag="0x0039" PropertyType="SystemTime"/>'
_DELIVERY = '<t:ExtendedFieldURI PropertyTag="0x0E06" PropertyType="SystemTime"/>'
_BLUE = "<t:Categories><t:String>Blue</t:String></t:Categories>"


@pytest.fixture(scope="module")
def server() -> Iterator[EwsServer]:
    with ews_server() as running:
        running.add_account("svc@example.com", "secret", impersonates=["*@example.com"])
        yield running


@pytest.fixture
def mailbox(server: EwsServer) -> str:
    address = f"user{next(_NUMBERS)}@example.com"
    server.add_mailbox(address)
    return address


@pytest.fixture
def ann(server: EwsServer, mailbox: str) -> Iterator[Raw]:
    with raw(server, mailbox) as client:
        yield client


def _mime(message_id: str = "<1@example.com>") -> bytes:
    message = EmailMessage()
    message["From"] = "Ann Example <ann@example.com>"
    message["To"] = "Bob <bob@example.org>, Cléo <cleo@example.org>"
    message["Bcc"] = "eve@example.org"
    message["Subject"] = "Re: Größe"
    message["Message-ID"] = message_id
    message["Date"] = "Mon, 01 Jun 2026 10:00:00 +0200"
    message["In-Reply-To"] = "<0@example.org>"
    message["References"] = "<a@example.org> <0@example.org>"
    message["X-Ticket"] = "4711"
    message["Importance"] = "high"
    message.set_content("Grüße")
    message.add_alternative('<p>Grüße <img src="cid:logo"></p>', subtype="html")
    html = message.get_body(("html",))
    assert html is not None
    html.add_related(b"\x89PNG....", "image", "png", cid="<logo>", filename="logo.png")
    message.add_attachment(bytes(range(256)) * 40, maintype="application", subtype="pdf", filename="Angebot ä.pdf")
    return message.as_bytes(policy=email.policy.SMTP)


_SENT_FLAGS = extended(FLAGS, "1")


def _sent(ann: Raw, message_id: str = "<1@example.com>") -> tuple[str, str]:
    return ann.create(_mime(message_id), _SENT_FLAGS).ids[0]


# --- creation ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("properties", "draft"), [((), True), ((_SENT_FLAGS,), False), ((extended(FLAGS, "9"),), True)]
)
def test_what_is_made_is_a_draft_unless_its_flags_say_otherwise(
    server: EwsServer, ann: Raw, properties: tuple[str, ...], draft: bool
) -> None:
    item, _ = ann.create(_mime(), *properties).ids[0]
    made = server.item(item)
    assert made is not None
    assert (made.is_draft, made.folder, made.is_read) == (draft, "sentitems", True)
    assert ann.get(item, field("item:IsDraft")).one("//t:IsDraft") == str(draft).lower()


def test_a_draft_stays_one_for_ever(ann: Raw) -> None:
    item, key = ann.create(_mime()).ids[0]
    answered = ann.update(item, key, set_field(FLAGS, _SENT_FLAGS))
    assert answered.code == "NoError"
    got = ann.get(item, field("item:IsDraft"), FLAGS)
    assert got.one("//t:IsDraft") == "true"
    assert int(got.one("//t:Value")) & 8


def test_times_are_given_by_properties_at_creation_only(server: EwsServer, ann: Raw) -> None:
    times = (extended(_SUBMIT, "2026-05-01T08:00:00Z"), extended(_DELIVERY, "2026-05-01T08:00:05+02:00"))
    item, key = ann.create(_mime(), _SENT_FLAGS, *times).ids[0]
    got = ann.get(item, field("item:DateTimeSent"), field("item:DateTimeReceived"))
    assert got.one("//t:DateTimeSent") == "2026-05-01T08:00:00Z"
    assert got.one("//t:DateTimeReceived") == "2026-05-01T06:00:05Z"
    ann.update(item, key, set_field(_SUBMIT, extended(_SUBMIT, "2030-01-01T00:00:00Z")))
    made = server.item(item)
    assert made is not None
    assert made.sent_at == datetime(2026, 5, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize("element", ["<t:DateTimeSent>2026-05-01T08:00:00Z</t:DateTimeSent>", "<t:Size>7</t:Size>"])
def test_read_only_fields_are_refused(ann: Raw, element: str) -> None:
    assert ann.create(_mime(), element).code == "ErrorInvalidPropertySet"


def test_without_times_the_date_field_counts_and_now(server: EwsServer, ann: Raw) -> None:
    before = datetime.now(UTC)
    item = server.item(_sent(ann)[0])
    assert item is not None
    assert item.sent_at == datetime(2026, 6, 1, 8, tzinfo=UTC)
    assert item.received_at is not None
    assert item.received_at >= before


@pytest.mark.parametrize(
    ("mime", "code"),
    [
        (b"no header at all", "ErrorMimeContentInvalid"),
        (b"", "ErrorMimeContentInvalid"),
        (
            b"Subject: x\r\n\r\nX5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*",
            "ErrorVirusDetected",
        ),
    ],
    ids=["no-header", "empty", "virus"],
)
def test_mime_that_is_not_taken(server: EwsServer, ann: Raw, mailbox: str, mime: bytes, code: str) -> None:
    assert ann.create(mime).code == code
    assert server.items(mailbox) == []


def test_folders_that_are_not_there(ann: Raw) -> None:
    item, _ = _sent(ann)
    nowhere = '<t:DistinguishedFolderId Id="archiveroot"/>'
    assert ann.create(_mime(), folder=nowhere).code == "ErrorSavedItemFolderNotFound"
    ids = f'<m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds>'
    moved = ann.ask(f"<m:MoveItem><m:ToFolderId>{nowhere}</m:ToFolderId>{ids}</m:MoveItem>")
    assert moved.code == "ErrorToFolderNotFound"
    assert ann.find(folder=nowhere).code == "ErrorFolderNotFound"
    assert ann.find(folder=f'<t:FolderId Id="{item}"/>').code == "ErrorCannotUseItemIdForFolderId"


def test_what_stops_one_entry_stops_the_next(server: EwsServer, ann: Raw, mailbox: str) -> None:
    server.change_mailbox(mailbox, quota_octets=1)
    message = "<t:Message><t:Subject>x</t:Subject></t:Message>"
    answered = ann.ask(f'<m:CreateItem MessageDisposition="SaveOnly"><m:Items>{message * 3}</m:Items></m:CreateItem>')
    assert answered.all("//m:ResponseCode") == ["ErrorQuotaExceeded"] + ["ErrorBatchProcessingStopped"] * 2


def test_a_disposition_is_required(ann: Raw) -> None:
    answered = ann.ask(
        "<m:CreateItem><m:Items><t:Message><t:Subject>x</t:Subject></t:Message></m:Items></m:CreateItem>"
    )
    assert answered.code == "ErrorMessageDispositionRequired"


def test_bounds_of_size(server: EwsServer, ann: Raw, mailbox: str) -> None:
    server.change_mailbox(mailbox, quota_octets=20_000)
    assert ann.create(_mime()).code == "NoError"
    assert ann.create(_mime()).code == "ErrorQuotaExceeded"
    server.change_mailbox(mailbox, quota_octets=None)
    server.limit(largest_item=5_000)
    assert ann.create(_mime()).code == "ErrorMessageSizeExceeded"
    server.limit(largest_item=10**8)
    assert len(server.items(mailbox)) == 1


def test_smime_is_given_back_to_the_octet(ann: Raw) -> None:
    mime = (
        b"From: ann@example.com\r\nSubject: signed\r\nMessage-ID: <s@example.com>\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary=b\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nsigned  \r\n"
        b"--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nMII\r\n--b--\r\n"
    )
    item, _ = ann.create(mime, _SENT_FLAGS).ids[0]
    got = ann.get(item, field("item:ItemClass"), mime=True)
    assert got.one("//t:ItemClass") == "IPM.Note.SMIME.MultipartSigned"
    assert got.mime == mime


# --- reading ----------------------------------------------------------------------------------------------------------


def test_mime_is_made_anew_at_each_reading(ann: Raw) -> None:
    item, _ = _sent(ann)
    first, second = ann.get(item, mime=True).mime, ann.get(item, mime=True).mime
    assert set(boundaries(first)).isdisjoint(boundaries(second))
    original, made = (email.message_from_bytes(data, policy=email.policy.default) for data in (_mime(), first))
    for name in ("From", "To", "Subject", "Message-ID", "In-Reply-To", "References", "X-Ticket"):
        assert str(made[name]).split() == str(original[name]).split()
    assert made["Date"].datetime == original["Date"].datetime
    assert made["Bcc"] is None
    html = made.get_body(("html",))
    assert html is not None
    assert 'Grüße <img src="cid:logo">' in html.get_content()
    assert "<meta http-equiv=" in html.get_content()
    assert _files(made) == _files(original)


def _files(message: EmailMessage) -> list[tuple[str | None, bytes]]:
    parts = [part for part in message.walk() if part.get_filename()]
    return sorted((part.get_filename(), part.get_payload(decode=True)) for part in parts)  # type: ignore[misc]


def test_fields_tell_what_the_mime_does_not(ann: Raw) -> None:
    item, _ = _sent(ann)
    got = ann.get(item, shape="AllProperties")
    assert got.all("//t:BccRecipients//t:EmailAddress") == ["eve@example.org"]
    assert got.all("//t:ToRecipients//t:Name") == ["Bob", "Cléo"]
    assert got.one("//t:ConversationTopic") == "Größe"
    assert got.one("//t:Importance") == "High"
    assert got.all("//t:FileAttachment/t:Name") == ["logo.png", "Angebot ä.pdf"]
    assert got.all("//t:FileAttachment/t:IsInline") == ["true", "false"]
    assert got.one("//t:HasAttachments") == "true"
    assert len(got.one("//t:ConversationIndex")) == 32


@pytest.mark.parametrize(("wanted", "kind"), [("", "HTML"), ("HTML", "HTML"), ("Text", "Text"), ("Best", "HTML")])
def test_a_body_as_asked_for(ann: Raw, wanted: str, kind: str) -> None:
    item, _ = _sent(ann)
    got = ann.get(item, field("item:Body"), body_type=wanted)
    assert got.one("//t:Body/@BodyType") == kind
    assert "Grüße" in got.one("//t:Body")


def test_a_text_message_has_html_too(ann: Raw) -> None:
    item, _ = ann.create(b"Subject: t\r\n\r\nA < B\r\n").ids[0]
    assert "A &lt; B<br>" in ann.get(item, field("item:Body"), body_type="HTML").one("//t:Body")
    assert ann.get(item, field("item:Body")).one("//t:Body/@BodyType") == "Text"


def test_properties_of_every_type(ann: Raw) -> None:
    kinds = {
        "Integer": ("7",), "String": ("ä&lt;b&gt;",), "Boolean": ("true",), "SystemTime": ("2026-01-02T03:04:05Z",),
        "Binary": ("AAEC",), "Double": ("1.5",), "StringArray": ("a", "b"), "IntegerArray": ("1", "2"),
    }  # fmt: skip
    place = 'DistinguishedPropertySetId="PublicStrings"'
    uris = {kind: f'<t:ExtendedFieldURI {place} PropertyName="{kind}" PropertyType="{kind}"/>' for kind in kinds}
    item, _ = ann.create(_mime(), *(extended(uris[kind], *values) for kind, values in kinds.items())).ids[0]
    got = ann.get(item, *uris.values())
    for kind, values in kinds.items():
        found = got.all(f"//t:ExtendedProperty[t:ExtendedFieldURI/@PropertyType='{kind}']//t:Value")
        assert found == [value.replace("&lt;", "<").replace("&gt;", ">") for value in values]


@pytest.mark.parametrize(
    ("uri", "values", "code"),
    [
        ('PropertyTag="0x8001" PropertyType="String"', ("x",), "ErrorNoPropertyTagForCustomProperties"),
        ('PropertyTag="0x3001" PropertyType="Object"', ("x",), "ErrorUnsupportedMapiPropertyType"),
        ('PropertyTag="0x0037" PropertyType="Integer"', ("1",), "ErrorInvalidExtendedProperty"),
        ('PropertyTag="0x0037" PropertyName="x" PropertyType="String"', ("x",), "ErrorInvalidExtendedProperty"),
        ('PropertyName="x" PropertyType="String"', ("x",), "ErrorInvalidExtendedProperty"),
        (_NUMBER, ("x",), "ErrorInvalidExtendedPropertyValue"),
        (_NUMBER, ("1", "2"), "ErrorInvalidExtendedPropertyValue"),
        (_NUMBER, ("3000000000",), "ErrorInvalidExtendedPropertyValue"),
    ],
)  # fmt: skip
def test_properties_that_are_none(ann: Raw, uri: str, values: tuple[str, ...], code: str) -> None:
    assert ann.create(_mime(), extended(f"<t:ExtendedFieldURI {uri}/>", *values)).code == code


# --- finding ----------------------------------------------------------------------------------------------------------


def test_restrictions(ann: Raw) -> None:
    wanted, other = _sent(ann, "<Wanted@example.com>"), _sent(ann, "<other@example.com>")
    third, _ = ann.create(_mime("<third@example.com>"), _BLUE, _SENT_FLAGS, extended(_STAMP, "job1 copy")).ids[0]
    by_id = equal(field("message:InternetMessageId"), "<wanted@example.com>")
    stamped = _contains(_STAMP, "job1 ", "Prefixed")
    category = _contains(field("item:Categories"), "Blue", "FullString")
    assert ann.find(by_id).ids == [wanted]
    assert [item for item, _ in ann.find(stamped).ids] == [third]
    assert [item for item, _ in ann.find(category).ids] == [third]
    assert {item for item, _ in ann.find(f"<t:Or>{by_id}{stamped}</t:Or>").ids} == {wanted[0], third}
    assert ann.find(f"<t:And>{by_id}{stamped}</t:And>").ids == []
    assert {item for item, _ in ann.find(f"<t:Not><t:Exists>{_STAMP}</t:Exists></t:Not>").ids} == {wanted[0], other[0]}
    assert len(ann.find(equal(field("item:DateTimeSent"), "2026-06-01T08:00:00Z")).ids) == 3


def _contains(path: str, value: str, mode: str) -> str:
    constant = f'<t:Constant Value="{value}"/>'
    return f'<t:Contains ContainmentMode="{mode}" ContainmentComparison="Exact">{path}{constant}</t:Contains>'


def test_pages_and_order(ann: Raw) -> None:
    items = [_sent(ann, f"<{number}@example.com>")[0] for number in range(5)]
    by_id = f'<t:FieldOrder Order="Ascending">{field("message:InternetMessageId")}</t:FieldOrder>'
    order = f"<m:SortOrder>{by_id}</m:SortOrder>"
    view = '<m:IndexedPageItemView MaxEntriesReturned="2" Offset="{}" BasePoint="Beginning"/>'
    page = ann.find(view=view.format(2), sort=order)
    assert [item for item, _ in page.ids] == items[2:4]
    names = ("TotalItemsInView", "IncludesLastItemInRange", "IndexedPagingOffset")
    assert [page.one(f"//@{name}") for name in names] == ["5", "false", "4"]
    assert ann.find(view=view.format(4), sort=order).one("//@IncludesLastItemInRange") == "true"


@pytest.mark.parametrize("uri", ["item:Body", "item:MimeContent", "message:ToRecipients", "item:Attachments"])
def test_finding_does_not_give_everything(ann: Raw, uri: str) -> None:
    assert ann.find("", field(uri)).code == "ErrorInvalidPropertyRequest"


@pytest.mark.parametrize(
    ("restriction", "code"),
    [
        (f"<t:Exists>{field('message:IsRead')}</t:Exists>", "ErrorInvalidPropertyForExists"),
        (equal(field("item:Importance"), "Huge"), "ErrorInvalidValueForProperty"),
        (equal(field("item:DateTimeSent"), "true"), "ErrorInvalidValueForProperty"),
        (f"<t:Exists>{field('item:Attachments')}</t:Exists>", "ErrorUnsupportedPathForQuery"),
        (
            "<t:Not>" * 256 + f"<t:Exists>{field('item:Subject')}</t:Exists>" + "</t:Not>" * 256,
            "ErrorRestrictionTooLong",
        ),
    ],
    ids=["flag", "enumeration", "time", "path", "long"],
)
def test_restrictions_that_are_refused(ann: Raw, restriction: str, code: str) -> None:
    _sent(ann)
    assert ann.find(restriction).code == code


def test_control_characters_are_written_as_exchange_does(server: EwsServer, ann: Raw, mailbox: str) -> None:
    item = server.add_item(mailbox, b"Subject: =?utf-8?q?a=0Bb?=\r\nMessage-ID: <1@example.com>\r\n\r\nx\r\n")
    assert b"<t:Subject>a&#xB;b</t:Subject>" in ann.get(item, field("item:Subject")).body


def test_finding_tells_names_only(ann: Raw) -> None:
    item, _ = _sent(ann)
    found = ann.find("", field("message:From"))
    assert found.all("//t:From//t:Name") == ["Ann Example"]
    assert found.all("//t:From//t:EmailAddress") == []
    assert ann.get(item, field("message:From")).one("//t:From//t:EmailAddress") == "ann@example.com"


def test_finding_cuts_long_strings(ann: Raw) -> None:
    long = f"<{'x' * 400}@example.com>"
    item, _ = _sent(ann, long)
    assert ann.find("", field("message:InternetMessageId")).one("//t:InternetMessageId") == long[:255]
    assert ann.get(item, field("message:InternetMessageId")).one("//t:InternetMessageId") == long


def test_new_items_may_be_found_late(server: EwsServer, ann: Raw, mailbox: str) -> None:
    server.change_mailbox(mailbox, find_delay_s=float("inf"))
    item, _ = _sent(ann)
    assert ann.find().ids == []
    assert ann.get(item).code == "NoError"
    server.release(mailbox)
    assert [found for found, _ in ann.find().ids] == [item]


# --- changing ---------------------------------------------------------------------------------------------------------


def test_each_change_gives_another_key(ann: Raw) -> None:
    item, key = _sent(ann)
    second = ann.update(item, key, set_field("item:Categories", _BLUE)).ids[0][1]
    third = ann.update(item, second, set_field("message:IsRead", "<t:IsRead>false</t:IsRead>")).ids[0][1]
    assert len({key, second, third}) == 3
    assert ann.get(item).ids == [(item, third)]


def test_conflicts(server: EwsServer, ann: Raw) -> None:
    item, key = _sent(ann)
    server.change_item(item, categories=["Green"])
    same, other = set_field("item:Categories", _BLUE), set_field("message:IsRead", "<t:IsRead>false</t:IsRead>")
    assert ann.update(item, key, same, how="NeverOverwrite").code == "ErrorIrresolvableConflict"
    assert ann.update(item, key, same).code == "ErrorIrresolvableConflict"
    assert ann.update(item, None, same, how="AlwaysOverwrite").code == "ErrorChangeKeyRequiredForWriteOperations"
    server.limit(stale_code="ErrorStaleObject")
    assert ann.update(item, key, same).code == "ErrorStaleObject"
    server.limit(stale_code="ErrorIrresolvableConflict")
    assert ann.update(item, "bm9uZQ==", same).code == "ErrorInvalidChangeKey"
    assert ann.update(item, key, other).code == "NoError"
    assert ann.update(item, key, same, how="AlwaysOverwrite").code == "NoError"
    kept = server.item(item)
    assert kept is not None
    assert (kept.categories, kept.is_read) == (["Blue"], False)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (set_field("item:Subject", _SUBJECT + _NORMAL), "ErrorIncorrectUpdatePropertyCount"),
        (set_field("item:Subject", _NORMAL), "ErrorUpdatePropertyMismatch"),
        (set_field("item:DateTimeSent", "<t:DateTimeSent>2026-05-01T08:00:00Z</t:DateTimeSent>"), _NO_SET),
        (set_field("message:ToRecipients", _TO), "ErrorInvalidPropertyUpdateSentMessage"),
        (f"<t:DeleteItemField>{field('item:Size')}</t:DeleteItemField>", "ErrorInvalidPropertyDelete"),
        (set_field("item:Subject", _SUBJECT).replace("SetItem", "AppendToItem"), "ErrorInvalidPropertyAppend"),
    ],
    ids=["two", "mismatch", "read-only", "sent", "delete", "append"],
)
def test_updates_that_are_refused_change_nothing(ann: Raw, change: str, code: str) -> None:
    item, key = _sent(ann)
    assert ann.update(item, key, change).code == code
    assert ann.get(item).ids == [(item, key)]


def test_a_body_is_replaced_in_place(server: EwsServer, ann: Raw, mailbox: str) -> None:
    item, key = _sent(ann)
    body = '<t:Body BodyType="HTML">&lt;p&gt;new&lt;/p&gt;</t:Body>'
    assert ann.update(item, key, set_field("item:Body", body)).code == "NoError"
    changed = server.item(item)
    assert changed is not None
    assert (changed.html, changed.is_draft, changed.bcc) == ("<p>new</p>", False, ["eve@example.org"])
    (version,) = server.items(mailbox, "recoverableitemsversions")
    assert version.html is not None
    assert "Grüße" in version.html


def test_flags_have_rules(server: EwsServer, ann: Raw) -> None:
    item, key = _sent(ann)
    due = "<t:DueDate>2026-07-01T00:00:00Z</t:DueDate>"
    alone = f"<t:Flag><t:FlagStatus>Flagged</t:FlagStatus>{due}</t:Flag>"
    assert ann.update(item, key, set_field("item:Flag", alone)).code == "ErrorInvalidArgument"
    both = f"<t:Flag><t:FlagStatus>Flagged</t:FlagStatus><t:StartDate>2026-06-30T00:00:00Z</t:StartDate>{due}</t:Flag>"
    assert ann.update(item, key, set_field("item:Flag", both)).code == "NoError"
    assert ann.get(item, field("item:Flag")).one("//t:DueDate") == "2026-07-01T00:00:00Z"


def test_attachments_come_and_go(server: EwsServer, ann: Raw) -> None:
    item, key = _sent(ann)
    added = ann.ask(
        f'<m:CreateAttachment><m:ParentItemId Id="{item}" ChangeKey="{key}"/><m:Attachments><t:FileAttachment>'
        "<t:Name>a.txt</t:Name><t:Content>aGVsbG8=</t:Content></t:FileAttachment></m:Attachments></m:CreateAttachment>"
    )
    new_key = added.one("//t:AttachmentId/@RootItemChangeKey")
    assert added.one("//t:AttachmentId/@RootItemId") == item
    assert ann.get(item).ids == [(item, new_key)]
    ids = f'<m:AttachmentIds><t:AttachmentId Id="{added.one("//t:AttachmentId/@Id")}"/></m:AttachmentIds>'
    assert ann.ask(f"<m:GetAttachment>{ids}</m:GetAttachment>").one("//t:Content") == "aGVsbG8="
    gone = ann.ask(f"<m:DeleteAttachment>{ids}</m:DeleteAttachment>")
    assert gone.one("//m:RootItemId/@RootItemChangeKey") not in (key, new_key)
    left = server.item(item)
    assert left is not None
    assert [each.name for each in left.attachments] == ["logo.png", "Angebot ä.pdf"]


# --- removing and moving ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "folder"),
    [
        ("SoftDelete", "recoverableitemsdeletions"),
        ("HardDelete", "recoverableitemspurges"),
        ("MoveToDeletedItems", "deleteditems"),
    ],
)
def test_where_deleted_items_go(server: EwsServer, ann: Raw, mailbox: str, how: str, folder: str) -> None:
    item, _ = _sent(ann)
    assert ann.delete(item, how).code == "NoError"
    assert [left.folder for left in server.items(mailbox)] == [folder]
    assert server.items(mailbox)[0].id != item
    assert ann.get(item).code == "ErrorItemNotFound"
    assert ann.delete(item, how).code == "ErrorItemNotFound"


def test_what_is_purged_is_gone_where_nothing_is_kept(server: EwsServer, ann: Raw, mailbox: str) -> None:
    server.change_mailbox(mailbox, keeps_deleted=False)
    ann.delete(_sent(ann)[0], "HardDelete")
    assert server.items(mailbox) == []


def test_deleting_heeds_keys_only_where_it_is_told_to(server: EwsServer, ann: Raw) -> None:
    item, key = _sent(ann)
    server.change_item(item, is_read=False)
    server.limit(checks_key_of_delete=True)
    assert ann.delete(item, "SoftDelete", key).code == "ErrorStaleObject"
    server.limit(checks_key_of_delete=False)
    assert ann.delete(item, "SoftDelete", key).code == "NoError"


@pytest.mark.parametrize(("operation", "left"), [("MoveItem", ["inbox"]), ("CopyItem", ["inbox", "sentitems"])])
def test_moving_and_copying_give_new_ids(
    server: EwsServer, ann: Raw, mailbox: str, operation: str, left: list[str]
) -> None:
    item, _ = _sent(ann)
    answered = ann.ask(
        f'<m:{operation}><m:ToFolderId><t:DistinguishedFolderId Id="inbox"/></m:ToFolderId>'
        f'<m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:{operation}>'
    )
    assert answered.ids[0][0] != item
    assert [each.folder for each in server.items(mailbox)] == left


def test_users_act_too(server: EwsServer, ann: Raw, mailbox: str) -> None:
    item = server.add_item(mailbox, _mime(), categories=["Red"])
    (before,) = ann.find().ids
    server.change_item(item, subject="Edited", flag="Flagged")
    (after,) = ann.find().ids
    assert before[0] == after[0] == item
    assert before[1] != after[1]
    moved = server.move_item(item, "Projects")
    assert ann.find().ids == []
    assert [each.folder for each in server.items(mailbox)] == ["Projects"]
    server.delete_item(moved)
    assert server.items(mailbox) == []


def test_sending_delivers(server: EwsServer, ann: Raw, mailbox: str) -> None:
    server.add_mailbox("receiver@example.com")
    mime = b"From: ann@example.com\r\nTo: receiver@example.com\r\nBcc: eve@example.org\r\nSubject: hi\r\n\r\nhi\r\n"
    assert ann.create(mime, how="SendAndSaveCopy").code == "NoError"
    (kept,) = server.items(mailbox)
    (received,) = server.items("receiver@example.com")
    assert (kept.folder, kept.is_draft, kept.bcc) == ("sentitems", False, ["eve@example.org"])
    assert (received.folder, received.is_read, received.bcc) == ("inbox", False, [])


# --- another server ---------------------------------------------------------------------------------------------------


def test_another_server_ignores_keys_and_writes_nanoseconds(mailbox: str) -> None:
    with ews_server(flavour="other") as other:
        other.add_account("svc@example.com", "secret", impersonates=["*"])
        other.add_mailbox(mailbox)
        with raw(other, mailbox) as ann:
            item, key = ann.create(_mime(), _SENT_FLAGS, extended(_SUBMIT, "2026-05-01T08:00:00Z")).ids[0]
            other.change_item(item, categories=["Green"])
            assert ann.update(item, key, set_field("item:Categories", _BLUE)).code == "NoError"
            assert ann.get(item, field("item:DateTimeSent")).one("//t:DateTimeSent") == "2026-05-01T08:00:00.000000123Z"
            icon = '<t:ExtendedFieldURI PropertyTag="0x1080" PropertyType="Integer"/>'
            made, _ = ann.create(_mime(), extended(icon, "261")).ids[0]
            assert ann.get(made, icon).all("//t:ExtendedProperty") == []


# --- any message ------------------------------------------------------------------------------------------------------


def _content(item: PeerItem | None) -> tuple[object, ...]:
    assert item is not None
    assert item.sent_at is not None
    files = sorted(
        (each.name, each.content_id, each.is_inline, each.content) for each in item.attachments if not each.is_item
    )
    words = (item.text or "").split()
    second = item.sent_at.replace(microsecond=0)  # where there is no Date it is now
    return (item.subject, item.message_id, second, item.to, item.cc, words, files, item.item_class)


@pytest.mark.corpus
def test_what_is_made_anew_says_the_same(server: EwsServer, ann: Raw) -> None:
    messages = [message for message in corpus() if len(message.data) < 60_000][::12]
    assert len(messages) > 80
    taken = 0
    for message in messages:
        created = ann.create(message.data, _SENT_FLAGS)
        if created.code == "ErrorMimeContentInvalid":  # no header field at its beginning
            continue
        first, _ = created.ids[0]
        second, _ = ann.create(ann.get(first, mime=True).mime, _SENT_FLAGS).ids[0]
        assert _content(server.item(second)) == _content(server.item(first)), message.path
        taken += 1
    assert taken > 0.9 * len(messages)
