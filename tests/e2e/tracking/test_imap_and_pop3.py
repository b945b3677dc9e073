"""A whole relay that monitors mailboxes of a Dovecot, by IMAP and POP3: what arrives there becomes records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.tracking.maildirs import message, titles, tracking
from tests.servers.dovecot import PASSWORD, Dovecot, running_dovecot
from tests.servers.relay import Relay

pytestmark = pytest.mark.server
_numbers = count(1)
KINDS = ("imap", "pop3")
LARGE = "x" * 70 + "\r\n"


@dataclass(frozen=True)
class Office:
    relay: Relay
    dovecot: Dovecot

    def deliver(self, kind: str, data: bytes) -> None:
        with self.dovecot.session(_address(kind)) as session:
            assert session.append("INBOX", "", "", data)[0] == "OK"

    def lying(self, kind: str, folder: str = "INBOX") -> int:
        with self.dovecot.session(_address(kind)) as session:
            status, data = session.select(folder, readonly=True)
            return int(data[0] or b"0") if status == "OK" else 0

    def aside(self, kind: str) -> int:
        if kind == "imap":
            return self.lying(kind, "StamplineSetAside")
        return len(list(self.relay.folder.glob("**/set-aside/pop3/new/*")))

    def poll(self, kind: str) -> None:
        self.relay.cli_here("mailbox", "poll", kind)


def _message(subject: str) -> bytes:
    number = next(_numbers)
    return message(number, **{"Message-ID": f"<dovecot-{number}@example.net>", "Subject": subject})


def _address(kind: str) -> str:
    return f"{kind}@example.com"


def _mailbox(kind: str, dovecot: Dovecot, password: Path) -> dict[str, Any]:
    port = dovecot.imaps if kind == "imap" else dovecot.pop3s
    return {
        "name": kind, "kind": kind, "address": _address(kind), "host": "localhost", "port": port,
        "password": {"file": str(password)}, "tls": {"ca_file": str(dovecot.ca_file)}, "poll": {"every": 9999},
        "largest": "10kB", "timeout": "10s",
    }  # fmt: skip


@pytest.fixture(scope="module")
def office(needs_dovecot: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("imap-and-pop3")
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    with running_dovecot(map(_address, KINDS)) as dovecot:
        mailboxes = [_mailbox(kind, dovecot, password) for kind in KINDS]
        relay = Relay(folder / "relay", 1, organisation=tracking(folder / "desk", mailboxes))
        relay.write_rules("rules: []\n")
        try:
            relay.start()
            yield Office(relay, dovecot)
        finally:
            relay.clean_up()


@pytest.mark.parametrize("kind", [pytest.param("imap", marks=pytest.mark.long), "pop3"])
def test_a_mailbox_can_be_tried(office: Office, kind: str) -> None:
    assert "localhost" in office.relay.cli_here("mailbox", "test", kind, "--no-mail").stdout


@pytest.mark.parametrize("kind", KINDS)
def test_what_arrives_becomes_records_once_and_what_is_too_large_is_set_aside(office: Office, kind: str) -> None:
    first, second, large = (_message(f"{kind} {number}") for number in range(3))
    for data in (first, large + LARGE.encode() * 500, second, first):  # one of them twice, as by two lists
        office.deliver(kind, data)
    office.poll(kind)
    assert {title: n for title, n in titles(office.relay).items() if kind in title} == {f"{kind} 0": 1, f"{kind} 1": 1}
    assert office.lying(kind) == 0
    assert office.aside(kind) == 1
    assert office.lying(kind, "StamplineProcessed") == (3 if kind == "imap" else 0)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_was_away_is_found_again(office: Office, kind: str) -> None:
    office.deliver(kind, _message(f"Away {kind}"))
    office.dovecot.stop()
    office.relay.cli_here("mailbox", "poll", kind, check=False)
    office.dovecot.start()
    office.poll(kind)
    assert titles(office.relay)[f"Away {kind}"] == 1
    assert office.lying(kind) == 0


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_killed_before_the_session_has_ended_it_takes_nothing_twice(office: Office, kind: str) -> None:
    """With POP3 nothing of the session was done on the server then: all comes again."""
    for _ in range(3):
        office.deliver(kind, _message(f"Killed {kind}"))
    office.relay.stop()
    office.relay.start(STAMPLINE_CRASH_AT="message-moved:2")
    office.relay.cli_here("mailbox", "poll", kind, check=False)
    office.relay.wait_for_event("worker-died", component="tracking")
    office.relay.kill()  # a successor of the process may have gone on by now, or not
    office.relay.start()
    office.poll(kind)
    assert office.lying(kind) == 0
    assert titles(office.relay)[f"Killed {kind}"] == 3
