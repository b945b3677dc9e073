"""What refusals, faults and answers that are none mean; what goes to whom."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from mta.adapters.mailbox.graph import GraphSentItems
from mta.adapters.mailbox.graph import connection as graph_connection
from mta.model.mailbox_item import ItemRef, Marks, Removal
from mta.ports.mailbox import (
    AccessDeniedError,
    ConflictError,
    EndpointBusyError,
    EndpointDownError,
    EndpointOverloadedError,
    ItemGoneError,
    MailboxError,
    MailboxUnavailableError,
    NoMailboxError,
    OutcomeUnknownError,
    QuotaError,
    RefusedError,
    SignInError,
    TlsFailedError,
)
from tests.peers.https import Authority, HttpsServer, Request, Response
from tests.peers.oauth import OAuthServer
from tests.unit.adapters.mailbox.graph.items import new_item
from tests.unit.adapters.mailbox.graph.scripted import MAILBOX, Scripted, adapter, error, of_json

JOB = "0" * 32
REF = ItemRef("AAMk=", "")
Call = Callable[[GraphSentItems], Awaitable[object]]


def _find(graph: GraphSentItems) -> Awaitable[object]:
    return graph.find(MAILBOX, "<1@example.com>", JOB)


def _read(graph: GraphSentItems) -> Awaitable[object]:
    return graph.read(MAILBOX, REF)


def _create(graph: GraphSentItems) -> Awaitable[object]:
    return graph.create(MAILBOX, new_item())


def _mark(graph: GraphSentItems) -> Awaitable[object]:
    return graph.set_marks(MAILBOX, REF, Marks())


@pytest.mark.parametrize(
    ("call", "answer", "kind"),
    [
        (_find, error(429, "ApplicationThrottled"), MailboxUnavailableError),
        (_find, error(429, "TooManyRequests"), EndpointBusyError),
        (_find, error(429, "UnknownError"), EndpointBusyError),
        (_find, error(503, "UnknownError"), EndpointBusyError),
        (_find, error(500, "ErrorTooManyObjectsOpened"), EndpointOverloadedError),
        (_find, error(503, "ErrorMailboxMoveInProgress"), MailboxUnavailableError),
        (_find, error(500, "InternalServerError"), MailboxUnavailableError),
        (_find, error(412, "ErrorIrresolvableConflict"), MailboxUnavailableError),
        (_find, error(502, "UnknownError"), EndpointDownError),
        (_find, error(404, "MailboxNotEnabledForRESTAPI"), NoMailboxError),
        (_find, error(404, "ErrorItemNotFound"), NoMailboxError),
        (_find, error(404, "Request_ResourceNotFound"), NoMailboxError),
        (_find, error(403, "ErrorAccessDenied"), AccessDeniedError),
        (_find, error(403, "Authorization_RequestDenied"), SignInError),
        (_find, error(403, "SomethingNew"), SignInError),
        (_find, error(400, "BadRequest"), RefusedError),
        (_find, Response(301, b"{}", headers={"Location": "https://example.com/"}), EndpointDownError),
        (_read, error(404, "ErrorItemNotFound"), ItemGoneError),
        (_create, error(413, "ErrorMessageSizeExceeded"), RefusedError),
        (_create, error(413, ""), RefusedError),
        (_create, error(507, "ErrorQuotaExceeded"), QuotaError),
        (_create, error(500, "InternalServerError"), OutcomeUnknownError),
        (_create, error(504, "UnknownError"), OutcomeUnknownError),
        (_create, Response(is_dropped=True), OutcomeUnknownError),
        (_create, Response(201, b"<html>"), OutcomeUnknownError),
        (_create, of_json({}, 201), OutcomeUnknownError),
        (_mark, error(412, "ErrorIrresolvableConflict"), ConflictError),
        (_mark, error(404, "ErrorItemNotFound"), ItemGoneError),
    ],
    ids=lambda value: value.__name__ if callable(value) else f"{value.status}-{value.body[:40].decode()}",
)
async def test_a_refusal(
    script: Scripted, graph: GraphSentItems, call: Call, answer: Response, kind: type[MailboxError]
) -> None:
    script.replies = [answer]
    with pytest.raises(kind) as raised:
        await call(graph)
    assert "top secret" not in str(raised.value)


async def test_a_quota_may_stand_inside_another_error(script: Scripted, graph: GraphSentItems) -> None:
    inside = {"error": {"code": "ErrorInternalServerError", "innerError": {"code": "ErrorQuotaExceeded"}}}
    script.replies = [of_json(inside, 500)]
    with pytest.raises(QuotaError):
        await graph.create(MAILBOX, new_item())


@pytest.mark.parametrize(
    ("written", "hint"),
    [("7", 7.0), ("0.5", 0.5), ("99999999", 86400.0), ("soon", None), ("-5", None), ("", None)],
)
async def test_the_pause_that_a_server_asks_for(
    script: Scripted, graph: GraphSentItems, written: str, hint: float | None
) -> None:
    script.replies = [error(429, "TooManyRequests", Retry_After=written)]
    with pytest.raises(EndpointBusyError) as raised:
        await _find(graph)
    assert raised.value.retry_after == (None if hint is None else timedelta(seconds=hint))


async def test_the_pause_may_be_a_date(script: Scripted, graph: GraphSentItems) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=5)
    script.replies = [error(503, "UnknownError", Retry_After=format_datetime(moment, usegmt=True))]
    with pytest.raises(EndpointBusyError) as raised:
        await _find(graph)
    assert raised.value.retry_after is not None
    assert timedelta(minutes=4) < raised.value.retry_after <= timedelta(minutes=5)


async def test_an_error_names_the_request_for_microsofts_support(script: Scripted, graph: GraphSentItems) -> None:
    script.replies = [error(403, "ErrorAccessDenied", request_id="6f0a7bde-1111-4000-8000-000000000000")]
    with pytest.raises(AccessDeniedError) as raised:
        await _find(graph)
    assert raised.value.code == "ErrorAccessDenied"
    assert "6f0a7bde-1111-4000-8000-000000000000" in raised.value.detail
    assert "Mail.ReadWrite" in raised.value.detail


async def test_a_token_that_is_withdrawn_is_replaced_once(
    script: Scripted, oauth: OAuthServer, graph: GraphSentItems
) -> None:
    before = oauth.token_requests
    script.replies = [error(401, "InvalidAuthenticationToken"), of_json({"value": []})]
    assert list(await graph.find(MAILBOX, "<1@example.com>", JOB)) == []
    assert oauth.token_requests == before + 2
    first, second = (request.headers["authorization"] for request in script.requests[:2])
    assert first != second


async def test_a_server_that_refuses_every_token(script: Scripted, oauth: OAuthServer, graph: GraphSentItems) -> None:
    before = oauth.token_requests
    script.replies = [error(401, "InvalidAuthenticationToken")]
    with pytest.raises(SignInError):
        await _find(graph)
    assert len(script.requests) == 2
    assert oauth.token_requests == before + 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Response(200, b"<html>Sign in</html>", "text/html"), id="html"),
        pytest.param(Response(200, b"[" * 200_000), id="deep"),
        pytest.param(Response(200, b'{"value": 1' + b"0" * 5000 + b"}"), id="number"),
        pytest.param(Response(200, b"[]"), id="list"),
        pytest.param(of_json({"value": {"id": "x"}}), id="no-list"),
        pytest.param(of_json({}), id="nothing"),
        pytest.param(Response(is_dropped=True), id="dropped"),
    ],
)
async def test_an_answer_that_is_none(script: Scripted, graph: GraphSentItems, answer: Response) -> None:
    script.replies = [answer]
    with pytest.raises(EndpointDownError):
        await _find(graph)


async def test_entries_that_are_none(script: Scripted, graph: GraphSentItems) -> None:
    strange = [7, None, {"id": 7, "changeKey": [], "singleValueExtendedProperties": [None, {"id": 7, "value": 7}]}]
    script.replies = [of_json({"value": strange})]
    assert list(await graph.find(MAILBOX, "<1@example.com>", JOB)) == []


async def test_an_item_of_nonsense_is_read_as_an_empty_one(script: Scripted, graph: GraphSentItems) -> None:
    nonsense = {
        "id": "x", "subject": 7, "body": [], "toRecipients": {"a": 1}, "from": {"emailAddress": "ann"},
        "flag": {"flagStatus": "flagged", "dueDateTime": {"dateTime": "yesterday"}}, "categories": [7], "isDraft": "no",
        "sentDateTime": "9" * 50, "importance": "utmost",
        "singleValueExtendedProperties": [
            {"id": "Binary 0x71", "value": "%%%"}, {"id": "Integer 0xe08", "value": "1e9"},
            {"id": "Integer 0x36", "value": "77"}, {"id": "SystemTime 0x39", "value": "0000-00-00T00:00:00Z"},
        ],
    }  # fmt: skip
    script.replies = [of_json(nonsense), of_json({"value": ["attached", {"name": 7, "size": "large"}]})]
    item = await graph.read(MAILBOX, REF)
    assert item.is_draft  # what is not told to be sent is left alone
    assert (item.subject, item.sent_at, item.importance, item.sensitivity) == ("", None, "normal", "normal")
    assert len(item.attachments) == 1


async def test_an_answer_without_end(script: Scripted, graph: GraphSentItems, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_connection, "LARGEST_ANSWER", 100_000)
    script.replies = [Response(200, b'{"value": "' + b"x" * 200_000 + b'"}')]
    with pytest.raises(RefusedError, match="too-large"):
        await _read(graph)
    with pytest.raises(OutcomeUnknownError, match="too-large"):
        await _create(graph)


async def test_pages_go_on_until_the_last(script: Scripted, graph: GraphSentItems) -> None:
    def page(request: Request) -> Response:
        here = dict(request.query).get("$skip", "0")
        if here == "2":
            return of_json({"value": [{"id": "last", "internetMessageId": "<1@example.com>"}]})
        return of_json({"value": [], "@odata.nextLink": f"{script.url}/v1.0/next?$skip={int(here) + 1}"})

    script.replies = [page]
    assert [item.ref.id for item in await graph.find(MAILBOX, "<1@example.com>", JOB)] == ["last"]
    assert all("authorization" in request.headers for request in script.requests)


@pytest.mark.parametrize(
    "following",
    ["https://evil.example.com/v1.0/x", "{url}.evil.example.com/v1.0/x", "{url}@evil.example.com/v1.0/", "{url}/x", 7],
)
async def test_our_token_does_not_go_where_a_page_says(
    script: Scripted, graph: GraphSentItems, following: object
) -> None:
    link = following.format(url=script.url) if isinstance(following, str) else following
    script.replies = [of_json({"value": [], "@odata.nextLink": link})]
    with pytest.raises(EndpointDownError, match="elsewhere"):
        await _find(graph)
    assert len(script.requests) == 1


async def test_pages_without_end(script: Scripted, graph: GraphSentItems) -> None:
    script.replies = [of_json({"value": [], "@odata.nextLink": f"{script.url}/v1.0/again"})]
    with pytest.raises(EndpointDownError, match="without end"):
        await _find(graph)
    assert len(script.requests) < 100


@pytest.mark.usefixtures("forgets_connections")
async def test_a_server_that_says_nothing(oauth: OAuthServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        graph = adapter(oauth, tmp_path, f"https://localhost:{silent.getsockname()[1]}", timeout="1s")
        with pytest.raises(EndpointDownError):
            await _find(graph)
        with pytest.raises(EndpointDownError):  # the handshake didn't come to an end, so nothing was sent
            await _create(graph)
        await graph.close()


async def test_nobody_listens(oauth: OAuthServer, tmp_path: Path) -> None:
    graph = adapter(oauth, tmp_path, "https://localhost:9")
    with pytest.raises(EndpointDownError, match=r"unreachable.*(refused|failed)"):
        await _create(graph)
    await graph.close()


async def test_a_certificate_of_an_unknown_authority(script: Scripted, oauth: OAuthServer, tmp_path: Path) -> None:
    other = Authority(tmp_path)
    with HttpsServer(script.answer, other.ca) as impostor:
        graph = adapter(oauth, tmp_path, impostor.url)
        with pytest.raises(TlsFailedError, match="localhost"):
            await _create(graph)
        await graph.close()
    assert script.requests == []


async def test_a_stale_item_is_not_touched(script: Scripted, graph: GraphSentItems) -> None:
    script.replies = [of_json({"id": "AAMk=", "changeKey": "new"})]
    for call in (
        graph.set_marks(MAILBOX, ItemRef("AAMk=", "old"), Marks()),
        graph.remove(MAILBOX, ItemRef("AAMk=", "old"), Removal.RECOVERABLE),
    ):
        with pytest.raises(ConflictError):
            await call
    assert {request.method for request in script.requests} == {"GET"}


async def test_the_version_goes_along_for_the_moment_between_look_and_change(
    script: Scripted, graph: GraphSentItems
) -> None:
    ref = ItemRef("AAMk=", "key")
    script.replies = [of_json({"id": "AAMk=", "changeKey": "key"}), error(412, "ErrorIrresolvableConflict")]
    with pytest.raises(ConflictError):
        await graph.set_marks(MAILBOX, ref, Marks())
    assert script.requests[-1].headers["if-match"] == 'W/"key"'


@pytest.mark.parametrize(
    ("how", "action", "body"),
    [
        (Removal.RECOVERABLE, "move", b'{"destinationId": "recoverableitemsdeletions"}'),
        (Removal.DELETED_ITEMS, "move", b'{"destinationId": "deleteditems"}'),
        (Removal.FOR_GOOD, "permanentDelete", b""),
    ],
    ids=lambda value: value.value if isinstance(value, Removal) else "",
)
async def test_each_way_to_remove(
    script: Scripted, graph: GraphSentItems, how: Removal, action: str, body: bytes
) -> None:
    """Never DELETE: Microsoft's documents don't tell where that puts what it deletes."""
    script.replies = [Response(204)]
    await graph.remove(MAILBOX, REF, how)
    assert script.asked == [f"POST /v1.0/users/ann@example.com/mailFolders/sentitems/messages/AAMk=/{action}"]
    assert script.requests[-1].body.replace(b'":"', b'": "') == body


async def test_clouds_without_permanent_delete(script: Scripted, oauth: OAuthServer, tmp_path: Path) -> None:
    graph = adapter(oauth, tmp_path, script.url, cloud="china")
    script.replies = [Response(204)]
    await graph.remove(MAILBOX, REF, Removal.FOR_GOOD)
    assert script.asked == ["POST /v1.0/users/ann@example.com/mailFolders/sentitems/messages/AAMk=/move"]
    assert b"recoverableitemsdeletions" in script.requests[-1].body
    await graph.close()


async def test_what_is_gone_needs_no_removal(script: Scripted, graph: GraphSentItems) -> None:
    script.replies = [error(404, "ErrorItemNotFound")]
    await graph.remove(MAILBOX, ItemRef("AAMk=", "key"), Removal.RECOVERABLE)


async def test_values_of_others_stay_values_in_addresses(script: Scripted, graph: GraphSentItems) -> None:
    script.replies = [of_json({"value": []})]
    await graph.find("o'hara/../bob?x=1#@example.com", "<a'b&$top=9#/../+ü@example.com>", JOB)
    request = script.requests[0]
    assert request.segments == (
        "v1.0", "users", "o'hara/../bob?x=1#@example.com", "mailFolders", "sentitems", "messages",
    )  # fmt: skip
    assert dict(request.query)["$filter"] == "internetMessageId eq '<a''b&$top=9#/../+ü@example.com>'"
    assert dict(request.query)["$top"] == "50"
