"""Notices as they arrive: at a mail server, and at a web server."""

from __future__ import annotations

import email
import email.policy
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from mta.adapters.notification import mail, webhook
from mta.adapters.notification.mail import MailChannel
from mta.adapters.notification.webhook import WebhookChannel
from mta.config.alert_schema import AlertMail, Webhook
from mta.ports.notification import Notice, NotificationError
from tests.servers.sink import Sink
from tests.servers.wait import free_port

SINCE = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NOTICES = [
    Notice("next-hop-stopped:out", "next-hop-stopped", "begun", "next hop out is stopped", "It says: no.", SINCE),
    Notice("disk-full:/x", "disk-full", "over", "the disk was full", "There is room.", SINCE),
]


def mail_channel(port: int, **settings: object) -> MailChannel:
    where = AlertMail.model_validate({"to": ("ops@example.com",), "host": "127.0.0.1", "port": port, **settings})
    return MailChannel(where, sender="postmaster@relay.example.com", hostname="relay.example.com", password="secret")


async def test_a_mail_tells_of_all_notices() -> None:
    with Sink() as sink:
        await mail_channel(sink.port).send(NOTICES)
        [arrived] = sink.arrived
    assert arrived.mail_from == "postmaster@relay.example.com"
    assert arrived.rcpt_to == ("ops@example.com",)
    message = email.message_from_bytes(arrived.data, policy=email.policy.default)
    assert message["Subject"] == "[relay.example.com] New: next hop out is stopped (and 1 more)"
    assert message["Auto-Submitted"] == "auto-generated"
    body = message.get_content()
    assert "It says: no." in body
    assert "There is room." in body


async def test_a_subject_can_not_add_a_header_field() -> None:
    evil = Notice("k", "kind", "begun", "out\r\nBcc: all@example.com", "text", SINCE)
    with Sink() as sink:
        await mail_channel(sink.port).send([evil])
        [arrived] = sink.arrived
    assert email.message_from_bytes(arrived.data)["Bcc"] is None
    assert arrived.rcpt_to == ("ops@example.com",)


async def test_a_server_that_is_away_or_refuses_is_an_error_with_its_words() -> None:
    with pytest.raises(NotificationError, match=r"127\.0\.0\.1 port"):
        await mail_channel(free_port()).send(NOTICES)
    with Sink(script=lambda verb, argument: "550 5.1.1 who is that" if verb == "RCPT" else None) as sink:
        with pytest.raises(NotificationError, match="who is that"):
            await mail_channel(sink.port).send(NOTICES)
        assert sink.arrived == []


async def test_a_password_is_never_said_in_clear_text() -> None:
    with Sink() as sink:
        with pytest.raises(NotificationError) as failure:
            await mail_channel(sink.port, user="ops", tls="required").send(NOTICES)
        assert sink.arrived == []
    assert "secret" not in str(failure.value)


async def test_what_other_servers_say_steers_no_terminal_and_fills_no_mailbox() -> None:
    evil = Notice("k", "kind", "begun", "out \x1b]0;x\x07 \u202e" + "s" * 9000, "\x9b2J \ud800" + "t" * 9000, SINCE)
    with Sink() as sink:
        await mail_channel(sink.port).send([evil] * 1000)
        [arrived] = sink.arrived
    message = email.message_from_bytes(arrived.data, policy=email.policy.default)
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\ud800"} & set(str(message["Subject"]) + message.get_content())
    assert len(str(message["Subject"])) < 300
    assert len(arrived.data) < 300_000
    assert "… and 950 more: `stampline alerts` shows them all." in message.get_content()


async def test_a_mail_is_dated_when_it_is_sent() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    assert mail_channel(25).message(NOTICES)["Date"].datetime >= before  # a field of the modern policy


@contextmanager
def dribbling(answer: bytes) -> Iterator[int]:
    """Its port: a server that sends this again and again, slowly, and never comes to an end."""
    stopped = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = listener.accept()
        with client, suppress(OSError):
            while not stopped.wait(0.02):
                client.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stopped.set()
        thread.join()
        listener.close()


async def test_servers_that_never_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "SEND_MAX_S", 0.2)
    monkeypatch.setattr(webhook, "SEND_MAX_S", 0.2)
    with dribbling(b"220-not yet\r\n") as port, pytest.raises(NotificationError, match=r"127\.0\.0\.1 port"):
        await mail_channel(port).send(NOTICES)
    with dribbling(b"H") as port:
        channel = WebhookChannel(Webhook(url=f"http://127.0.0.1:{port}/secret-path"), hostname="relay.example.com")
        with pytest.raises(NotificationError, match="TimeoutError") as failure:
            await channel.send(NOTICES)
    assert "secret-path" not in str(failure.value)


# --- webhook ---


@contextmanager
def web_server(status: int = 204) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Its URL, and the requests that it gets."""
    requests: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((dict(self.headers), body))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Tests are silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_webhook_gets_signed_json() -> None:
    with web_server() as (url, requests):
        await WebhookChannel(Webhook(url=url), hostname="relay.example.com", key=b"k").send(NOTICES)
    [(headers, body)] = requests
    assert headers["X-Stampline-Signature"] == "sha256=" + hmac.new(b"k", body, hashlib.sha256).hexdigest()
    told = json.loads(body)
    assert told["relay"] == "relay.example.com"
    assert [notice["state"] for notice in told["notices"]] == ["begun", "over"]
    assert told["notices"][0]["since"] == "2026-11-22T12:00:00+00:00"


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_only_success_is_success(status: int) -> None:
    with web_server(status) as (url, requests):
        with pytest.raises(NotificationError, match=str(status)):
            await WebhookChannel(Webhook(url=url), hostname="relay.example.com").send(NOTICES)
        assert len(requests) == 1


async def test_a_web_server_that_is_away() -> None:
    channel = WebhookChannel(Webhook(url=f"http://127.0.0.1:{free_port()}/secret-path"), hostname="relay.example.com")
    with pytest.raises(NotificationError) as failure:
        await channel.send(NOTICES)
    assert "secret-path" not in str(failure.value)


def test_a_ca_file_that_is_none_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        mail_channel(25, ca_file=tmp_path / "gone.pem")
