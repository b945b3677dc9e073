"""A whole relay, and mailboxes on a Dovecot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from tests.e2e.sentitems.mailboxes import RULES, STAMP, TEMPLATES, message, sent_items, submit
from tests.servers.dovecot import MASTER, MASTER_PASSWORD, Dovecot, running_dovecot
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

pytestmark = pytest.mark.server
JANE = "jane@example.com"


@dataclass(frozen=True)
class Running:
    relay: Relay
    dovecot: Dovecot

    def put(self, content: bytes) -> None:
        """As a mail program does, when it has sent it: with the hidden recipients, and a flag of the user's."""
        content = content.replace(b"Subject:", b"Bcc: hidden@example.com\r\nSubject:")
        with self.dovecot.session(JANE) as session:
            session.append("Sent", "\\Seen \\Flagged $Forwarded", '"16-Nov-2026 10:00:03 +0000"', content)

    def items(self, folder: str, name: str) -> list[tuple[str, EmailMessage]]:
        """What the server says of flags and dates, and the message."""
        with self.dovecot.session(JANE) as session:
            session.select(folder)
            answers = session.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
        found = [
            (answer[0].decode(), message_from_bytes(answer[1], policy=policy.default))
            for answer in answers
            if isinstance(answer, tuple)
        ]
        return [(told, item) for told, item in found if item["Message-ID"] == name]

    def last(self, name: str) -> dict[str, object]:
        """The last word on a message's job."""

        def found() -> list[dict[str, object]]:
            return [event for event in self.relay.events("sent-item") if event["message_id"] == name]

        return wait_until(found, 60, f"an attempt for {name}")[-1]


@pytest.fixture(scope="module")
def running(needs_dovecot: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("imap")
    (folder / "password").write_text(MASTER_PASSWORD)
    with Sink() as sink, running_dovecot([JANE]) as dovecot:
        server = {
            "name": "dovecot", "kind": "imap", "host": "127.0.0.1", "port": dovecot.imap, "user": MASTER,
            "password": {"file": str(folder / "password")},
            "tls": {"mode": "starttls", "ca_file": str(dovecot.ca_file)},
        }  # fmt: skip
        with running_relay(
            folder / "relay", sink.port, rules=RULES, templates=TEMPLATES, organisation=sent_items(server)
        ) as relay:
            yield Running(relay, dovecot)


def test_the_stamped_copy_takes_the_originals_place(running: Running) -> None:
    name = "<imap@example.com>"
    running.put(message(name))
    submit(running.relay, message(name))
    assert running.last(name)["state"] == "done"
    ((told, item),) = running.items("Sent", name)
    assert STAMP in str(item.get_content())
    assert item["Bcc"] == "hidden@example.com"
    assert "16-Nov-2026 10:00:03 +0000" in told
    assert all(flag in told for flag in ("\\Seen", "\\Flagged", "$Forwarded"))
    ((_, original),) = running.items("Trash", name)
    assert STAMP not in str(original.get_content())


def test_a_mailbox_that_the_server_does_not_open_is_skipped(running: Running) -> None:
    name = "<stranger@example.com>"
    submit(running.relay, message(name, "stranger@example.com"), sender="stranger@example.com")
    assert running.last(name)["state"] == "skipped"


def test_a_walk_through_a_mailbox_is_all_well(running: Running) -> None:
    told = json.loads(running.relay.cli_here("sentitems", "check", "--mailbox", JANE, "--json").stdout)
    assert "failed" not in json.dumps(told)
    assert "Dovecot" in json.dumps(told)
