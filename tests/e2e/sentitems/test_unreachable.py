"""Mailbox servers that can't be reached, that aren't who they should be, or that never come to an end."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.e2e.sentitems.mailboxes import RULES, TEMPLATES, Mailboxes, message, sent_items, submit
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import free_port, wait_until

DOWN = ("black-hole", "slow", "endless", "refusing", "nameless")
UNTRUSTED = ("expired", "stranger", "other-name")
_BEGINNING = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
Behaviour = Callable[[socket.socket, threading.Event], None]


@dataclass(frozen=True)
class Running:
    relay: Relay
    mailboxes: Mailboxes
    hangs: threading.Event
    """Somebody waits for an answer of `hanging`."""

    def send(self, mailbox: str) -> str:
        name = f"<{mailbox}@example.com>"
        submit(self.relay, message(name, f"{mailbox}@example.com"), sender=f"{mailbox}@example.com")
        return name


def _slow(connection: socket.socket, over: threading.Event) -> None:
    """It goes on and on: an octet now and then, so that no single wait is long."""
    connection.sendall(_BEGINNING)
    while not over.wait(0.2):
        connection.sendall(b"1\r\n \r\n")


def _endless(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(_BEGINNING)
    chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    while not over.is_set():
        connection.sendall(chunk)


@contextmanager
def _server(context: ssl.SSLContext | None, behave: Behaviour | None = None) -> Iterator[int]:
    """Its port. Without a context it takes connections and says nothing; without a behaviour neither, behind TLS."""
    over = threading.Event()

    def serve(client: socket.socket) -> None:
        with suppress(OSError), ExitStack() as stack:
            stack.enter_context(client)
            if context is None:
                over.wait()
                return
            connection = stack.enter_context(context.wrap_socket(client, server_side=True))
            connection.recv(65_536)
            if behave is None:
                over.wait()
            else:
                behave(connection, over)

    def listen() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            over.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(60)


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("unreachable")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    (folder / "password").write_text("word")
    good = _context(authority.issue_cert("localhost"))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    hangs = threading.Event()
    with ExitStack() as stack:

        def serve(context: ssl.SSLContext | None, behave: Behaviour | None = None) -> str:
            return f"localhost:{stack.enter_context(_server(context, behave))}"

        def hang(_: socket.socket, over: threading.Event) -> None:
            hangs.set()
            over.wait()

        places = {
            "black-hole": serve(None),
            "slow": serve(good, _slow),
            "endless": serve(good, _endless),
            "refusing": f"localhost:{free_port()}",
            "nameless": "exchange.invalid",
            "expired": serve(_context(authority.issue_cert("localhost", not_after=yesterday))),
            "stranger": serve(_context(trustme.CA().issue_cert("localhost"))),
            "other-name": serve(_context(authority.issue_cert("exchange.example.net"))),
            "hanging": serve(good, hang),
        }
        mailboxes = Mailboxes(folder / "mailboxes", "jane")
        servers = [_exchange(folder, name, place) for name, place in places.items()]
        sink = stack.enter_context(Sink())
        relay = stack.enter_context(
            running_relay(
                folder / "relay", sink.port, rules=RULES, templates=TEMPLATES, alerts={"look_every": "1s"},
                organisation=sent_items(mailboxes.settings(), *servers),
            )
        )  # fmt: skip
        yield Running(relay, mailboxes, hangs)


def _exchange(folder: Path, name: str, place: str) -> dict[str, Any]:
    return {
        "name": name, "kind": "ews", "url": f"https://{place}/EWS/Exchange.asmx", "sign_in": "basic", "user": "E\\svc",
        "password": {"file": str(folder / "password")}, "tls": {"ca_file": str(folder / "ca.pem")},
        "timeout": "60s" if name == "hanging" else "2s", "serves": {"addresses": [f"{name}@example.com"]},
    }  # fmt: skip


def test_what_can_not_be_reached_is_left_alone_and_all_others_are_served(running: Running) -> None:
    names = {server: running.send(server) for server in (*DOWN, *UNTRUSTED)}
    name = "<jane@example.com>"
    running.mailboxes.put("jane", message(name))
    running.send("jane")
    wait_until(lambda: running.mailboxes.is_stamped("jane", name), 60, "the item of who is elsewhere")
    for server in DOWN:
        told = running.relay.wait_for_event("mailbox-server-left-alone", server=server, reason="server-down")
        assert told["for_s"] == 5.0
        assert told["detail"]
        running.relay.wait_for_event("sent-item", message_id=names[server], state="waiting", reason="server-down")


@pytest.mark.parametrize("server", UNTRUSTED)
def test_who_is_not_trusted_is_not_asked_again_and_an_administrator_is_told(running: Running, server: str) -> None:
    running.send(server)
    told = running.relay.wait_for_event("mailbox-server-stopped", server=server, reason="tls-failed")
    assert told["level"] == "error"
    running.relay.wait_for_event("alert", key=f"sent-items-server:{server}")
    assert len([event for event in running.relay.events("mailbox-server-stopped") if event["server"] == server]) == 1


def test_a_request_that_hangs_holds_up_no_reload_and_no_end(running: Running) -> None:
    relay = running.relay
    name = running.send("hanging")
    assert running.hangs.wait(60)
    relay.cli_here("reload")
    running.mailboxes.put("jane", message("<after@example.com>"))
    submit(relay, message("<after@example.com>"))
    wait_until(lambda: running.mailboxes.is_stamped("jane", "<after@example.com>"), 60, "what came after the reload")
    assert relay.stop() == 0
    assert relay.wait_for_event("stopped", component="sentitems")["left"] >= 1  # others may just be tried, too
    (job,) = json.loads(relay.cli_here("sentitems", "list", "--message-id", name, "--json").stdout)
    assert (job["state"], job["reason"]) == ("waiting", "interrupted")
    relay.start()  # for other tests
