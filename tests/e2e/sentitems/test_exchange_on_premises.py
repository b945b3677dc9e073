"""A whole relay, and senders' mailboxes on an Exchange of the organisation's own: over NTLM, with impersonation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from itertools import count
from pathlib import Path

import pytest
import trustme

from tests.e2e.sentitems.mailboxes import RULES, STAMP, TEMPLATES, counts, kill_process, sent_items, submit
from tests.peers.ews import EwsServer, PeerItem, ews_server
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

ACCOUNT, PASSWORD = "EXAMPLE\\stampline", "correct horse battery staple"
DENIED = "boss@example.com"
SENT_AT = datetime(2026, 11, 16, 10, tzinfo=UTC)
_numbers = count(1)


@dataclass(frozen=True)
class OnPremises:
    relay: Relay
    exchange: EwsServer
    ca_file: Path
    """That the relay trusts; a copy, for tests to break."""

    def mailbox(self) -> str:
        address = f"user{next(_numbers)}@example.com"
        self.exchange.add_mailbox(address)
        return address

    def send(self, mailbox: str) -> str:
        """What Outlook does: an item in Sent Items, the message to the relay. Gives the item's id."""
        made = _message(mailbox)
        item = self.exchange.add_item(mailbox, made.as_bytes(), categories=["Red"])
        self.exchange.change_item(item, flag="Flagged")
        del made["Bcc"]
        submit(self.relay, made.as_bytes(), "bob@example.net", "cy@example.net", sender=mailbox)
        return item

    def sent(self, mailbox: str) -> list[PeerItem]:
        return self.exchange.items(mailbox, "sentitems")

    def until_replaced(self, mailbox: str, copies: int = 1) -> PeerItem:
        """What waits to be tried again is hastened, unless the whole server is left alone."""

        def replaced() -> bool:
            items = self.sent(mailbox)
            if len(items) == copies and all(STAMP in (item.html or "") for item in items):
                return True
            told = [event for event in self.relay.events("sent-item") if event["mailbox"] == mailbox]
            if told and told[-1]["state"] == "waiting":  # again and again: what is being worked on can't be hastened
                self.relay.cli_here("sentitems", "retry", "--mailbox", mailbox)
            return False

        wait_until(replaced, 60, lambda: f"stamped items of {mailbox}: {counts(self.relay)}")
        return self.sent(mailbox)[0]


def _message(mailbox: str) -> EmailMessage:
    made = EmailMessage(SMTP)
    made["From"], made["To"], made["Bcc"] = mailbox, "bob@example.net", "cy@example.net"
    made["Subject"], made["Message-ID"] = "An offer", f"<{next(_numbers)}.ews@example.com>"
    made["Date"] = format_datetime(SENT_AT)
    made.set_content("Dear Bob, the offer.\n")
    made.add_alternative("<p>Dear Bob, the <img src='cid:logo'> offer.</p>\n", subtype="html")
    part = made.get_payload()[1]  # type: ignore[index]
    assert isinstance(part, EmailMessage)
    part.add_related(b"\x89PNG logo", "image", "png", cid="<logo>", filename="logo.png", disposition="inline")
    made.add_attachment(b"%PDF offer", maintype="application", subtype="pdf", filename="offer.pdf")
    return made


@pytest.fixture(scope="module")
def on_premises(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnPremises]:
    folder = tmp_path_factory.mktemp("on-premises")
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o600)
    with ews_server() as exchange, Sink() as sink:
        (folder / "ca.pem").write_bytes(exchange.ca_file.read_bytes())
        exchange.add_account(ACCOUNT, PASSWORD, impersonates=["user*@example.com"], locks_after=5)
        settings = {
            "name": "exchange", "kind": "ews", "url": exchange.url, "user": ACCOUNT,
            "password": {"file": str(folder / "password")}, "tls": {"ca_file": str(folder / "ca.pem")},
        }  # fmt: skip
        organisation = sent_items(settings)
        with running_relay(
            folder / "relay", sink.port, rules=RULES, templates=TEMPLATES, organisation=organisation,
            alerts={"look_every": "1s"},
        ) as relay:  # fmt: skip
            yield OnPremises(relay, exchange, folder / "ca.pem")
            assert not relay.events("internal-error")
            assert all(entry.valid for entry in exchange.log())


def test_what_was_received_takes_the_originals_place_with_everything_that_it_had(on_premises: OnPremises) -> None:
    mailbox = on_premises.mailbox()
    original = on_premises.exchange.item(on_premises.send(mailbox))
    assert original is not None
    item = on_premises.until_replaced(mailbox)
    (before,) = on_premises.exchange.items(mailbox, "recoverableitemsdeletions")
    assert before.message_id == item.message_id == original.message_id
    assert STAMP not in (before.html or "")
    assert (item.is_draft, item.is_read, item.flag, item.categories) == (False, True, "Flagged", ["Red"])
    assert (item.sent_at, item.received_at) == (SENT_AT, original.received_at)
    assert (item.to, item.bcc) == (["bob@example.net"], ["cy@example.net"])
    assert item.properties["0x0071"] == original.properties["0x0071"]
    files = {(one.name, one.content, one.content_id, one.is_inline) for one in item.attachments}
    assert files == {("logo.png", b"\x89PNG logo", "logo", True), ("offer.pdf", b"%PDF offer", "", False)}


def test_whichever_answer_is_lost_one_item_stands_in_the_end(on_premises: OnPremises) -> None:
    mailboxes = {}
    for operation in ("FindItem", "GetItem", "CreateItem", "DeleteItem"):
        mailbox = mailboxes[operation] = on_premises.mailbox()
        on_premises.exchange.fail("drop", operation=operation, mailbox=mailbox)
        on_premises.send(mailbox)
    for mailbox in mailboxes.values():
        item = on_premises.until_replaced(mailbox)
        assert (len(item.attachments), item.is_draft) == (2, False)
        assert len(on_premises.exchange.items(mailbox, "recoverableitemsdeletions")) == 1


def test_a_mailbox_out_of_scope_is_denied_and_left_alone(on_premises: OnPremises) -> None:
    on_premises.exchange.add_mailbox(DENIED)
    original = on_premises.send(DENIED)
    on_premises.relay.wait_for_event("sent-item", mailbox=DENIED, reason="access-denied")
    on_premises.relay.wait_for_event("alert", key=f"sent-items-denied:{DENIED}")
    assert [item.id for item in on_premises.sent(DENIED)] == [original]


def test_a_busy_server_is_left_alone_for_as_long_as_it_says(on_premises: OnPremises) -> None:
    mailbox = on_premises.mailbox()
    on_premises.exchange.forget()
    on_premises.exchange.fail("busy", operation="GetItem", back_off_ms=2000)
    on_premises.send(mailbox)
    on_premises.until_replaced(mailbox)
    on_premises.relay.wait_for_event("mailbox-server-left-alone", reason="server-busy")
    log = on_premises.exchange.log()
    (busy,) = (entry for entry in log if "ErrorServerBusy" in entry.codes)
    after = next(entry for entry in log if entry.number > busy.number)
    assert after.at - busy.ended_at >= 2


def test_a_certificate_that_is_not_trusted_stops_the_server_until_somebody_mends_it(on_premises: OnPremises) -> None:
    relay, mailbox = on_premises.relay, on_premises.mailbox()
    trusted = on_premises.ca_file.read_bytes()
    trustme.CA().cert_pem.write_to_path(str(on_premises.ca_file))
    relay.cli_here("reload")
    on_premises.exchange.forget()
    on_premises.send(mailbox)
    relay.wait_for_event("mailbox-server-stopped", server="exchange", reason="tls-failed")
    relay.wait_for_event("alert", key="sent-items-server:exchange")
    told = "mailbox server exchange is STOPPED"
    wait_until(lambda: told in relay.cli_here("status").stdout, 60, "a status that tells")
    assert on_premises.exchange.log() == []
    on_premises.ca_file.write_bytes(trusted)
    relay.cli_here("sentitems", "resume", "--server", "exchange")
    on_premises.until_replaced(mailbox)
    relay.wait_for_event("alert-over", key="sent-items-server:exchange")


def test_one_request_at_a_time_is_made_for_a_mailbox(on_premises: OnPremises) -> None:
    mailbox = on_premises.mailbox()
    on_premises.exchange.forget()
    for _ in range(4):
        on_premises.send(mailbox)
    on_premises.until_replaced(mailbox, copies=4)
    assert on_premises.exchange.counters().most_at_once_by_mailbox[mailbox] == 1


def test_a_walk_through_a_mailbox_is_all_well(on_premises: OnPremises) -> None:
    mailbox = on_premises.mailbox()
    told = on_premises.relay.cli_here("sentitems", "check", "--mailbox", mailbox, "--json").stdout
    assert "failed" not in json.dumps(json.loads(told))
    assert "Exchange 2016 (15.1.2507.58)" in told
    assert on_premises.sent(mailbox) == []


def test_a_password_that_was_changed_is_tried_once_and_the_server_left_alone(on_premises: OnPremises) -> None:
    """Not once for each mailbox: the account would be locked."""
    on_premises.exchange.forget()
    wrong_before = on_premises.exchange.counters().wrong_sign_ins[ACCOUNT]
    on_premises.exchange.change_account(ACCOUNT, password="another")
    kill_process(on_premises.relay)  # NTLM signs in once for each connection
    mailboxes = [on_premises.mailbox() for _ in range(4)]
    originals = {mailbox: on_premises.send(mailbox) for mailbox in mailboxes}
    told = on_premises.relay.wait_for_event("mailbox-server-left-alone", server="exchange", reason="sign-in")
    assert told["for_s"] == 60
    assert on_premises.exchange.counters().wrong_sign_ins[ACCOUNT] == wrong_before + 1
    assert {mailbox: on_premises.sent(mailbox)[0].id for mailbox in mailboxes} == originals
    on_premises.exchange.change_account(ACCOUNT, password=PASSWORD)
    on_premises.relay.cli_here("sentitems", "resume", "--server", "exchange")
    for mailbox in mailboxes:
        on_premises.until_replaced(mailbox)
    logs = (on_premises.relay.folder / "log").glob("*.log")
    assert all(PASSWORD not in path.read_text() for path in logs)
