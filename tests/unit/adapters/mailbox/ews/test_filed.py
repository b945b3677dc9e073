"""Marks by EWS: which requests they take, folders that go meanwhile, bodies that stay, columns of all types."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from mta.adapters.mailbox.ews import EwsSentItems
from mta.model.mailbox_item import ItemRef
from mta.model.writeback import FiledMark
from mta.ports.mailbox import AccessDeniedError, ConflictError
from tests.peers.ews import EwsServer, PeerItem, ews_server

ANN = "ann@example.com"
LINK = "https://desk.example.com/ticket/7"
MARK = FiledMark("Transferred", LINK, "Ticket 7", {"Ticket": 7, "Costs": 2.5, "VIP": True, "Ort": "Köln"}, "ticket-7")
HTML = b"<html><body><p>Hello</p></body></html>"


def mime(body: bytes = HTML, kind: str = "text/html", message_id: str = "<1@example.com>") -> bytes:
    return (
        f"From: Bob <bob@example.net>\r\nTo: {ANN}\r\nSubject: Offer\r\nMessage-ID: {message_id}\r\n"
        "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: {kind}; charset=utf-8\r\nDisposition-Notification-To: bob@example.net\r\n\r\n"
    ).encode() + body


@pytest.fixture(scope="module")
def running() -> Iterator[EwsServer]:
    with ews_server() as server:
        yield server


@pytest.fixture
def server(running: EwsServer) -> EwsServer:
    running.heal()
    running.add_mailbox(ANN)
    running.add_account("svc@example.com", "secret", impersonates=["*"])
    running.forget()
    return running


@pytest.fixture
def ews(server: EwsServer, opened: Callable[..., EwsSentItems]) -> EwsSentItems:
    return opened(server.url, tls={"ca_file": str(server.ca_file)})


def _operations(server: EwsServer) -> list[str]:
    return [entry.operation for entry in server.log()]


def _item(server: EwsServer, item: str) -> PeerItem:
    found = server.item(item)
    assert found is not None
    return found


async def _put(ews: EwsSentItems, mark: FiledMark = MARK) -> None:
    for copy in await ews.find_filed(ANN, "<1@example.com>"):
        await ews.put_mark(ANN, copy.ref, mark)


async def test_a_mark_takes_four_requests_and_the_next_three(server: EwsServer, ews: EwsSentItems) -> None:
    for name in ("A", "B", "C"):
        server.add_folder(ANN, f"inbox/{name}")
    server.add_item(ANN, mime(), folder="inbox/C")
    await _put(ews)
    assert _operations(server) == ["FindFolder", "FindItem", "GetItem", "UpdateItem"]
    server.forget()
    await _put(ews, replace(MARK, category="Filed"))
    assert _operations(server) == ["FindItem", "GetItem", "UpdateItem"]
    server.forget()
    await _put(ews, replace(MARK, category="Filed"))
    assert _operations(server) == ["FindItem", "GetItem"]  # nothing is left to do
    assert all(entry.valid for entry in server.log())


async def test_columns_have_their_types_and_no_receipt_goes_out(server: EwsServer, ews: EwsSentItems) -> None:
    item = server.add_item(ANN, mime(), folder="inbox", is_read=False, categories=["Blue"])
    await _put(ews)
    marked = _item(server, item)
    named = {key.partition("/")[2]: value for key, value in marked.properties.items() if "PublicStrings" in key}
    assert named.pop("Keywords") == ["Blue", "Transferred"]
    assert named == {"StamplineLink": LINK, "Ticket": 7, "Costs": 2.5, "VIP": True, "Ort": "Köln"}
    assert [type(named[name]) for name in ("Ticket", "Costs", "VIP")] == [int, float, bool]
    assert (marked.categories, marked.is_read, server.receipts(ANN)) == (["Blue", "Transferred"], False, [])


async def test_the_link_stands_once_on_top_of_the_body(server: EwsServer, ews: EwsSentItems) -> None:
    written = server.add_item(ANN, mime(), folder="inbox")
    typed = server.add_item(ANN, mime(b"Hello\r\n", "text/plain"), folder="inbox")
    for mark in (MARK, MARK, replace(MARK, link=f"{LINK}?new")):
        await _put(ews, mark)
    html, text = _item(server, written).html or "", _item(server, typed).text or ""
    assert html.count("desk.example.com") == 1
    assert html.index(f'href="{LINK}?new"') < html.index("Hello")
    assert text.split() == ["Ticket", "7:", f"<{LINK}?new>", "Hello"]


@pytest.mark.parametrize(
    "protected",
    [
        {"item_class": "IPM.Note.SMIME.MultipartSigned"},
        {"item_class": "IPM.Note.SMIME"},
        {"item_class": "IPM.Schedule.Meeting.Request"},
        {"properties": {"InternetHeaders/content-class": "rpmsg.message"}},
        {"is_draft": True},
    ],
    ids=["signed", "encrypted", "meeting", "rights", "draft"],
)
async def test_what_is_protected_keeps_its_body(
    server: EwsServer, ews: EwsSentItems, protected: dict[str, Any]
) -> None:
    item = server.add_item(ANN, mime(), folder="inbox", **protected)
    before = _item(server, item)
    (copy,) = await ews.find_filed(ANN, "<1@example.com>")
    await ews.put_mark(ANN, copy.ref, MARK)
    marked = _item(server, item)
    assert (marked.html, marked.text) == (before.html, before.text)
    assert marked.categories == ["Transferred"]
    assert marked.properties["PublicStrings/StamplineLink"] == LINK


async def test_a_folder_that_goes_meanwhile_hides_no_copy_elsewhere(server: EwsServer, ews: EwsSentItems) -> None:
    """Nor does it make the mailbox one that is closed to us."""
    server.add_folder(ANN, "inbox/Old")
    server.add_item(ANN, mime(), folder="sentitems")
    assert len(await ews.find_filed(ANN, "<1@example.com>")) == 1
    server.remove_folder(ANN, "inbox/Old")
    assert len(await ews.find_filed(ANN, "<1@example.com>")) == 1
    server.add_folder(ANN, "inbox/New")
    server.add_item(ANN, mime(), folder="inbox/New")
    assert len(await ews.find_filed(ANN, "<1@example.com>")) == 2  # what was remembered is forgotten by that


async def test_an_inbox_that_is_closed_to_us_is_told_of(server: EwsServer, opened: Callable[..., EwsSentItems]) -> None:
    server.add_account("EXAMPLE\\few", "secret", full_access=["other@example.com"])
    server.add_mailbox("other@example.com")
    few = opened(
        server.url, tls={"ca_file": str(server.ca_file)}, user="EXAMPLE\\few", sign_in="ntlm", impersonate=False
    )
    with pytest.raises(AccessDeniedError):
        await few.find_filed(ANN, "<1@example.com>")


async def test_an_item_that_changes_in_this_moment_is_a_conflict(server: EwsServer, ews: EwsSentItems) -> None:
    """Or its owner's new category would be gone."""
    item = server.add_item(ANN, mime(), folder="inbox")
    server.fail("code", operation="UpdateItem", code="ErrorIrresolvableConflict")
    with pytest.raises(ConflictError):
        await ews.put_mark(ANN, ItemRef(item), MARK)
    await ews.put_mark(ANN, ItemRef(item), MARK)
    assert _item(server, item).categories == ["Transferred"]
