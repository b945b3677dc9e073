"""The tests' Exchange has folders, items that are no messages, and read receipts, as Microsoft documents them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.contract.raw_ews import Raw, equal, field, raw, set_field
from tests.peers.ews import EwsServer, ews_server

_NUMBERS = count(1)
TOP = '<t:DistinguishedFolderId Id="msgfolderroot"/>'
INBOX = '<t:DistinguishedFolderId Id="inbox"/>'
WANTED = (
    b"From: Jane <jane@example.net>\r\nTo: ann@example.com\r\nSubject: Hm\r\nMessage-ID: <r@example.net>\r\n"
    b"Disposition-Notification-To: jane@example.net\r\n\r\nHm\r\n"
)
READ = set_field("message:IsRead", "<t:IsRead>true</t:IsRead>")


@pytest.fixture(scope="module")
def server() -> Iterator[EwsServer]:
    with ews_server() as running:
        running.add_account("svc@example.com", "secret", impersonates=["*@example.com"])
        yield running


@pytest.fixture
def mailbox(server: EwsServer) -> str:
    address = f"user{next(_NUMBERS)}@example.com"
    server.add_mailbox(address, folder_names={"inbox": "Posteingang"})
    return address


@pytest.fixture
def ann(server: EwsServer, mailbox: str) -> Iterator[Raw]:
    with raw(server, mailbox) as client:
        yield client


def find_folders(ann: Raw, parent: str, *, deep: bool = False, view: str = "", restriction: str = "") -> list[str]:
    """Display names."""
    shape = f"<t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>{field('folder:DisplayName')}"
    within = f"<m:Restriction>{restriction}</m:Restriction>" if restriction else ""
    return ann.ask(
        f'<m:FindFolder Traversal="{"Deep" if deep else "Shallow"}"><m:FolderShape>{shape}</t:AdditionalProperties>'
        f"</m:FolderShape>{view}{within}<m:ParentFolderIds>{parent}</m:ParentFolderIds></m:FindFolder>"
    ).all("//t:DisplayName")


def test_folders_have_the_names_of_their_language_and_come_page_by_page(
    server: EwsServer, mailbox: str, ann: Raw
) -> None:
    server.add_folder(mailbox, "inbox/Tickets/Old")
    assert "Posteingang" in find_folders(ann, TOP)
    assert find_folders(ann, INBOX) == ["Tickets"]
    assert find_folders(ann, INBOX, deep=True) == ["Tickets", "Old"]
    assert find_folders(ann, INBOX, restriction=equal(field("folder:DisplayName"), "TICKETS")) == ["Tickets"]
    view = '<m:IndexedPageFolderView MaxEntriesReturned="1" Offset="{}" BasePoint="Beginning"/>'
    assert find_folders(ann, INBOX, deep=True, view=view.format(1)) == ["Old"]
    assert server.folders(mailbox)[-2:] == ["inbox/Tickets", "inbox/Tickets/Old"]


def test_names_of_siblings_differ(ann: Raw) -> None:
    folder = "<t:Folder><t:FolderClass>IPF.Note</t:FolderClass><t:DisplayName>{}</t:DisplayName></t:Folder>"
    for name, code in (("Done", "NoError"), ("DONE", "ErrorFolderExists")):
        made = ann.ask(
            f"<m:CreateFolder><m:ParentFolderId>{TOP}</m:ParentFolderId><m:Folders>{folder.format(name)}</m:Folders>"
            "</m:CreateFolder>"
        )
        assert made.code == code


@pytest.mark.parametrize(
    ("item_class", "element"),
    [
        ("IPM.Task", "Task"), ("IPM.Contact", "Contact"), ("IPM.Post", "PostItem"), ("IPM.Appointment", "CalendarItem"),
        ("IPM.Note.Custom", "Message"), ("IPM.Schedule.Meeting.Request", "MeetingRequest"),
    ],
)  # fmt: skip
def test_items_come_as_what_their_class_is(
    server: EwsServer, mailbox: str, ann: Raw, item_class: str, element: str
) -> None:
    item = server.add_item(mailbox, WANTED, folder="inbox", item_class=item_class)
    found = ann.find("", field("item:ItemClass"), folder=INBOX)
    assert found.one(f"//t:{element}/t:ItemClass") == item_class
    has_mime = element not in ("Task", "Contact")
    assert ann.get(item, mime=True).code == ("NoError" if has_mime else "ErrorUnsupportedMimeConversion")
    server.limit(refuses_mime_of_others=False)
    assert len(ann.get(item, mime=True).all("//t:MimeContent")) == has_mime
    server.limit(refuses_mime_of_others=True)


@pytest.mark.parametrize("how", ["read", "HardDelete", "SoftDelete", "MoveToDeletedItems"])
def test_a_receipt_goes_out_when_a_message_is_read_or_deleted_unread(
    server: EwsServer, mailbox: str, ann: Raw, how: str
) -> None:
    server.add_item(mailbox, WANTED, folder="inbox", is_read=False)
    ((item, key),) = ann.find(folder=INBOX).ids
    if how == "read":
        ann.update(item, key, READ)
        ann.delete(item, "HardDelete")
    else:
        ann.delete(item, how)
    assert server.receipts(mailbox) == [("<r@example.net>", "read" if how == "read" else "not-read")]


@pytest.mark.parametrize("operation", ["UpdateItem", "DeleteItem"])
def test_no_receipt_goes_out_where_it_is_suppressed(server: EwsServer, mailbox: str, ann: Raw, operation: str) -> None:
    server.add_item(mailbox, WANTED, folder="inbox", is_read=False)
    ((item, key),) = ann.find(folder=INBOX).ids
    named = f'<t:ItemId Id="{item}" ChangeKey="{key}"/>'
    if operation == "UpdateItem":
        changes = f"<t:ItemChange>{named}<t:Updates>{READ}</t:Updates></t:ItemChange>"
        done = ann.ask(
            '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly" '
            f'SuppressReadReceipts="true"><m:ItemChanges>{changes}</m:ItemChanges></m:UpdateItem>'
        )
    else:
        ids = f"<m:ItemIds>{named}</m:ItemIds>"
        done = ann.ask(f'<m:DeleteItem DeleteType="SoftDelete" SuppressReadReceipts="true">{ids}</m:DeleteItem>')
    assert (done.code, server.receipts(mailbox)) == ("NoError", [])
