"""A monitored mailbox at Exchange, as the test server has it: folders, items that are no messages, rights, faults."""

from __future__ import annotations

import asyncio
import email
import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mta.adapters.mailbox.ews.reader import EwsReader
from mta.config.tracking_schema import EwsMailbox
from mta.ports.mailbox import (
    AccessDeniedError,
    EndpointBusyError,
    EndpointDownError,
    MailboxUnavailableError,
    NoMailboxError,
    OutcomeUnknownError,
    RefusedError,
    SignInError,
)
from tests.peers.ews import EwsServer, ews_server
from tests.peers.https import Authority, Response
from tests.peers.oauth import OAuthServer, oauth_server
from tests.unit.adapters.mailbox.ews.conftest import Scripted, response

_RECEIVED = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
_LARGE = 50_000_000
_numbers = count(1)
Open = Callable[..., EwsReader]

MEETING = (
    b"From: Jane <jane@example.net>\r\nTo: desk@example.com\r\nSubject: Planning\r\nMessage-ID: <m@example.net>\r\n"
    b'MIME-Version: 1.0\r\nContent-Type: text/calendar; method="REQUEST"; charset=utf-8\r\n\r\n'
    b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"
)
BOUNCE = (
    b"From: postmaster@example.net\r\nTo: desk@example.com\r\nSubject: Undeliverable\r\nMessage-ID: <b@example.net>\r\n"
    b'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    b"--b\r\n\r\nIt did not arrive.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
    b"Reporting-MTA: dns;mx.example.net\r\n\r\nFinal-Recipient: rfc822;bob@example.net\r\nAction: failed\r\n"
    b"Status: 5.1.1\r\n\r\n--b--\r\n"
)


def message(*, wants_receipt: bool = False, body: str = "It burns.") -> bytes:
    receipt = "Disposition-Notification-To: jane@example.net\r\n" if wants_receipt else ""
    return (
        f"From: Jane <jane@example.net>\r\nTo: desk@example.com\r\nSubject: Fire\r\n{receipt}"
        f"Message-ID: <{next(_numbers)}@example.net>\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n\r\n{body}\r\n"
    ).encode()


@pytest.fixture(scope="module")
def running() -> Iterator[EwsServer]:
    with ews_server() as server:
        server.add_account("svc@example.com", "secret", impersonates=["*@example.com"])
        yield server


@pytest.fixture
def server(running: EwsServer) -> Iterator[EwsServer]:
    running.forget()
    yield running
    running.heal()
    running.limit(largest_page=1000, refuses_mime_of_others=True, latency_s=0)


@pytest.fixture
def mailbox(server: EwsServer) -> str:
    address = f"desk{next(_numbers)}@example.com"
    server.add_mailbox(address, folder_names={"inbox": "Posteingang", "sentitems": "Gesendete Elemente"})
    return address


@pytest.fixture
async def opened(server: EwsServer, mailbox: str, tmp_path: Path) -> AsyncIterator[Open]:
    made: list[EwsReader] = []
    for name in ("secret", "wrong"):
        (tmp_path / name).write_text(name)

    def make(*, password: str = "secret", **settings: Any) -> EwsReader:
        usual: dict[str, Any] = {
            "kind": "ews", "name": "desk", "address": mailbox, "url": server.url, "sign_in": "basic",
            "user": "svc@example.com", "password": {"file": str(tmp_path / password)}, "impersonate": True,
            "tls": {"ca_file": str(server.ca_file)}, "timeout": "20s",
        }  # fmt: skip
        made.append(EwsReader(EwsMailbox.model_validate(usual | settings)))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
def reader(opened: Open) -> EwsReader:
    return opened()


def deliver(server: EwsServer, mailbox: str, mime: bytes | None = None, **more: Any) -> str:
    moment = _RECEIVED + timedelta(seconds=next(_numbers))
    values: dict[str, Any] = {"folder": "inbox", "is_read": False, "received_at": moment, **more}
    return server.add_item(mailbox, message() if mime is None else mime, **values)


def places(server: EwsServer, mailbox: str) -> list[str]:
    """Folders with items in them."""
    return [each.folder for each in server.items(mailbox)]


def operations(server: EwsServer) -> list[str]:
    return [entry.operation for entry in server.log()]


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "path"),
    [
        ("Inbox/Tickets", "inbox/Tickets"),
        ("inbox/TICKETS", "inbox/Tickets"),
        ("Posteingang/Tickets", "inbox/Tickets"),
        ("Sent Items", "sentitems"),
        ("Support/2026/New", "Support/2026/New"),
    ],
)
async def test_a_folder_is_found_by_its_path_in_any_language(
    server: EwsServer, mailbox: str, opened: Open, folder: str, path: str
) -> None:
    server.add_folder(mailbox, path)
    item = deliver(server, mailbox, folder=path)
    reader = opened(folder=folder)
    assert "1 messages, 1 unread" in await reader.sign_in()
    assert [each.ref for each in await reader.waiting(10)] == [item]


async def test_all_folders_of_mail_are_listed_page_by_page(server: EwsServer, mailbox: str, reader: EwsReader) -> None:
    server.limit(largest_page=4)
    server.add_folder(mailbox, "inbox/Tickets/Old")
    server.add_folder(mailbox, "inbox/Birthdays", "IPF.Appointment")
    listed = await reader.folders()
    assert {"Posteingang", "Posteingang/Tickets", "Posteingang/Tickets/Old", "Gesendete Elemente"} <= set(listed)
    assert {"Posteingang/Birthdays", "Calendar", "Contacts"}.isdisjoint(listed)
    assert list(listed) == sorted(listed)


async def test_folders_are_made_below_well_known_ones_and_looked_for_once(
    server: EwsServer, mailbox: str, reader: EwsReader
) -> None:
    for _ in range(3):
        deliver(server, mailbox)
    for waiting in await reader.waiting(10):
        await reader.move(waiting.ref, "Inbox/Done/2026")
    assert places(server, mailbox) == ["inbox/Done/2026"] * 3
    assert (operations(server).count("CreateFolder"), operations(server).count("FindFolder")) == (2, 2)


async def test_a_name_may_have_a_slash_in_it(server: EwsServer, mailbox: str, reader: EwsReader) -> None:
    await reader.move(deliver(server, mailbox), "Yes\\/No")
    assert places(server, mailbox) == ["Yes/No"]
    assert "Yes\\/No" in await reader.folders()


async def test_two_who_make_a_folder_at_the_same_time_get_the_same_one(
    server: EwsServer, mailbox: str, opened: Open
) -> None:
    refs = [deliver(server, mailbox) for _ in range(2)]
    server.limit(latency_s=0.1)
    await asyncio.gather(*(opened().move(ref, "StamplineProcessed") for ref in refs))
    assert places(server, mailbox) == ["StamplineProcessed"] * 2


async def test_a_folder_that_somebody_removed_meanwhile_is_made_again(
    server: EwsServer, mailbox: str, reader: EwsReader
) -> None:
    first, second = (deliver(server, mailbox) for _ in range(2))
    await reader.move(first, "StamplineProcessed")
    server.remove_folder(mailbox, "StamplineProcessed")
    await reader.move(second, "StamplineProcessed")
    assert places(server, mailbox) == ["StamplineProcessed"]


async def test_a_monitored_folder_that_is_removed_is_told_of(server: EwsServer, mailbox: str, opened: Open) -> None:
    server.add_folder(mailbox, "inbox/Tickets")
    reader = opened(folder="Inbox/Tickets")
    await reader.sign_in()
    server.remove_folder(mailbox, "inbox/Tickets")
    with pytest.raises(NoMailboxError, match="no-folder"):
        await reader.waiting(10)


# --- what lies there --------------------------------------------------------------------------------------------------


async def test_the_oldest_come_first_and_no_more_than_asked_for(
    server: EwsServer, mailbox: str, reader: EwsReader
) -> None:
    young = deliver(server, mailbox, received_at=_RECEIVED + timedelta(days=2))
    old = deliver(server, mailbox, received_at=_RECEIVED)
    waiting = await reader.waiting(10)
    assert [(each.ref, each.received_at) for each in waiting] == [
        (old, _RECEIVED), (young, _RECEIVED + timedelta(days=2)),
    ]  # fmt: skip
    assert [each.ref for each in await reader.waiting(1)] == [old]


async def test_a_folder_of_thousands_is_asked_for_the_pages_that_are_wanted(
    server: EwsServer, mailbox: str, reader: EwsReader
) -> None:
    server.copy_item(deliver(server, mailbox), 2_999)
    server.forget()
    assert len({each.ref for each in await reader.waiting(450)}) == 450
    assert operations(server) == ["FindItem"] * 3


async def test_drafts_are_left_to_their_writers(server: EwsServer, mailbox: str, reader: EwsReader) -> None:
    server.copy_item(deliver(server, mailbox, is_draft=True), 10)
    last = deliver(server, mailbox)
    assert [each.ref for each in await reader.waiting(1)] == [last]


async def test_meetings_and_reports_are_given_as_they_are(server: EwsServer, mailbox: str, reader: EwsReader) -> None:
    deliver(server, mailbox, MEETING)
    deliver(server, mailbox, BOUNCE)
    meeting, bounce = [await reader.fetch(each.ref, _LARGE) for each in await reader.waiting(10)]
    assert email.message_from_bytes(meeting).get_content_type() == "text/calendar"
    assert (meeting, bounce) == (MEETING, BOUNCE)
    assert [each.item_class for each in server.items(mailbox)] == [
        "IPM.Schedule.Meeting.Request", "REPORT.IPM.Note.NDR",
    ]  # fmt: skip


@pytest.mark.parametrize("item_class", ["IPM.Task", "IPM.Contact", "IPM.Appointment"])
async def test_what_is_no_message_is_refused_and_can_be_set_aside(
    server: EwsServer, mailbox: str, reader: EwsReader, item_class: str
) -> None:
    deliver(server, mailbox, item_class=item_class)
    (waiting,) = await reader.waiting(10)
    with pytest.raises(RefusedError, match="no-message"):
        await reader.fetch(waiting.ref, _LARGE)
    await reader.move(waiting.ref, "StamplineSetAside")
    assert places(server, mailbox) == ["StamplineSetAside"]


async def test_what_exchange_makes_no_mime_of_is_refused(server: EwsServer, mailbox: str, reader: EwsReader) -> None:
    item = deliver(server, mailbox)
    await reader.waiting(10)
    server.fail("code", operation="GetItem", code="ErrorUnsupportedMimeConversion")
    with pytest.raises(RefusedError, match="ErrorUnsupportedMimeConversion"):
        await reader.fetch(item, _LARGE)


@pytest.mark.parametrize("item_class", ["IPM.Post", "IPM.Schedule.Meeting.Request", "IPM.Note.Custom"])
async def test_items_of_many_classes_are_marked_as_read(
    server: EwsServer, mailbox: str, opened: Open, item_class: str
) -> None:
    item = deliver(server, mailbox, item_class=item_class)
    reader = opened(after={"do": "mark-read"})
    assert [each.ref for each in await reader.waiting(10)] == [item]
    assert await reader.fetch(item, _LARGE)
    await reader.mark_read(item)
    assert await reader.waiting(10) == []


async def test_an_item_that_is_far_too_large_is_not_asked_for(
    server: EwsServer, mailbox: str, reader: EwsReader
) -> None:
    deliver(server, mailbox, message(body="x" * 100_000))
    (waiting,) = await reader.waiting(10)
    assert waiting.size_octets > 100_000
    server.forget()
    with pytest.raises(RefusedError, match="too-large"):
        await reader.fetch(waiting.ref, 10_000)
    assert operations(server) == []


# --- afterwards -------------------------------------------------------------------------------------------------------


async def test_nobody_is_told_that_a_message_was_read_or_deleted(server: EwsServer, mailbox: str, opened: Open) -> None:
    reader = opened(after={"do": "delete"})
    first, second = (deliver(server, mailbox, message(wants_receipt=True)) for _ in range(2))
    await reader.mark_read(first)
    await reader.delete(second)
    assert [each.is_read for each in server.items(mailbox, "inbox")] == [True]
    assert server.receipts(mailbox) == []


@pytest.mark.parametrize(("purge", "place"), [(True, "recoverableitemspurges"), (False, "recoverableitemsdeletions")])
async def test_where_deleted_messages_go(
    server: EwsServer, mailbox: str, opened: Open, purge: bool, place: str
) -> None:
    reader = opened(after={"do": "delete", "purge": purge})
    await reader.delete(deliver(server, mailbox))
    await reader.end_session(purge=purge)
    assert places(server, mailbox) == [place]


async def test_what_its_user_changes_meanwhile_is_marked_all_the_same(
    server: EwsServer, mailbox: str, opened: Open
) -> None:
    reader = opened(after={"do": "mark-read"})
    item = deliver(server, mailbox)
    await reader.waiting(10)
    server.change_item(item, categories=["Red"])
    await reader.mark_read(item)
    (shown,) = server.items(mailbox, "inbox")
    assert (shown.is_read, shown.categories) == (True, ["Red"])


async def test_a_move_whose_answer_is_lost_is_done_once(server: EwsServer, mailbox: str, reader: EwsReader) -> None:
    item = deliver(server, mailbox)
    server.fail("drop", operation="MoveItem")
    with pytest.raises(OutcomeUnknownError):
        await reader.move(item, "StamplineProcessed")
    await reader.move(item, "StamplineProcessed")
    assert places(server, mailbox) == ["StamplineProcessed"]


# --- rights and sign-in -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rights", ["full", "read", "none"])
async def test_a_shared_mailbox_needs_full_access(server: EwsServer, mailbox: str, opened: Open, rights: str) -> None:
    item = deliver(server, mailbox)
    own = f"jane{next(_numbers)}@example.com"
    server.add_mailbox(own)
    scopes: dict[str, Any] = {"full": {"full_access": [mailbox]}, "read": {"read_access": [mailbox]}, "none": {}}[
        rights
    ]
    server.add_account(own, "secret", mailbox=own, **scopes)
    reader = opened(address=own, user=own, shared_mailbox=mailbox, impersonate=False)
    if rights == "none":
        with pytest.raises(AccessDeniedError):
            await reader.sign_in()
        return
    await reader.sign_in()
    assert [each.ref for each in await reader.waiting(10)] == [item]
    if rights == "read":
        with pytest.raises(AccessDeniedError):
            await reader.move(item, "Inbox")
        assert places(server, mailbox) == ["inbox"]
    else:
        await reader.move(item, "StamplineProcessed")
        assert places(server, mailbox) == ["StamplineProcessed"]


async def test_an_accounts_own_mailbox_is_opened_by_any_of_its_addresses(server: EwsServer, opened: Open) -> None:
    server.add_mailbox("office@example.com", aliases=["help@example.com"])
    server.add_account("office@example.com", "secret", mailbox="office@example.com")
    item = deliver(server, "office@example.com")
    reader = opened(address="help@example.com", user="office@example.com", impersonate=False)
    assert [each.ref for each in await reader.waiting(10)] == [item]


async def test_the_endpoint_is_found_by_autodiscover(server: EwsServer, mailbox: str, opened: Open) -> None:
    item = deliver(server, mailbox)
    reader = opened(url="", autodiscover=server.autodiscover_url)
    for _ in range(2):
        assert [each.ref for each in await reader.waiting(10)] == [item]
        await reader.end_session(purge=True)


async def test_a_wrong_password_is_tried_once_a_poll(server: EwsServer, opened: Open) -> None:
    server.add_account("EXAMPLE\\strict", "secret", impersonates=["*"], locks_after=3)
    reader = opened(user="EXAMPLE\\strict", password="wrong", sign_in="ntlm")
    with pytest.raises(SignInError):
        await reader.sign_in()
    assert server.counters().wrong_sign_ins["EXAMPLE\\strict"] == 1


AUDIENCE = "https://outlook.office365.com"


@pytest.fixture(scope="module")
def oauth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OAuthServer]:
    with oauth_server(Authority(tmp_path_factory.mktemp("oauth"))) as made:
        yield made


@pytest.fixture(scope="module")
def online(oauth: OAuthServer) -> Iterator[EwsServer]:
    with ews_server(offers=("bearer",), oauth_keys=[oauth.key.jwk()]) as made:
        yield made


async def test_an_app_impersonates_without_being_told_and_renews_what_is_not_taken(
    oauth: OAuthServer, online: EwsServer, tmp_path: Path
) -> None:
    app = oauth.add_app(roles={AUDIENCE: ("full_access_as_app",)})
    online.add_mailbox("desk@example.com")
    online.add_account(app.client_id)
    item = deliver(online, "desk@example.com")
    (tmp_path / "secret").write_text(app.secret)
    (tmp_path / "ca.pem").write_bytes(oauth.ca_file.read_bytes() + online.ca_file.read_bytes())
    reader = EwsReader(EwsMailbox.model_validate({
        "kind": "ews", "name": "desk", "address": "desk@example.com", "url": online.url, "sign_in": "oauth",
        "tls": {"ca_file": str(tmp_path / "ca.pem")},
        "oauth": {
            "tenant": oauth.tenant, "client_id": app.client_id, "authority": oauth.authority_url,
            "client_secret": {"file": str(tmp_path / "secret")},
        },
    }))  # fmt: skip
    try:
        assert [each.ref for each in await reader.waiting(10)] == [item]
        online.fail("status", status=401)  # in the midst of a poll
        assert await reader.fetch(item, _LARGE)
        await reader.move(item, "StamplineProcessed")
        before = oauth.token_requests
        online.fail("status", status=401, times=-1)
        online.forget()
        with pytest.raises(SignInError):
            await reader.waiting(10)
        assert (oauth.token_requests - before, online.counters().requests) == (1, 2)
    finally:
        await reader.close()
    assert places(online, "desk@example.com") == ["StamplineProcessed"]


# --- faults -----------------------------------------------------------------------------------------------------------


async def test_a_busy_server_is_asked_once_and_says_for_how_long(server: EwsServer, reader: EwsReader) -> None:
    server.fail("busy", times=-1, back_off_ms=7000)
    with pytest.raises(EndpointBusyError) as raised:
        await reader.sign_in()
    assert raised.value.retry_after == timedelta(seconds=7)
    server.heal()
    server.fail("status", times=-1, status=503, retry_after="9")
    with pytest.raises(EndpointBusyError) as raised:
        await reader.waiting(10)
    assert raised.value.retry_after == timedelta(seconds=9)
    assert server.counters().requests == 2


async def test_a_mailbox_that_is_moved_in_the_midst_is_read_on_afterwards(
    server: EwsServer, mailbox: str, reader: EwsReader
) -> None:
    item = deliver(server, mailbox)
    await reader.waiting(10)
    server.change_mailbox(mailbox, unavailable="ErrorMailboxMoveInProgress")
    for _ in range(4):
        with pytest.raises(MailboxUnavailableError):
            await reader.fetch(item, _LARGE)
    server.change_mailbox(mailbox, unavailable="")
    assert await reader.fetch(item, _LARGE)


async def test_a_server_that_never_answers_is_left_in_time(server: EwsServer, mailbox: str, opened: Open) -> None:
    item = deliver(server, mailbox)
    server.fail("hang", times=-1)
    with pytest.raises(EndpointDownError):
        await opened(timeout="1s").fetch(item, _LARGE)
    hurried = opened(timeout="2s")
    with pytest.raises(OutcomeUnknownError):
        await hurried.delete(item)
    server.heal()
    await hurried.waiting(10)


@pytest.mark.parametrize("kind", ["html", "garbage", "empty", "truncated", "reset"])
async def test_answers_that_are_none(server: EwsServer, mailbox: str, reader: EwsReader, kind: Any) -> None:
    item = deliver(server, mailbox)
    server.fail(kind, times=1)
    with pytest.raises(EndpointDownError):
        await reader.waiting(10)
    assert [each.ref for each in await reader.waiting(10)] == [item]


# --- servers that answer what they like -------------------------------------------------------------------------------


def found_folders(*folders: str, is_last: bool = True) -> str:
    inside = f'<m:RootFolder IncludesLastItemInRange="{str(is_last).lower()}"><t:Folders>{"".join(folders)}</t:Folders>'
    return response("FindFolder", f"{inside}</m:RootFolder>")


def folder(identity: str, parent: str, name: str) -> str:
    ids = f'<t:FolderId Id="{identity}"/><t:ParentFolderId Id="{parent}"/>'
    return f"<t:Folder>{ids}<t:DisplayName>{name}</t:DisplayName></t:Folder>"


async def test_folders_that_are_their_own_ancestors(scripted: Scripted, opened: Open) -> None:
    scripted.answers = [found_folders(folder("a", "b", "A"), folder("b", "a", "B"), "<t:Folder/>")]
    reader = opened(url=scripted.url, tls={"ca_file": str(scripted.authority.file)})
    assert [path.count("/") for path in await reader.folders()] == [49, 49]


async def test_a_list_of_folders_without_end(scripted: Scripted, opened: Open) -> None:
    scripted.answers = [found_folders(folder("a", "", "A"), is_last=False)]
    reader = opened(url=scripted.url, tls={"ca_file": str(scripted.authority.file)})
    with pytest.raises(EndpointDownError, match="without end"):
        await reader.folders()
    assert len(scripted.asked) == 20


async def test_a_page_that_comes_again_and_again(scripted: Scripted, opened: Open) -> None:
    items = (
        '<t:Message><t:ItemId Id="a" ChangeKey="b"/><t:Size>-5</t:Size><t:DateTimeReceived>soon</t:DateTimeReceived>'
        "</t:Message><t:Message/><t:Message><t:ItemId/></t:Message>"
    )
    page = f'<m:RootFolder IncludesLastItemInRange="false"><t:Items>{items}</t:Items></m:RootFolder>'
    scripted.answers = [response("FindItem", page)]
    reader = opened(url=scripted.url, tls={"ca_file": str(scripted.authority.file)})
    (waiting,) = await reader.waiting(100)
    assert (waiting.ref, waiting.size_octets, waiting.received_at) == ("a", 0, None)
    assert len(scripted.asked) <= 21


@pytest.mark.parametrize("mime", ["", "<t:MimeContent>A</t:MimeContent>", "<t:MimeContent/>"])
async def test_an_item_without_mime(scripted: Scripted, opened: Open, mime: str) -> None:
    item = f'<m:Items><t:Message>{mime}<t:ItemId Id="a" ChangeKey="b"/></t:Message></m:Items>'
    scripted.answers = [response("GetItem", item)]
    reader = opened(url=scripted.url, tls={"ca_file": str(scripted.authority.file)})
    with pytest.raises(RefusedError, match="no-mime"):
        await reader.fetch("a", _LARGE)


async def test_an_answer_that_is_larger_than_any_message_may_be_is_not_read(scripted: Scripted, opened: Open) -> None:
    look = '<m:Items><t:Message><t:ItemId Id="a" ChangeKey="b"/><t:Size>1000</t:Size></t:Message></m:Items>'
    bomb = gzip.compress(b"<?xml version='1.0'?>" + b" " * 100_000_000)
    scripted.answers = [response("GetItem", look), Response(200, bomb, "text/xml", {"Content-Encoding": "gzip"})]
    reader = opened(url=scripted.url, tls={"ca_file": str(scripted.authority.file)})
    with pytest.raises(RefusedError, match="too-large"):
        await reader.fetch("a", 1_000_000)
