"""A whole relay and Exchange: what the error table says, caused for real."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.e2e.sentitems.mailboxes import RULES, STAMP, TEMPLATES, counts, message, sent_items, submit
from tests.peers.ews import EwsServer, PeerItem, ews_server
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

JANE = "jane@example.com"
PASSWORD = "the account's secret"


@dataclass(frozen=True)
class Running:
    relay: Relay
    exchange: EwsServer
    ca_file: Path
    """That the relay trusts; a copy, for tests to break."""

    def send(self, message_id: str, sender: str = JANE) -> None:
        """As Exchange does: the sender's own item, and the message through the relay."""
        content = message(message_id, sender)
        self.exchange.add_item(sender, content.replace(b"\r\n", b"\r\nBcc: hidden@example.net\r\n", 1))
        submit(self.relay, content, sender=sender)

    def items(self, message_id: str, sender: str = JANE) -> list[PeerItem]:
        return [item for item in self.exchange.items(sender, "sentitems") if item.message_id == message_id]

    def is_stamped(self, message_id: str, sender: str = JANE) -> bool:
        items = self.items(message_id, sender)
        return len(items) == 1 and STAMP in f"{items[0].html}{items[0].text}"

    def until_stamped(self, message_id: str, sender: str = JANE) -> PeerItem:
        wait_until(lambda: self.is_stamped(message_id, sender), 60, lambda: f"a stamped item: {counts(self.relay)}")
        [item] = self.items(message_id, sender)
        return item


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("exchange")
    (folder / "password").write_text(PASSWORD)
    with ews_server() as exchange, Sink() as sink:
        for name in ("jane", "john", "boss"):
            exchange.add_mailbox(f"{name}@example.com")
        exchange.add_account("EXAMPLE\\svc", PASSWORD, impersonates=["j*@example.com"])
        (folder / "ca.pem").write_bytes(exchange.ca_file.read_bytes())
        server = {
            "name": "exchange", "kind": "ews", "url": exchange.url, "sign_in": "basic", "user": "EXAMPLE\\svc",
            "password": {"file": str(folder / "password")}, "tls": {"ca_file": str(folder / "ca.pem")},
        }  # fmt: skip
        with running_relay(
            folder / "relay", sink.port, rules=RULES, templates=TEMPLATES, organisation=sent_items(server),
            alerts={"look_every": "1s"},
        ) as relay:  # fmt: skip
            yield Running(relay, exchange, folder / "ca.pem")


def test_the_senders_item_is_replaced_whole(running: Running) -> None:
    running.send("<whole@example.com>")
    item = running.until_stamped("<whole@example.com>")
    assert (item.is_draft, item.bcc) == (False, ["hidden@example.net"])
    wait_until(lambda: counts(running.relay) == {"done": 1}, 10, "the end of the job")
    [original] = running.exchange.items(JANE, "recoverableitemsdeletions")
    assert STAMP not in f"{original.html}{original.text}"
    assert running.exchange.counters().invalid_responses == []


def test_a_busy_server_is_asked_nothing_until_its_time(running: Running) -> None:
    running.exchange.forget()
    running.exchange.fail("busy", times=1, back_off_ms=3000)
    running.send("<busy@example.com>")
    running.until_stamped("<busy@example.com>")
    requests = running.exchange.log()
    assert requests[1].at - requests[0].ended_at >= 3.0
    running.relay.wait_for_event("mailbox-server-left-alone", server="exchange", reason="server-busy", for_s=3.0)
    running.relay.wait_for_event("mailbox-server-answers", server="exchange")


def test_a_mailbox_that_we_may_not_open_is_skipped_and_told_of(running: Running) -> None:
    running.send("<denied@example.com>", "boss@example.com")
    running.relay.wait_for_event("sent-item", mailbox="boss@example.com", state="skipped", reason="access-denied")
    assert not running.is_stamped("<denied@example.com>", "boss@example.com")
    running.relay.wait_for_event("alert", key="sent-items-denied:boss@example.com")


def test_a_certificate_that_is_not_trusted_stops_the_server_until_somebody_mends_it(running: Running) -> None:
    trusted = running.ca_file.read_bytes()
    trustme.CA().cert_pem.write_to_path(str(running.ca_file))
    running.relay.cli("reload")
    running.exchange.forget()
    running.send("<tls@example.com>")
    running.relay.wait_for_event("mailbox-server-stopped", server="exchange", reason="tls-failed")
    running.relay.wait_for_event("alert", key="sent-items-server:exchange")
    told = "mailbox server exchange is STOPPED"
    wait_until(lambda: told in running.relay.cli("status").stdout, 30, "a status that tells")
    assert running.exchange.log() == []
    running.ca_file.write_bytes(trusted)
    running.relay.cli("sentitems", "resume", "--server", "exchange")
    running.until_stamped("<tls@example.com>")
    running.relay.wait_for_event("alert-over", key="sent-items-server:exchange")


def test_no_secret_is_logged(running: Running) -> None:
    assert PASSWORD not in "".join(path.read_text() for path in (running.relay.folder / "log").iterdir())
