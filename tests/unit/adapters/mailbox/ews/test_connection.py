"""What a connection to EWS survives, and how it says what went wrong."""

from __future__ import annotations

import asyncio
import base64
import gzip
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mta.adapters.mailbox.ews import EwsSentItems, connection
from mta.config.mailbox_schema import EwsMailboxes
from mta.model.mailbox_item import ItemRef, NewItem, SentItem
from mta.ports.mailbox import (
    EndpointBusyError,
    EndpointDownError,
    MailboxError,
    OutcomeUnknownError,
    RefusedError,
    SignInError,
    TlsFailedError,
)
from tests.peers.https import Authority, HttpsServer, Request, Response
from tests.servers.wait import free_port
from tests.unit.adapters.mailbox.ews.conftest import Scripted, response, soap

ANN = "ann@example.com"
REF = ItemRef("AAA=", "CK1")
NOTHING_FOUND = response("FindItem", '<m:RootFolder TotalItemsInView="0"><t:Items/></m:RootFolder>')
Open = Callable[..., EwsSentItems]


def new_item(mime: bytes = b"Subject: Hi\r\n\r\nHi\r\n") -> NewItem:
    return NewItem("job copy", SentItem(REF, "<1@example.com>", "Hi"), mime, "<1@example.com>", "Hi")


async def find(server: EwsSentItems) -> int:
    return len(await server.find(ANN, "<1@example.com>", "0" * 32))


async def test_a_request_carries_sign_in_impersonation_and_anchor(scripted: Scripted, opened: Open) -> None:
    scripted.answers = [NOTHING_FOUND]
    assert await find(opened(scripted.url)) == 0
    (request,) = scripted.asked
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"svc@example.com:secret").decode()
    assert request.headers["x-anchormailbox"] == ANN
    assert request.headers["user-agent"] == "Stampline"
    assert b"<t:ConnectingSID><t:SmtpAddress>ann@example.com</t:SmtpAddress></t:ConnectingSID>" in request.body


async def test_without_impersonation_the_folder_says_whose_it_is(scripted: Scripted, opened: Open) -> None:
    scripted.answers = [NOTHING_FOUND]
    await find(opened(scripted.url, impersonate=False))
    (request,) = scripted.asked
    assert b"Impersonation" not in request.body
    assert (
        b'<t:DistinguishedFolderId Id="sentitems"><t:Mailbox><t:EmailAddress>ann@example.com</t:EmailAddress>'
        in request.body
    )


async def test_a_connection_is_used_again_and_no_other_is_asked_beforehand(scripted: Scripted, opened: Open) -> None:
    scripted.answers = [NOTHING_FOUND]
    server = opened(scripted.url)
    for _ in range(5):
        await find(server)
    assert len(scripted.asked) == 5
    assert scripted.server.connections == 1


async def test_no_more_connections_than_configured(scripted: Scripted, opened: Open) -> None:
    scripted.answers = [NOTHING_FOUND]
    server = opened(scripted.url, connections=3)
    await asyncio.gather(*(find(server) for _ in range(30)))
    assert len(scripted.asked) == 30
    assert scripted.server.connections <= 3


async def test_a_password_may_have_any_characters(scripted: Scripted, opened: Open, tmp_path: Path) -> None:
    scripted.answers = [NOTHING_FOUND]
    (tmp_path / "other").write_text("Ärger€\n")
    await find(opened(scripted.url, user="Jürgen", password={"file": str(tmp_path / "other")}))
    assert scripted.asked[0].headers["authorization"] == "Basic " + base64.b64encode("Jürgen:Ärger€".encode()).decode()


async def test_cookies_of_one_mailbox_are_not_sent_for_the_next(scripted: Scripted, opened: Open) -> None:
    cookie = {"Set-Cookie": "X-BackEndCookie=S-1-5-21=server2; path=/EWS; secure; HttpOnly"}
    scripted.answers = [Response(200, soap(NOTHING_FOUND), "text/xml", cookie)]
    server = opened(scripted.url)
    await find(server)
    await find(server)
    assert "cookie" not in scripted.asked[1].headers


async def test_proxies_of_the_environment_are_not_taken(
    scripted: Scripted, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    scripted.answers = [NOTHING_FOUND]
    assert await find(opened(scripted.url)) == 0


# --- trust ------------------------------------------------------------------------------------------------------------


async def test_two_endpoints_of_one_process_trust_their_own_authorities(
    scripted: Scripted, opened: Open, tmp_path: Path
) -> None:
    other = Scripted(Authority(tmp_path))
    scripted.answers = other.answers = [NOTHING_FOUND]
    with other.server:
        at_other = {"tls": {"ca_file": str(other.authority.file)}}
        ours, theirs = opened(scripted.url), opened(other.url, **at_other)
        assert [await find(ours), await find(theirs)] == [0, 0]
        for untrusted in (opened(other.url), opened(scripted.url, **at_other)):
            with pytest.raises(TlsFailedError, match=r"unable to get local issuer|self-signed"):
                await find(untrusted)
        assert [len(scripted.asked), len(other.asked)] == [1, 1]


async def test_a_certificate_of_another_name_is_not_believed(authority: Authority, opened: Open) -> None:
    async def answer(_request: Request) -> Response:
        return Response(200, soap(NOTHING_FOUND), "text/xml")

    elsewhere = authority.ca.issue_cert("mail.example.net")
    with (
        HttpsServer(answer, authority.ca, certificate=elsewhere) as server,
        pytest.raises(TlsFailedError, match="mismatch"),
    ):
        await find(opened(f"{server.url}/EWS/Exchange.asmx"))


async def test_system_authorities_do_not_vouch_for_private_ones(scripted: Scripted, opened: Open) -> None:
    with pytest.raises(TlsFailedError):
        await find(opened(scripted.url, tls={}))


async def test_verify_false_goes_through_without_warnings(scripted: Scripted, opened: Open) -> None:
    scripted.answers = [NOTHING_FOUND]
    server = opened(scripted.url, tls={"verify": False})
    assert [await find(server), await find(server)] == [0, 0]


# --- answers that are none --------------------------------------------------------------------------------------------

HTML = Response(200, b"<!DOCTYPE html><html><body>Sign in</body></html>", "text/html")


@pytest.mark.parametrize(
    "answer",
    [
        HTML,
        Response(200, b"", "text/xml"),
        Response(200, b"<?xml version='1.0'?><a", "text/xml"),
        Response(200, b"<?xml version='1.0'?><a/>", "text/xml"),
        Response(200, soap("")[:-40], "text/xml"),
        Response(200, soap("<m:GetItemResponse/>"), "text/xml"),
        Response(200, soap("<m:FindItemResponse><m:ResponseMessages/></m:FindItemResponse>"), "text/xml"),
        Response(200, soap(NOTHING_FOUND) + b"\0" * 100, "text/xml"),
        Response(200, b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "text/xml"),
        Response(200, b"no gzip", "text/xml", {"Content-Encoding": "gzip"}),
        Response(500, b"<html>Server Error in '/EWS' Application</html>", "text/html"),
        Response(302, b"", "text/html", {"Location": "http://localhost/owa"}),
        Response(404, b"", "text/html"),
        Response(204, b"", "text/html"),
        Response(is_dropped=True),
    ],
    ids=["html", "empty", "no-xml", "no-soap", "truncated", "of-another", "no-message", "trailing", "doctype", "gzip",
         "500", "302", "404", "204", "dropped"],
)  # fmt: skip
async def test_answers_that_are_none(scripted: Scripted, opened: Open, answer: Response) -> None:
    """Of a request that changes something, nobody knows what became of it; but a web server's no is a no."""
    scripted.answers = [answer]
    server = opened(scripted.url)
    with pytest.raises(EndpointDownError):
        await find(server)
    with pytest.raises(EndpointDownError if answer.status in (302, 404, 204) else OutcomeUnknownError):
        await server.create(ANN, new_item())
    assert len(scripted.asked) == 2
    scripted.answers = [NOTHING_FOUND]
    assert await find(server) == 0


async def test_too_large_an_answer_is_not_read_to_its_end(
    scripted: Scripted, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LARGEST_ANSWER", 1_000_000)
    bomb = gzip.compress(b"<?xml version='1.0'?>" + b" " * 100_000_000)
    scripted.answers = [Response(200, bomb, "text/xml", {"Content-Encoding": "gzip"})]
    with pytest.raises(EndpointDownError, match="broken"):
        await find(opened(scripted.url))


async def test_the_wait_for_an_answer_ends(scripted: Scripted, opened: Open) -> None:
    scripted.answers = ["hang"]
    with pytest.raises(EndpointDownError, match=r"TimeoutError|timed out"):
        await find(opened(scripted.url, timeout="1s"))
    with pytest.raises(OutcomeUnknownError):
        await opened(scripted.url, timeout="2s").create(ANN, new_item())


async def test_the_wait_ends_for_an_answer_that_never_does(authority: Authority, opened: Open) -> None:
    """An octet now and then keeps every time-out of the socket away."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nX: ")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.transport.abort()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("localhost").configure_cert(context)
    async with await asyncio.start_server(trickle, "127.0.0.1", 0, ssl=context) as listener:
        server = opened(f"https://localhost:{listener.sockets[0].getsockname()[1]}/", timeout="2s")
        with pytest.raises(OutcomeUnknownError, match="broken"):
            await server.create(ANN, new_item())
        await server.close()


async def test_nobody_there(opened: Open) -> None:
    server = opened(f"https://localhost:{free_port()}/EWS/Exchange.asmx")
    for ask in (find(server), server.create(ANN, new_item())):
        with pytest.raises(EndpointDownError, match=r"unreachable: localhost:.*refused"):
            await ask
    with pytest.raises(EndpointDownError, match="unreachable"):
        await find(opened("https://mail.invalid/EWS/Exchange.asmx"))


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
async def test_the_servers_wait_is_passed_on(scripted: Scripted, opened: Open, status: int) -> None:
    scripted.answers = [Response(status, b"slow down", "text/plain", {"Retry-After": "7"})]
    with pytest.raises(EndpointBusyError) as caught:
        await opened(scripted.url).create(ANN, new_item())
    assert caught.value.retry_after == timedelta(seconds=7)


BUSY_VALUES = '<MessageXml><t:Value Name="BackOffMilliseconds">2500</t:Value></MessageXml>'
BUSY_FAULT = (
    "<s:Fault><faultcode>a:ErrorServerBusy</faultcode><faultstring>Busy</faultstring><detail>"
    '<e:ResponseCode xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">ErrorServerBusy'
    '</e:ResponseCode><e:Message xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors">Busy</e:Message>'
    '<t:MessageXml><t:Value Name="BackOffMilliseconds">2500</t:Value></t:MessageXml></detail></s:Fault>'
)


@pytest.mark.parametrize(
    "answer",
    [
        Response(500, soap(BUSY_FAULT), "text/xml"),
        response("FindItem", code="ErrorServerBusy", values=BUSY_VALUES.replace("MessageXml", "m:MessageXml")),
    ],
    ids=["fault", "message"],
)
async def test_busy_says_for_how_long_and_is_asked_once(
    scripted: Scripted, opened: Open, answer: Response | str
) -> None:
    scripted.answers = [answer]
    with pytest.raises(EndpointBusyError) as caught:
        await find(opened(scripted.url))
    assert (caught.value.code, caught.value.retry_after) == ("ErrorServerBusy", timedelta(seconds=2.5))
    assert len(scripted.asked) == 1


async def test_a_fault_without_detail_has_its_own_code(scripted: Scripted, opened: Open) -> None:
    fault = "<s:Fault><faultcode>s:Client</faultcode><faultstring>secret subject</faultstring></s:Fault>"
    scripted.answers = [Response(500, soap(fault), "text/xml")]
    with pytest.raises(MailboxError) as caught:
        await find(opened(scripted.url))
    assert str(caught.value) == "Client"


async def test_the_inner_code_is_the_one_that_counts(scripted: Scripted, opened: Open) -> None:
    inner = '<m:MessageXml><t:Value Name="InnerErrorResponseCode">ErrorQuotaExceeded</t:Value></m:MessageXml>'
    scripted.answers = [response("CreateItem", code="ErrorInternalServerError", values=inner)]
    with pytest.raises(MailboxError) as caught:
        await opened(scripted.url).create(ANN, new_item())
    assert caught.value.code == "ErrorQuotaExceeded"


async def test_a_storm_of_401_is_one_request(scripted: Scripted, opened: Open) -> None:
    scripted.answers = [Response(401, b"", "text/html", {"WWW-Authenticate": "Negotiate, NTLM"})]
    server = opened(scripted.url)
    for _ in range(3):
        with pytest.raises(SignInError, match="offers Negotiate, NTLM"):
            await find(server)
    assert len(scripted.asked) == 1


async def test_ntlm_that_breaks_off(scripted: Scripted, opened: Open) -> None:
    """Where the second step is no challenge, it is the server's failure."""
    server = opened(scripted.url, sign_in="ntlm", user="EXAMPLE\\svc")
    first = Response(401, b"", "text/html", {"WWW-Authenticate": "NTLM"})
    for challenge in ("NTLM ****", "NTLM AAAA", f"NTLM {base64.b64encode(b'NTLMSSP' + bytes(60)).decode()}"):
        scripted.answers = [first, Response(401, b"", "text/html", {"WWW-Authenticate": challenge})]
        with pytest.raises(EndpointDownError, match="handshake"):
            await find(server)
    scripted.answers = [first, Response(503, b"", "text/html")]
    with pytest.raises(EndpointDownError, match="handshake"):
        await find(server)
    scripted.answers = [first, Response(401, b"", "text/html", {"WWW-Authenticate": "Negotiate"})]
    with pytest.raises(SignInError, match="NTLM"):
        await find(server)


async def test_a_large_request_refused_by_the_web_server(scripted: Scripted, opened: Open) -> None:
    scripted.answers = [Response(404, b"", "text/html")]
    with pytest.raises(RefusedError, match="too large"):
        await opened(scripted.url).create(ANN, new_item(b"Subject: Hi\r\n\r\n" + b"x" * 1_000_000))


# --- the end ----------------------------------------------------------------------------------------------------------


async def test_close_breaks_off_what_hangs_and_leaves_no_threads(scripted: Scripted, opened: Open) -> None:
    before = {thread.name for thread in threading.enumerate()}
    scripted.answers = [NOTHING_FOUND, "hang"]
    server = opened(scripted.url, timeout="600s")
    await find(server)
    asking = [asyncio.create_task(find(server)), asyncio.create_task(server.create(ANN, new_item()))]
    async with asyncio.timeout(60):
        while len(scripted.asked) < 3:
            await asyncio.sleep(0.01)
        await server.close()
        results: list[Any] = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(result) for result in results] == [EndpointDownError, OutcomeUnknownError]
    assert not {thread.name for thread in threading.enumerate() if thread.name.startswith("ews")} - before


def test_no_request_is_made_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    settings: dict[str, Any] = {
        "kind": "ews", "name": "x", "url": "https://mail.invalid/EWS/Exchange.asmx", "user": "svc",
        "password": {"file": str(tmp_path / "password")},
    }  # fmt: skip
    assert EwsSentItems(EwsMailboxes.model_validate(settings)).can_rewrite
    with pytest.raises(OSError, match="No such file"):
        EwsSentItems(EwsMailboxes.model_validate(settings | {"tls": {"ca_file": "/nowhere"}}))
    with pytest.raises(OSError, match=r"stampline\[kerberos\]"):
        EwsSentItems(EwsMailboxes.model_validate(settings | {"sign_in": "kerberos"}))
