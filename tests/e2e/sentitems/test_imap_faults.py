"""A whole relay, and a Dovecot in trouble: connections that end or hang, mailboxes that are full or unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.sentitems.faulty import Clock
from tests.e2e.sentitems.mailboxes import (
    RULES,
    STAMP,
    TEMPLATES,
    counts,
    kill_process,
    message,
    process,
    sent_items,
    submit,
)
from tests.servers.dovecot import MASTER, MASTER_PASSWORD, Dovecot, running_dovecot
from tests.servers.imap_between import Between, between
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

pytestmark = pytest.mark.server
JANE, FULL, CLOSED = "jane@example.com", "full@example.com", "closed@example.com"


@dataclass(frozen=True)
class Running:
    relay: Relay
    dovecot: Dovecot
    middle: Between
    """Between the relay and it."""
    clock: Clock

    def send(self, name: str, sender: str = JANE) -> None:
        self.put(name, sender)
        submit(self.relay, message(name, sender), sender=sender)

    def put(self, name: str, sender: str) -> None:
        with self.dovecot.session(sender) as session:
            session.append("Sent", "\\Seen", '"16-Nov-2026 10:00:03 +0000"', message(name, sender))

    def restart(self) -> None:
        """The process that writes to Sent Items, which knows nothing and has no connections then."""
        former = kill_process(self.relay)
        wait_until(lambda: process(self.relay) not in (0, former), 60, "another process")

    def items(self, name: str, sender: str = JANE) -> list[EmailMessage]:
        with self.dovecot.session(sender) as session:
            session.select("Sent")
            answers = session.uid("FETCH", "1:*", "(BODY.PEEK[])")[1]
        found = [message_from_bytes(each[1], policy=policy.default) for each in answers if isinstance(each, tuple)]
        return [item for item in found if item["Message-ID"] == name]

    def is_stamped(self, name: str, sender: str = JANE) -> bool:
        items = self.items(name, sender)
        return len(items) == 1 and STAMP in str(items[0].get_content())

    def until_stamped(self, name: str, sender: str = JANE) -> None:
        wait_until(lambda: self.is_stamped(name, sender), 60, lambda: f"a stamped item: {counts(self.relay)}")


@pytest.fixture(scope="module")
def running(needs_dovecot: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("imap")
    (folder / "password").write_text(MASTER_PASSWORD)
    clock = Clock(folder / "shift")
    with (
        Sink() as sink,
        running_dovecot([JANE, FULL, CLOSED]) as dovecot,
        between(dovecot.imap) as middle,
        running_relay(
            folder / "relay", sink.port, rules=RULES, templates=TEMPLATES, environment=clock.environment,
            organisation=sent_items(_server(folder, middle.port)),
        ) as relay,
    ):  # fmt: skip
        yield Running(relay, dovecot, middle, clock)
        assert not relay.events("internal-error")


def _server(folder: Path, port: int) -> dict[str, Any]:
    return {
        "name": "dovecot", "kind": "imap", "host": "127.0.0.1", "port": port, "user": MASTER,
        "password": {"file": str(folder / "password")}, "tls": {"mode": "none"}, "timeout": "1s",
        "sign_in": "master-user",
    }  # fmt: skip


@pytest.mark.parametrize("breaks", ["hang", pytest.param("close", marks=pytest.mark.long)])
def test_an_append_that_is_not_answered_makes_no_second_item(running: Running, breaks: Any) -> None:
    name = f"<{breaks}@example.com>"
    running.middle.breaks, running.middle.at = breaks, b"APPEND"
    running.send(name)
    running.relay.wait_for_event("sent-item", message_id=name, state="waiting", reason="outcome-unknown")
    assert len(running.items(name)) == 2
    running.middle.breaks = ""
    running.clock.forward(11)
    running.until_stamped(name)


@pytest.mark.long
def test_a_full_mailbox_is_left_as_it_is_until_there_is_room(running: Running) -> None:
    name = "<full@example.com>"
    running.put(name, FULL)
    running.dovecot.change_mailbox(FULL, quota_rule="*:storage=1B")
    submit(running.relay, message(name, FULL), sender=FULL)
    told = running.relay.wait_for_event("sent-item", message_id=name, state="waiting", reason="quota")
    assert "OVERQUOTA" in str(told["detail"])
    assert not running.is_stamped(name, FULL)
    running.dovecot.change_mailbox(FULL)
    running.restart()  # Dovecot goes by the quota that a connection began with
    running.clock.forward(86_401)
    running.until_stamped(name, FULL)


@pytest.mark.long
def test_a_mailbox_that_is_closed_to_us_stops_no_server_after_a_restart(running: Running) -> None:
    running.dovecot.deny(CLOSED)
    running.restart()
    name = "<closed@example.com>"
    submit(running.relay, message(name, CLOSED), sender=CLOSED)
    running.relay.wait_for_event("sent-item", message_id=name, state="skipped", reason="access-denied")
    running.send("<afterwards@example.com>")
    running.until_stamped("<afterwards@example.com>")
    assert not running.relay.events("mailbox-server-stopped", "mailbox-server-left-alone")
