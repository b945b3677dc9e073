"""A monitored mailbox of Exchange Online, as the test server has it: folders, rights, receipts, faults."""

from __future__ import annotations

import asyncio
import email
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mta.adapters.mailbox.graph.reader import GraphReader
from mta.config.tracking_schema import GraphMailbox
from mta.ports.mailbox import (
    AccessDeniedError,
    EndpointBusyError,
    EndpointDownError,
    ItemGoneError,
    MailboxUnavailableError,
    NoMailboxError,
    OutcomeUnknownError,
    RefusedError,
    SignInError,
)
from tests.peers.graph import AUDIENCE, GraphServer, graph_server
from tests.peers.https import Authority, Response
from tests.peers.oauth import App, OAuthServer, oauth_server
from tests.unit.adapters.mailbox.graph.scripted import Scripted, of_json

_RECEIVED = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
_LARGE = 50_000_000
_numbers = count(1)
Open = Callable[..., GraphReader]


def message(*, wants_receipt: bool = False, body: str = "It burns.") -> bytes:
    receipt = "Disposition-Notification-To: jane@example.net\r\n" if wants_receipt else ""
    return (
        f"From: Jane <jane@example.net>\r\nTo: desk@example.com\r\nSubject: Fire\r\n{receipt}"
        f"Message-ID: <{next(_numbers)}@example.net>\r\nX-Stampline-Transaction: ticket/7\r\n\r\n{body}\r\n"
    ).encode()


@dataclass(frozen=True, slots=True)
class Servers:
    graph: GraphServer
    oauth: OAuthServer
    app: App


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with oauth_server(authority) as oauth, graph_server(oauth, authority) as graph:
        yield Servers(graph, oauth, oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)}))


@pytest.fixture
def graph(running: Servers) -> Iterator[GraphServer]:
    running.graph.forget()
    yield running.graph
    running.graph.heal()
    running.graph.refuse_tokens(refuses=False)
    running.graph.limit(page=1000, latency_s=0, next_page_at="", checks_folder=True)


@pytest.fixture
def mailbox(graph: GraphServer) -> str:
    address = f"desk{next(_numbers)}@example.com"
    graph.add_mailbox(address, folder_names={"inbox": "Posteingang", "sentitems": "Gesendete Elemente"})
    return address


@pytest.fixture
async def opened(running: Servers, mailbox: str, tmp_path: Path) -> AsyncIterator[Open]:
    made: list[GraphReader] = []

    def make(*, app: App = running.app, cloud: str = "global", **settings: Any) -> GraphReader:
        secret = tmp_path / f"secret{next(_numbers)}"
        secret.write_text(app.secret)
        usual: dict[str, Any] = {
            "kind": "graph", "name": "desk", "address": mailbox, "url": running.graph.url,
            "tls": {"ca_file": str(running.graph.ca_file)}, "timeout": "20s",
            "oauth": {
                "tenant": running.oauth.tenant, "client_id": app.client_id, "client_secret": {"file": str(secret)},
                "authority": running.oauth.authority_url, "scope": f"{AUDIENCE}/.default", "cloud": cloud,
            },
        }  # fmt: skip
        made.append(GraphReader(GraphMailbox.model_validate(usual | settings)))
        return made[-1]

    yield make
    for each in made:
        await each.close()


@pytest.fixture
def reader(opened: Open) -> GraphReader:
    return opened()


def deliver(graph: GraphServer, mailbox: str, mime: bytes | None = None, **more: Any) -> str:
    moment = _RECEIVED + timedelta(seconds=next(_numbers))
    values: dict[str, Any] = {"folder": "inbox", "is_read": False, "received_at": moment, **more}
    return graph.add_item(mailbox, message() if mime is None else mime, **values)


def places(graph: GraphServer, mailbox: str) -> list[str]:
    """Folders with items in them."""
    return [each.folder for each in graph.items(mailbox)]


async def seen(graph: GraphServer, reader: GraphReader, limit: int = 10) -> list[str]:
    """What waits, by the ids that `deliver` gives."""
    return [each.id for waiting in await reader.waiting(limit) if (each := graph.item(waiting.ref)) is not None]


def operations(graph: GraphServer) -> list[str]:
    return [entry.operation for entry in graph.log()]


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "path"),
    [
        ("Inbox/Tickets", "inbox/Tickets"),
        ("inbox/TICKETS", "inbox/Tickets"),
        ("Posteingang/Tickets", "Posteingang/Tickets"),
        ("Sent Items", "sentitems"),
        ("Support/2026/New", "Support/2026/New"),
    ],
)
async def test_a_folder_is_found_by_its_path_in_any_language(
    graph: GraphServer, mailbox: str, opened: Open, folder: str, path: str
) -> None:
    place = path.replace("Posteingang", "inbox")
    graph.add_folder(mailbox, place)
    item = deliver(graph, mailbox, folder=place)
    reader = opened(folder=folder)
    assert "1 messages, 1 unread" in await reader.sign_in()
    assert await seen(graph, reader) == [item]


async def test_all_folders_are_listed_and_found_page_by_page(graph: GraphServer, mailbox: str, opened: Open) -> None:
    for number in range(7):
        graph.add_folder(mailbox, f"inbox/Queue {number}")
    graph.add_folder(mailbox, "inbox/Queue 6/Old")
    graph.limit(page=2)
    listed = await opened().folders()
    assert {"Posteingang", "Posteingang/Queue 0", "Posteingang/Queue 6/Old", "Gesendete Elemente"} <= set(listed)
    assert list(listed) == sorted(listed)
    await opened(folder="Inbox/Queue 6/Old").sign_in()


async def test_folders_are_made_below_well_known_ones_and_looked_for_once(
    graph: GraphServer, mailbox: str, reader: GraphReader
) -> None:
    for _ in range(3):
        deliver(graph, mailbox)
    for waiting in await reader.waiting(10):
        await reader.move(waiting.ref, "Inbox/Done/2026")
    assert places(graph, mailbox) == ["inbox/Done/2026"] * 3
    assert (operations(graph).count("create-folder"), operations(graph).count("list-folders")) == (2, 2)


async def test_two_who_make_a_folder_at_the_same_time_get_the_same_one(
    graph: GraphServer, mailbox: str, opened: Open
) -> None:
    refs = [deliver(graph, mailbox) for _ in range(2)]
    readers = [opened() for _ in refs]
    for reader in readers:
        await reader.sign_in()
    graph.limit(latency_s=0.1)
    await asyncio.gather(*(reader.move(ref, "Done") for reader, ref in zip(readers, refs, strict=True)))
    assert places(graph, mailbox) == ["Done"] * 2


async def test_a_folder_that_somebody_removed_meanwhile_is_made_again(
    graph: GraphServer, mailbox: str, reader: GraphReader
) -> None:
    first, second = (deliver(graph, mailbox) for _ in range(2))
    await reader.move(first, "StamplineProcessed")
    graph.remove_folder(mailbox, "StamplineProcessed")
    await reader.move(second, "StamplineProcessed")
    assert places(graph, mailbox) == ["StamplineProcessed"]


async def test_a_monitored_folder_that_is_removed_is_told_of(graph: GraphServer, mailbox: str, opened: Open) -> None:
    graph.add_folder(mailbox, "inbox/Tickets")
    reader = opened(folder="Inbox/Tickets")
    await reader.sign_in()
    graph.remove_folder(mailbox, "inbox/Tickets")
    with pytest.raises(NoMailboxError, match="no-folder"):
        await reader.waiting(10)


# --- what lies there --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("do", ["mark-read", "move"])
async def test_the_oldest_come_first_and_no_more_than_asked_for(
    graph: GraphServer, mailbox: str, opened: Open, do: str
) -> None:
    young = deliver(graph, mailbox, received_at=_RECEIVED + timedelta(days=2))
    old = deliver(graph, mailbox, received_at=_RECEIVED)
    deliver(graph, mailbox, received_at=_RECEIVED + timedelta(days=3), is_read=do == "mark-read")
    reader = opened(after={"do": do})
    waiting = await reader.waiting(2)
    assert [each.received_at for each in waiting] == [_RECEIVED, _RECEIVED + timedelta(days=2)]
    assert await seen(graph, reader, 2) == [old, young]
    assert all(each.size_octets > 500 for each in waiting)
    assert len(await reader.waiting(10)) == (2 if do == "mark-read" else 3)


async def test_a_folder_of_ten_thousand_is_asked_for_the_pages_that_are_wanted(
    graph: GraphServer, mailbox: str, reader: GraphReader
) -> None:
    graph.copy_item(deliver(graph, mailbox), 9_999)
    graph.forget()
    assert len({each.ref for each in await reader.waiting(450)}) == 450
    assert operations(graph) == ["list"] * 3


async def test_drafts_are_left_to_their_writers(graph: GraphServer, mailbox: str, reader: GraphReader) -> None:
    graph.copy_item(deliver(graph, mailbox, is_draft=True), 10)
    last = deliver(graph, mailbox)
    assert await seen(graph, reader, 1) == [last]


@pytest.mark.parametrize("checks_folder", [True, False])
async def test_what_others_move_away_meanwhile_is_gone(
    graph: GraphServer, mailbox: str, reader: GraphReader, checks_folder: bool
) -> None:
    graph.limit(checks_folder=checks_folder)
    item = deliver(graph, mailbox)
    (waiting,) = await reader.waiting(10)
    graph.move_item(item, "Private")
    with pytest.raises(ItemGoneError):
        await reader.fetch(waiting.ref, _LARGE)
    await reader.mark_read(waiting.ref)
    await reader.delete(waiting.ref)
    await reader.move(waiting.ref, "StamplineProcessed")
    assert [(each.folder, each.is_read) for each in graph.items(mailbox)] == [("Private", False)]


async def test_the_message_comes_with_our_fields(graph: GraphServer, mailbox: str, reader: GraphReader) -> None:
    mime = await reader.fetch(deliver(graph, mailbox), _LARGE)
    assert email.message_from_bytes(mime)["X-Stampline-Transaction"] == "ticket/7"


async def test_a_message_that_is_too_large_is_not_loaded(graph: GraphServer, mailbox: str, reader: GraphReader) -> None:
    item = deliver(graph, mailbox, message(body="x" * 3_000_000))
    with pytest.raises(RefusedError, match="too-large"):
        await reader.fetch(item, 100_000)
    assert len(await reader.fetch(item, 6_000_000)) > 3_000_000


# --- afterwards -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_listed", [True, False])
async def test_nobody_is_told_that_a_message_was_read_or_deleted(
    graph: GraphServer, mailbox: str, opened: Open, is_listed: bool
) -> None:
    first, second, third = (deliver(graph, mailbox, message(wants_receipt=True)) for _ in range(3))
    reader, keeping = opened(after={"do": "delete"}), opened(after={"do": "delete", "purge": False})
    if is_listed:
        first, second, third = [each.ref for each in await reader.waiting(10)]
        await keeping.waiting(10)
    await reader.mark_read(first)
    await reader.delete(second)
    await keeping.delete(third)
    assert graph.receipts(mailbox) == []
    assert sorted(places(graph, mailbox)) == ["inbox", "recoverableitemsdeletions", "recoverableitemspurges"]


@pytest.mark.parametrize(
    ("cloud", "purge", "place"),
    [
        ("global", True, "recoverableitemspurges"),
        ("global", False, "recoverableitemsdeletions"),
        ("china", True, "recoverableitemsdeletions"),
    ],
)
async def test_where_deleted_messages_go(
    graph: GraphServer, mailbox: str, opened: Open, cloud: str, purge: bool, place: str
) -> None:
    reader = opened(after={"do": "delete", "purge": purge}, cloud=cloud)
    await reader.delete(deliver(graph, mailbox))
    await reader.end_session(purge=purge)
    assert places(graph, mailbox) == [place]


@pytest.mark.parametrize("checks_folder", [True, False])
async def test_a_move_whose_answer_is_lost_is_done_once(
    graph: GraphServer, mailbox: str, reader: GraphReader, checks_folder: bool
) -> None:
    graph.limit(checks_folder=checks_folder)
    deliver(graph, mailbox)
    (waiting,) = await reader.waiting(10)
    graph.fail("drop", operation="move")
    with pytest.raises(OutcomeUnknownError):
        await reader.move(waiting.ref, "StamplineProcessed")
    await reader.move(waiting.ref, "Elsewhere")
    assert places(graph, mailbox) == ["StamplineProcessed"]


# --- rights and sign-in -----------------------------------------------------------------------------------------------


async def test_a_shared_mailbox_is_opened_by_its_address(graph: GraphServer, mailbox: str, opened: Open) -> None:
    graph.add_mailbox("shared@example.com")
    item = deliver(graph, "shared@example.com")
    assert await seen(graph, opened(shared_mailbox="shared@example.com")) == [item]


async def test_rights_of_this_mailbox_alone_are_enough(
    running: Servers, graph: GraphServer, mailbox: str, opened: Open
) -> None:
    app = running.oauth.add_app(roles={AUDIENCE: ()})
    reader = opened(app=app)
    with pytest.raises(AccessDeniedError, match=r"Mail\.ReadWrite"):
        await reader.sign_in()
    graph.grant(app, [mailbox], permission="Mail.Read")
    assert "rights by role assignments only" in await reader.sign_in()
    with pytest.raises(AccessDeniedError):
        await reader.mark_read(deliver(graph, mailbox))
    graph.grant(app, [mailbox])
    await reader.mark_read((await reader.waiting(1))[0].ref)


async def test_a_mailbox_that_is_not_there(opened: Open) -> None:
    with pytest.raises(NoMailboxError, match="ErrorInvalidUser"):
        await opened(address="nobody@example.com").sign_in()


async def test_a_token_that_is_withdrawn_in_the_midst_of_a_poll_is_replaced(
    running: Servers, graph: GraphServer, mailbox: str, reader: GraphReader
) -> None:
    item = deliver(graph, mailbox)
    await reader.waiting(10)
    before = running.oauth.token_requests
    graph.fail("code", status=401, code="InvalidAuthenticationToken")
    assert await reader.fetch(item, _LARGE)
    assert running.oauth.token_requests - before == 1


async def test_a_server_that_refuses_every_token_is_asked_twice(
    running: Servers, graph: GraphServer, reader: GraphReader
) -> None:
    graph.refuse_tokens()
    before = running.oauth.token_requests
    with pytest.raises(SignInError, match="InvalidAuthenticationToken"):
        await reader.sign_in()
    assert (running.oauth.token_requests - before, graph.counters().requests) == (2, 2)


async def test_an_authority_that_refuses_is_asked_once(running: Servers, graph: GraphServer, opened: Open) -> None:
    app = running.oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)})
    reader = opened(app=app)
    running.oauth.expire_secrets(app)
    before = running.oauth.token_requests
    with pytest.raises(SignInError, match="AADSTS7000222"):
        await reader.sign_in()
    assert (running.oauth.token_requests - before, graph.counters().requests) == (1, 0)


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
async def test_a_storm_of_refusals_is_asked_once_and_says_for_how_long(
    graph: GraphServer, reader: GraphReader, status: int
) -> None:
    graph.fail("code", times=-1, status=status, code="TooManyRequests", retry_after="17")
    with pytest.raises(EndpointBusyError) as raised:
        await reader.sign_in()
    assert raised.value.retry_after == timedelta(seconds=17)
    assert graph.counters().requests == 1


async def test_a_mailbox_that_is_moved_in_the_midst_is_read_on_afterwards(
    graph: GraphServer, mailbox: str, reader: GraphReader
) -> None:
    item = deliver(graph, mailbox)
    await reader.waiting(10)
    graph.change_mailbox(mailbox, unavailable="ErrorMailboxMoveInProgress")
    for _ in range(4):
        with pytest.raises(MailboxUnavailableError):
            await reader.fetch(item, _LARGE)
    graph.change_mailbox(mailbox, unavailable="")
    assert await reader.fetch(item, _LARGE)


@pytest.mark.usefixtures("forgets_connections")
async def test_a_server_that_never_answers_is_left_in_time(graph: GraphServer, mailbox: str, opened: Open) -> None:
    deliver(graph, mailbox)
    hurried = opened(timeout="2s")
    (waiting,) = await hurried.waiting(10)
    graph.fail("hang", times=-1)
    with pytest.raises(EndpointDownError):
        await opened(timeout="1s").fetch(waiting.ref, _LARGE)
    with pytest.raises(OutcomeUnknownError):
        await hurried.mark_read(waiting.ref)
    graph.heal()
    await hurried.waiting(10)


@pytest.mark.parametrize("kind", ["html", "garbage", "empty", "truncated", "reset"])
async def test_answers_that_are_none(graph: GraphServer, mailbox: str, reader: GraphReader, kind: Any) -> None:
    item = deliver(graph, mailbox)
    graph.fail(kind, operation="list")
    with pytest.raises(EndpointDownError):
        await reader.waiting(10)
    assert await seen(graph, reader) == [item]


async def test_the_token_does_not_go_where_a_page_says(graph: GraphServer, mailbox: str, reader: GraphReader) -> None:
    graph.copy_item(deliver(graph, mailbox), 5)
    graph.limit(page=2, next_page_at="https://graph.example.net")
    with pytest.raises(EndpointDownError, match="elsewhere"):
        await reader.waiting(10)


@pytest.fixture
async def scripted_reader(script: Scripted, oauth: OAuthServer, tmp_path: Path) -> AsyncIterator[GraphReader]:
    app = oauth.add_app(roles={script.url: ("Mail.ReadWrite",)})
    (tmp_path / "secret").write_text(app.secret)
    made = GraphReader(GraphMailbox.model_validate({
        "kind": "graph", "name": "desk", "address": "desk@example.com", "url": script.url,
        "tls": {"ca_file": str(oauth.ca_file)}, "after": {"do": "mark-read"},
        "oauth": {
            "tenant": oauth.tenant, "client_id": app.client_id, "authority": oauth.authority_url,
            "client_secret": {"file": str(tmp_path / "secret")},
        },
    }))  # fmt: skip
    yield made
    await made.close()


async def test_what_sorts_stands_first_in_the_filter(script: Scripted, scripted_reader: GraphReader) -> None:
    script.replies = [of_json({"value": []})]
    assert await scripted_reader.waiting(10) == []
    query = dict(script.requests[0].query)
    assert query["$filter"] == "receivedDateTime ge 1900-01-01T00:00:00Z and isRead eq false"
    assert (query["$orderby"], query["$top"]) == ("receivedDateTime", "10")


async def test_a_list_of_nonsense_ends(script: Scripted, scripted_reader: GraphReader) -> None:
    following = f"{script.url}/v1.0/users/desk@example.com/mailFolders/inbox/messages?$skiptoken=1"
    entries = [7, None, {}, {"id": 3}, {"id": "a", "receivedDateTime": "soon"}]
    script.replies = [of_json({"value": entries, "@odata.nextLink": following})]
    with pytest.raises(EndpointDownError, match="without end"):
        await scripted_reader.waiting(10)
    assert len(script.requests) < 50


async def test_a_size_that_is_a_lie_fills_no_memory(script: Scripted, scripted_reader: GraphReader) -> None:
    script.replies = [Response(200, b"x" * 2_000_000, "text/plain")]
    with pytest.raises(RefusedError, match="too-large"):
        await scripted_reader.fetch("AAkALx=", 1_000_000)
    script.replies = [Response(200, b"", "text/plain")]
    with pytest.raises(RefusedError, match="no-mime"):
        await scripted_reader.fetch("AAkALx=", 1_000_000)


async def test_what_a_ref_holds_stays_one_part_of_an_address(script: Scripted, scripted_reader: GraphReader) -> None:
    script.replies = [Response(200, b"Subject: Hm\r\n\r\n", "text/plain")]
    await scripted_reader.fetch("../../messages?x=/y", 1_000_000)
    assert script.asked == [
        "GET /v1.0/users/desk@example.com/mailFolders/inbox/messages/..%2F..%2Fmessages%3Fx=%2Fy/$value"
    ]
