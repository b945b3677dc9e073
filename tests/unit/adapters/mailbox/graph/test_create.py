"""Making items: what is small in one request, what is large in steps that nobody takes for a whole item."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from mta.adapters.mailbox.graph import GraphSentItems, sent_items
from mta.config.mailbox_schema import GraphMailboxes
from mta.model.mailbox_item import (
    FollowUp,
    Marks,
    NewAttachment,
    Participant,
    Reminder,
    Removal,
    ReplyMarker,
    stamped_job,
)
from mta.ports.mailbox import (
    EndpointBusyError,
    EndpointDownError,
    MailboxError,
    MailboxUnavailableError,
    OutcomeUnknownError,
    QuotaError,
    RefusedError,
)
from tests.peers.graph import AUDIENCE, GraphServer, PeerItem, graph_server
from tests.peers.https import Authority
from tests.peers.oauth import OAuthServer, oauth_server
from tests.unit.adapters.mailbox.graph.items import STAMP, new_item

MAILBOX = "ann@example.com"
JOB = stamped_job(STAMP)
MB = 1024 * 1024
LARGE = os.urandom(9 * MB)
"""Three ranges of an upload."""


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GraphServer, OAuthServer]]:
    authority = Authority(tmp_path_factory.mktemp("graph"))
    with oauth_server(authority) as oauth, graph_server(oauth, authority) as server:
        yield server, oauth


@pytest.fixture
def server(peers: tuple[GraphServer, OAuthServer]) -> Iterator[GraphServer]:
    peers[0].add_mailbox(MAILBOX)
    peers[0].forget()
    yield peers[0]
    peers[0].heal()
    peers[0].limit(octets=150 * MB)
    peers[0].remove_mailbox(MAILBOX)


@pytest_asyncio.fixture
async def graph(
    peers: tuple[GraphServer, OAuthServer], server: GraphServer, tmp_path: Path
) -> AsyncIterator[GraphSentItems]:
    oauth = peers[1]
    app = oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)})
    (tmp_path / "secret").write_text(app.secret)
    made = GraphSentItems(GraphMailboxes.model_validate({
        "kind": "graph", "name": "online", "url": server.url, "tls": {"ca_file": str(server.ca_file)}, "timeout": "10s",
        "oauth": {
            "tenant": oauth.tenant, "client_id": app.client_id, "authority": oauth.authority_url,
            "scope": f"{AUDIENCE}/.default", "client_secret": {"file": str(tmp_path / "secret")},
        },
    }))  # fmt: skip
    yield made
    await made.close()


def _file(data: bytes = b"data", name: str = "plan.pdf") -> NewAttachment:
    return NewAttachment(name, "application/pdf", data)


def _standing(server: GraphServer) -> list[PeerItem]:
    return server.items(MAILBOX, "sentitems")


async def _found(graph: GraphSentItems) -> list[str]:
    return [item.stamp for item in await graph.find(MAILBOX, "<1@example.com>", JOB)]


async def test_a_small_item_is_made_in_one_request(server: GraphServer, graph: GraphSentItems) -> None:
    picture = NewAttachment("logo.png", "image/png", b"\x89PNG", "logo@example.com", is_inline=True)
    letter = NewAttachment("letter.eml", "message/rfc822", b"Subject: inside\r\n\r\nHello\r\n")
    await graph.create(MAILBOX, new_item(_file(), picture, letter, html='<img src="cid:logo@example.com">'))
    assert server.counters().by_operation == {"create": 1}
    (item,) = _standing(server)
    assert [(one.name, one.data, one.content_id, one.is_inline) for one in item.attachments] == [
        ("plan.pdf", b"data", "", False), ("logo.png", b"\x89PNG", "logo@example.com", True),
        ("letter.eml", b"Subject: inside\r\n\r\nHello\r\n", "", False),
    ]  # fmt: skip
    assert not item.is_draft


async def test_a_new_item_has_all_that_graph_can_be_told(server: GraphServer, graph: GraphSentItems) -> None:
    due = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
    wanted = new_item(
        delivered_at=datetime(2026, 11, 22, 10, 0, 2, tzinfo=UTC),
        cc=(Participant("carol@example.net"),), bcc=(Participant("dave@example.com", "Dave"),),
        reply_to=(Participant("sales@example.com", "Sales"),), sensitivity="confidential", importance="low",
        wants_read_receipt=True, wants_delivery_receipt=True, reminder=Reminder(True, due, 30),
        conversation_topic="Hello", conversation_index=bytes(range(22)), reply_marker=ReplyMarker(261, 102, due),
    )  # fmt: skip
    follow_up = FollowUp("flagged", start_at=due - timedelta(days=1), due_at=due)
    wanted = replace(
        wanted, marks=Marks(False, ("Blue", "Größe"), follow_up), in_reply_to="<0@example.net>",
        references="<00@example.net> <0@example.net>",
        original=replace(wanted.original, sender=Participant("secretary@example.com", "Secretary")),
    )  # fmt: skip
    item = await graph.read(MAILBOX, await graph.create(MAILBOX, wanted))
    original = wanted.original
    for name in (
        "sent_at", "delivered_at", "author", "sender", "to", "bcc", "reply_to", "sensitivity", "importance",
        "wants_read_receipt", "wants_delivery_receipt", "reminder", "conversation_topic", "conversation_index",
        "reply_marker", "item_class", "is_draft", "message_id",
    ):  # fmt: skip
        assert getattr(item, name) == getattr(original, name), name
    assert [person.address for person in item.cc] == ["carol@example.net"]
    assert (item.stamp, item.in_reply_to, item.references) == (STAMP, wanted.in_reply_to, wanted.references)
    assert item.marks == wanted.marks


@pytest.mark.parametrize("status", ["flagged", "complete"])
async def test_a_flag_without_a_start_is_taken(server: GraphServer, graph: GraphSentItems, status: str) -> None:
    due = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
    ref = await graph.create(MAILBOX, new_item())
    flag = FollowUp("complete" if status == "complete" else "flagged", due_at=due, completed_at=due)
    item = await graph.read(MAILBOX, await graph.set_marks(MAILBOX, ref, Marks(follow_up=flag)))
    assert (item.marks.follow_up.status, item.marks.follow_up.due_at) == (status, due)
    cleared = await graph.read(MAILBOX, await graph.set_marks(MAILBOX, item.ref, Marks()))
    assert cleared.marks == Marks()


async def test_plain_text_stays_plain_text(server: GraphServer, graph: GraphSentItems) -> None:
    text = "Hello <b>\r\n  two  spaces & an ampersand\r\n"
    wanted = replace(new_item(), html=None, text=text)
    item = await graph.read(MAILBOX, await graph.create(MAILBOX, wanted))
    assert (item.html, item.text) == (None, text)


async def test_scripts_in_what_was_sent_are_no_edits(server: GraphServer, graph: GraphSentItems) -> None:
    html = "<html><head></head><body><p>Hello</p><script>x()</script></body></html>"
    item = await graph.read(MAILBOX, await graph.create(MAILBOX, new_item(html=html)))
    assert item.html is not None
    assert "x()" in item.html


async def test_rights_protection_and_votes_are_seen(server: GraphServer, graph: GraphSentItems) -> None:
    vote = bytes.fromhex("020101000000040000000359657308") + b"IPM.Note" + b"\0\3Yes" + bytes(29)
    common = "{00062008-0000-0000-c000-000000000046}"
    server.add_item(MAILBOX, b"Message-ID: <v@x>\r\n\r\nHi", properties={f"Binary {common} Id 0x8520": vote})
    content_class = "String {00020386-0000-0000-c000-000000000046} Name content-class"
    server.add_item(MAILBOX, b"Message-ID: <p@x>\r\n\r\nHi", properties={content_class: "rpmsg.message"})
    server.add_item(MAILBOX, b"Message-ID: <m@x>\r\n\r\nHi", item_class="IPM.Note.SMIME.MultipartSigned")
    seen = []
    for name in ("<v@x>", "<p@x>", "<m@x>"):
        (found,) = await graph.find(MAILBOX, name, JOB)
        item = await graph.read(MAILBOX, found.ref)
        seen.append((item.has_votes, item.is_protected, item.item_class))
    assert seen == [
        (True, False, "IPM.Note"), (False, True, "IPM.Note"), (False, False, "IPM.Note.SMIME.MultipartSigned")
    ]  # fmt: skip


# --- large items ------------------------------------------------------------------------------------------------------


async def test_large_attachments_are_uploaded_in_ranges(server: GraphServer, graph: GraphSentItems) -> None:
    await graph.create(MAILBOX, new_item(_file(LARGE), _file(b"small", "small.pdf")))
    assert server.counters().by_operation == {"create": 1, "create-upload": 1, "upload": 3, "attach": 1, "update": 1}
    (item,) = _standing(server)
    assert [(one.name, one.content_type, one.data) for one in item.attachments] == [
        ("plan.pdf", "application/pdf", LARGE), ("small.pdf", "application/pdf", b"small"),
    ]  # fmt: skip
    assert await _found(graph) == [STAMP]
    ranges = [entry.octets for entry in server.log() if entry.operation == "upload"]
    assert max(ranges) < 4_000_000
    assert all(size % (320 * 1024) == 0 for size in ranges[:-1])


@pytest.mark.parametrize("size", [2_900_000, 3_000_000, 3_100_000, 3 * MB - 500, 3 * MB, 3 * MB + 1])
async def test_sizes_around_three_megabytes(server: GraphServer, graph: GraphSentItems, size: int) -> None:
    await graph.create(MAILBOX, new_item(_file(LARGE[:size])))
    (item,) = _standing(server)
    assert [one.data for one in item.attachments] == [LARGE[:size]]
    assert await _found(graph) == [STAMP]


async def test_many_small_attachments_that_make_a_large_item(server: GraphServer, graph: GraphSentItems) -> None:
    files = [_file(LARGE[: 700_000 + number], f"{number}.pdf") for number in range(6)]
    await graph.create(MAILBOX, new_item(*files))
    (item,) = _standing(server)
    assert [one.name for one in item.attachments] == [f"{number}.pdf" for number in range(6)]
    assert server.counters().by_operation == {"create": 1, "attach": 6, "update": 1}


async def test_a_large_inline_picture(server: GraphServer, graph: GraphSentItems) -> None:
    picture = NewAttachment("photo.jpg", "image/jpeg", LARGE[: 5 * MB], "photo@example.com", is_inline=True)
    await graph.create(MAILBOX, new_item(picture))
    ((one,),) = (item.attachments for item in _standing(server))
    assert (one.content_id, one.is_inline, one.content_type) == ("photo@example.com", True, "image/jpeg")


async def test_text_that_graph_can_not_take(server: GraphServer, graph: GraphSentItems) -> None:
    with pytest.raises(RefusedError, match="4 MB"):
        await graph.create(MAILBOX, new_item(html="x" * 4_100_000))
    assert _standing(server) == []


async def test_an_upload_goes_on_where_it_was_interrupted(server: GraphServer, graph: GraphSentItems) -> None:
    server.fail("reset", operation="upload", after=1)  # the second range doesn't arrive
    server.fail("drop", operation="upload", after=1)  # the one after it does, and its answer doesn't
    data = os.urandom(17 * MB)
    await graph.create(MAILBOX, new_item(_file(data)))
    (item,) = _standing(server)
    assert [one.data for one in item.attachments] == [data]
    assert await _found(graph) == [STAMP]


async def test_an_upload_that_never_gets_on_ends(server: GraphServer, graph: GraphSentItems) -> None:
    server.fail("reset", operation="upload", times=-1)
    with pytest.raises(MailboxError):
        await graph.create(MAILBOX, new_item(_file(LARGE)))
    assert _standing(server) == []
    assert server.counters().by_operation["upload"] < 10


async def test_an_upload_session_that_ends(server: GraphServer, graph: GraphSentItems) -> None:
    server.fail("code", operation="upload", after=1, status=401, code="InvalidAuthenticationToken")
    with pytest.raises(MailboxUnavailableError):  # not a matter of signing in
        await graph.create(MAILBOX, new_item(_file(LARGE)))
    assert _standing(server) == []


# --- what an attempt leaves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "fault", "kind"),
    [
        ("create-upload", {"kind": "code", "status": 507, "code": "ErrorQuotaExceeded"}, QuotaError),
        ("create-upload", {"kind": "code", "status": 413, "code": "ErrorMessageSizeExceeded"}, RefusedError),
        ("create-upload", {"kind": "drop"}, OutcomeUnknownError),
        ("attach", {"kind": "drop"}, OutcomeUnknownError),
        ("attach", {"kind": "code", "status": 404, "code": "ErrorItemNotFound"}, OutcomeUnknownError),
        ("upload", {"kind": "code", "status": 503, "code": "UnknownError", "retry_after": "600"}, EndpointBusyError),
        ("upload", {"kind": "status", "status": 404}, OutcomeUnknownError),
        ("upload", {"kind": "status", "status": 302}, EndpointDownError),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else getattr(value, "__name__", ""),
)
async def test_what_fails_half_way_is_taken_away(
    server: GraphServer, graph: GraphSentItems, operation: str, fault: dict[str, object], kind: type[MailboxError]
) -> None:
    server.fail(**fault, operation=operation, times=-1)  # type: ignore[arg-type]
    with pytest.raises(kind):
        await graph.create(MAILBOX, new_item(_file(LARGE), _file()))
    assert _standing(server) == []


async def test_a_short_throttle_does_not_begin_all_again(server: GraphServer, graph: GraphSentItems) -> None:
    for operation in ("create-upload", "attach", "update"):
        server.fail("busy", operation=operation, code="ApplicationThrottled", retry_after="0")
        server.fail("busy", operation=operation, retry_after="0")
    await graph.create(MAILBOX, new_item(_file(LARGE), _file()))
    assert server.counters().by_operation["create"] == 1
    assert len(_standing(server)) == 1
    assert await _found(graph) == [STAMP]


async def test_a_short_throttle_of_the_mailbox_is_waited_for(server: GraphServer, graph: GraphSentItems) -> None:
    server.fail("busy", times=3, code="ApplicationThrottled", retry_after="0")
    assert await _found(graph) == []
    server.fail("busy", times=4, code="ApplicationThrottled", retry_after="0")
    with pytest.raises(MailboxUnavailableError):
        await _found(graph)


async def test_a_long_throttle_is_not_waited_for(server: GraphServer, graph: GraphSentItems) -> None:
    server.fail("busy", operation="attach", code="ApplicationThrottled", retry_after="300")
    with pytest.raises(MailboxUnavailableError) as raised:
        await graph.create(MAILBOX, new_item(_file(LARGE), _file()))
    assert raised.value.retry_after == timedelta(seconds=300)
    assert _standing(server) == []


_BEFORE: dict[str, dict[str, int]] = {
    "create": {},
    "create-upload": {"create": 1},
    "upload": {"create-upload": 1},
    "attach": {"upload": 3},
}


async def _broken_off(server: GraphServer, graph: GraphSentItems, operation: str) -> None:
    """An attempt of a process that ends while this is asked."""
    server.fail("slow", operation=operation, delay_s=600, after=1 if operation == "upload" else 0)
    attempt = asyncio.create_task(graph.create(MAILBOX, new_item(_file(LARGE), _file())))
    async with asyncio.timeout(60):
        while not _standing(server) or not _is_reached(server.counters().by_operation, _BEFORE[operation]):
            await asyncio.sleep(0.02)
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    with warnings.catch_warnings():  # of a connection that was being made httpcore lets go without closing it
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _is_reached(asked: dict[str, int], wanted: dict[str, int]) -> bool:
    return all(asked.get(operation, 0) >= number for operation, number in wanted.items())


@pytest.mark.parametrize("operation", ["create", "create-upload", "upload", "attach"])
async def test_what_a_crash_leaves_is_no_item_and_goes_with_the_next_search(
    server: GraphServer, graph: GraphSentItems, operation: str
) -> None:
    await _broken_off(server, graph, operation)
    assert len(_standing(server)) == 1
    assert list(await graph.find_similar(MAILBOX, "Hello", datetime(2026, 11, 22, 10, 0, tzinfo=UTC), _HOUR)) == []
    assert await _found(graph) == []
    assert _standing(server) == []


_HOUR = timedelta(hours=1)


async def test_what_another_job_works_on_is_left_alone(
    server: GraphServer, graph: GraphSentItems, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _broken_off(server, graph, "attach")
    other = "f" * 32
    assert list(await graph.find(MAILBOX, "<1@example.com>", other)) == []
    assert len(_standing(server)) == 1
    monkeypatch.setattr(sent_items, "_ABANDONED", timedelta(0))
    assert list(await graph.find(MAILBOX, "<1@example.com>", other)) == []
    assert _standing(server) == []


async def test_the_last_step_may_have_been_taken(server: GraphServer, graph: GraphSentItems) -> None:
    server.fail("drop", operation="update")
    with pytest.raises(OutcomeUnknownError):
        await graph.create(MAILBOX, new_item(_file(LARGE)))
    assert await _found(graph) == [STAMP]
    server.fail("reset", operation="update")
    with pytest.raises(OutcomeUnknownError):
        await graph.create(MAILBOX, new_item(_file(LARGE), stamp=f"{JOB} q2.0"))
    assert await _found(graph) == [STAMP]
    assert len(_standing(server)) == 1


# --- what users do meanwhile ------------------------------------------------------------------------------------------


async def test_an_item_that_was_moved_is_gone_for_us(server: GraphServer, graph: GraphSentItems) -> None:
    ref = await graph.create(MAILBOX, new_item())
    item = _standing(server)[0]
    server.move_item(item.id, "Archive 2026")
    await graph.remove(MAILBOX, ref, Removal.FOR_GOOD)
    assert [one.folder for one in server.items(MAILBOX)] == ["Archive 2026"]


async def test_a_hundred_look_alikes_are_all_found(server: GraphServer, graph: GraphSentItems) -> None:
    for number in range(120):
        server.add_item(
            MAILBOX, f"Subject: Hello\r\nMessage-ID: <{number}@x>\r\n\r\nHi".encode(),
            sent_at=datetime(2026, 11, 22, 10, 0, tzinfo=UTC),
        )  # fmt: skip
    moment = datetime(2026, 11, 22, 10, 1, tzinfo=UTC)
    assert len(await graph.find_similar(MAILBOX, "Hello", moment, timedelta(minutes=2))) == 120


async def test_signing_in_tells_application_rights_and_items(server: GraphServer, graph: GraphSentItems) -> None:
    await graph.create(MAILBOX, new_item())
    told = await graph.sign_in(MAILBOX)
    assert re.fullmatch(
        r"Microsoft Graph at localhost, application [0-9a-f-]{36} \(roles Mail.ReadWrite\): Sent Items of 1 items", told
    )
