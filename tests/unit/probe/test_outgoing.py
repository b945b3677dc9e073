"""Outgoing accounts and webhooks of tracking are tried without sending anything."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme

from mta.config.tracking_schema import SmtpAccount, WebhookSink
from mta.probe.outgoing import AccountProbe, SinkProbe
from mta.probe.probe import Line, Probe, Status
from tests.peers.https import HttpsServer, Request, Response
from tests.servers.submission import Desk, submission_server

NOW = datetime.now(UTC)


async def lines(probe: Probe) -> list[Line]:
    said: list[Line] = []
    await probe.run(said.append)
    return said


def account(port: int, folder: Path, **more: Any) -> AccountProbe:
    (folder / "secret").write_text("secret")
    said = {
        "name": "post", "kind": "smtp", "host": "localhost", "port": port, "senders": ["desk@example.com"],
        "user": "desk", "password": {"file": str(folder / "secret")},
        "tls": {"mode": "starttls", "ca_file": str(folder / "ca.pem")},
    }  # fmt: skip
    return AccountProbe(SmtpAccount.model_validate({**said, **more}), "relay.example.com")


async def test_an_account_is_signed_in_to_and_nothing_is_sent(tmp_path: Path) -> None:
    authority, desk = trustme.CA(), Desk({"desk": "secret"})
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with submission_server(desk, context, tls="starttls") as port:
        (line,) = await lines(account(port, tmp_path))
        assert line.status is Status.OK
        assert "signed in as desk" in line.what
        desk.users.clear()
        (line,) = await lines(account(port, tmp_path))
        assert line.status is Status.FAILED
        assert "535" in line.what
        assert line.mend.startswith("correct user, password")
        first, _ = await lines(account(port, tmp_path, tls={"mode": "starttls", "verify": False}))
        assert first.status is Status.WARNING
        (line,) = await lines(account(port, tmp_path, password={"file": str(tmp_path / "missing")}))
        assert "missing" in line.what
    assert desk.submitted == []


async def test_a_webhook_is_reached_and_gets_no_request(tmp_path: Path) -> None:
    authority, asked = trustme.CA(), list[Request]()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def answer(request: Request) -> Response:
        asked.append(request)
        return Response()

    with HttpsServer(answer, authority) as server:
        said = {"name": "desk", "kind": "webhook", "url": f"{server.url}/x", "key": {"env": "KEY"}}
        untrusted = await lines(SinkProbe(WebhookSink.model_validate(said), NOW))
        trusted = WebhookSink.model_validate({**said, "tls": {"ca_file": str(tmp_path / "ca.pem")}})
        good = await lines(SinkProbe(trusted, NOW))
    assert untrusted[-1].status is Status.FAILED
    assert Status.FAILED not in {line.status for line in good}
    assert asked == []
