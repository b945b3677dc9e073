"""Marks by Microsoft Graph: which requests they take, folders that go meanwhile, loops, conflicts, bodies that stay."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mta.adapters.mailbox.graph import GraphSentItems
from mta.config.mailbox_schema import GraphMailboxes
from mta.model.writeback import FiledMark
from mta.ports.mailbox import ConflictError
from tests.peers.graph import AUDIENCE, GraphServer, PeerItem, graph_server
from tests.peers.https import Authority
from tests.peers.oauth import OAuthServer, oauth_server

ANN = "ann@example.com"
LINK = "https://desk.example.com/ticket/7"
MARK = FiledMark("Transferred", LINK, "Ticket 7", {"Ticket": 7, "Costs": 2.5, "VIP": True, "Ort": "Köln"}, "ticket-7")
MIME = (
    b"From: Bob <bob@example.net>\r\nTo: ann@example.com\r\nSubject: Offer\r\nMessage-ID: <1@example.com>\r\n"
    b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"
    b"Disposition-Notification-To: bob@example.net\r\n\r\n<html><body><p>Hello</p></body></html>"
)


@dataclass(frozen=True)
class Cloud:
    server: GraphServer
    settings: GraphMailboxes


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("graph-filed")
    authority = Authority(folder)
    with oauth_server(authority) as oauth, graph_server(oauth, authority) as server:
        yield Cloud(server, _settings(folder, authority, oauth, server))


def _settings(folder: Path, authority: Authority, oauth: OAuthServer, server: GraphServer) -> GraphMailboxes:
    app = oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)})
    (folder / "secret").write_text(app.secret)
    return GraphMailboxes.model_validate({
        "kind": "graph", "name": "online", "url": server.url, "tls": {"ca_file": str(authority.file)},
        "oauth": {
            "tenant": oauth.tenant, "client_id": app.client_id, "client_secret": {"file": str(folder / "secret")},
            "authority": oauth.authority_url, "scope": f"{AUDIENCE}/.default",
        },
    })  # fmt: skip


@pytest.fixture
def server(cloud: Cloud) -> GraphServer:
    cloud.server.heal()
    cloud.server.add_mailbox(ANN)
    cloud.server.forget()
    return cloud.server


@pytest.fixture
async def graph(cloud: Cloud, server: GraphServer) -> AsyncIterator[GraphSentItems]:
    opened = GraphSentItems(cloud.settings)
    yield opened
    await opened.close()


def _item(server: GraphServer, item: str) -> PeerItem:
    found = server.item(item)
    assert found is not None
    return found


async def _put(graph: GraphSentItems, mark: FiledMark = MARK) -> int:
    copies = await graph.find_filed(ANN, "<1@example.com>")
    for copy in copies:
        await graph.put_mark(ANN, copy.ref, mark)
    return len(copies)


async def test_folders_are_asked_for_once(server: GraphServer, graph: GraphSentItems) -> None:
    server.add_item(ANN, MIME, folder="inbox/Desk/Tickets")
    server.add_item(ANN, MIME, folder="Old/inbox")
    assert await _put(graph) == 1
    first = server.counters().requests
    server.forget()
    assert await _put(graph, replace(MARK, category="Filed")) == 1
    assert (first, server.counters().requests) == (1 + 2 + 5 + 2, 3)


async def test_columns_have_their_types_and_the_body_stays(server: GraphServer, graph: GraphSentItems) -> None:
    item = server.add_item(ANN, MIME, folder="inbox", is_read=False, categories=["Blue"])
    before = _item(server, item)
    await _put(graph)
    await _put(graph)
    marked = _item(server, item)
    named = {key.partition("/")[2]: value for key, value in marked.properties.items() if key.startswith("00020329-")}
    named.pop("Keywords", None)
    assert named == {"StamplineLink": LINK, "Ticket": 7, "Costs": 2.5, "VIP": True, "Ort": "Köln"}
    assert [type(named[name]) for name in ("Ticket", "Costs", "VIP")] == [int, float, bool]
    assert (marked.categories, marked.is_read, marked.html) == (["Blue", "Transferred"], False, before.html)
    assert server.receipts(ANN) == []


async def test_a_folder_that_goes_meanwhile_hides_no_copy_elsewhere(server: GraphServer, graph: GraphSentItems) -> None:
    """Nor does it make the mailbox one that isn't there."""
    server.add_item(ANN, MIME, folder="inbox/Old")
    server.add_item(ANN, MIME, folder="sentitems")
    server.fail("code", operation="get-folder", after=2, status=404, code="ErrorItemNotFound")
    assert len(await graph.find_filed(ANN, "<1@example.com>")) == 1
    assert server.faults_left() == 0


async def test_a_loop_of_copies_is_no_trouble_of_the_server(server: GraphServer, graph: GraphSentItems) -> None:
    item = server.add_item(ANN, MIME, folder="inbox")
    server.copy_item(item, 250)
    assert len(await graph.find_filed(ANN, "<1@example.com>")) == 100


async def test_copies_come_on_several_pages(server: GraphServer, graph: GraphSentItems) -> None:
    server.limit(page=2)
    item = server.add_item(ANN, MIME, folder="inbox")
    server.copy_item(item, 4)
    assert len(await graph.find_filed(ANN, "<1@example.com>")) == 5
    server.limit(page=1000)


async def test_an_item_that_changes_in_this_moment_is_a_conflict(server: GraphServer, graph: GraphSentItems) -> None:
    item = server.add_item(ANN, MIME, folder="inbox")
    server.fail("code", operation="update", status=412, code="ErrorIrresolvableConflict")
    (copy,) = await graph.find_filed(ANN, "<1@example.com>")
    with pytest.raises(ConflictError):
        await graph.put_mark(ANN, copy.ref, MARK)
    assert _item(server, item).categories == []
    await graph.put_mark(ANN, copy.ref, MARK)
    assert _item(server, item).categories == ["Transferred"]
