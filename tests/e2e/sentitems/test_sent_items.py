"""The sender finds in Sent Items what the customer received: a whole relay, and mailboxes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.sentitems.mailboxes import RULES, STAMP, TEMPLATES, Mailboxes, message, sent_items, submit
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until


@dataclass(frozen=True)
class Running:
    relay: Relay
    sink: Sink
    mailboxes: Mailboxes

    def outcome(self, message_id: str, mailbox: str = "jane@example.com") -> str:
        """How the job ended, or first waited: state and reason."""

        def last() -> str:
            found = [
                e for e in self.relay.events("sent-item") if (e["message_id"], e["mailbox"]) == (message_id, mailbox)
            ]
            return f"{found[-1]['state']} {found[-1].get('reason', '')}".strip() if found else ""

        return wait_until(last, 60, f"an attempt for {message_id}")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("sentitems")
    mailboxes = Mailboxes(folder / "mailboxes", "jane", "john", "secretary")
    scope = {"all_but": {"groups": ["Legal"]}}
    with (
        Sink() as sink,
        running_relay(
            folder / "relay", sink.port, rules=RULES, templates=TEMPLATES,
            organisation=sent_items(mailboxes.settings(), senders=scope),
        ) as relay,
    ):  # fmt: skip
        yield Running(relay, sink, mailboxes)


def test_the_stamped_copy_takes_the_originals_place(running: Running) -> None:
    name = "<replaced@example.com>"
    running.mailboxes.put("jane", message(name))
    submit(running.relay, message(name))
    assert running.outcome(name) == "done"
    assert running.mailboxes.is_stamped("jane", name)
    wait_until(lambda: any(STAMP in str(arrived.data) for arrived in running.sink.arrived), 60, "the customer's copy")


def test_what_no_rule_changed_makes_no_job(running: Running) -> None:
    name = "<inside@example.com>"
    running.mailboxes.put("jane", message(name))
    submit(running.relay, message(name), "john@example.com")
    submit(running.relay, message("<marker@example.com>"))
    running.outcome("<marker@example.com>")
    assert not [event for event in running.relay.events("sent-item") if event["message_id"] == name]
    assert STAMP not in running.mailboxes.texts("jane", name)[0]


def test_who_is_out_of_scope_keeps_what_was_written(running: Running) -> None:
    name = "<legal@example.com>"
    running.mailboxes.put("john", message(name, "john@example.com"))
    submit(running.relay, message(name, "john@example.com"), sender="john@example.com")
    assert running.outcome(name, "john@example.com") == "skipped out-of-scope"
    assert STAMP not in running.mailboxes.texts("john", name)[0]


def test_a_sender_without_a_mailbox_is_skipped(running: Running) -> None:
    name = "<printer@example.com>"
    submit(running.relay, message(name, "printer@example.com"), sender="printer@example.com")
    assert running.outcome(name, "printer@example.com") == "skipped no-mailbox"


def test_an_edited_item_stays(running: Running) -> None:
    name = "<edited@example.com>"
    running.mailboxes.put("jane", message(name, text="Dear Bob, something else altogether."))
    submit(running.relay, message(name))
    assert running.outcome(name) == "skipped edited"
    assert "something else" in running.mailboxes.texts("jane", name)[0]


def test_nobody_sends_something_into_another_ones_mailbox(running: Running) -> None:
    """A printer may send in jane's name, with the Message-ID and date of what it got from her."""
    name = "<forged@example.com>"
    running.mailboxes.put("jane", message(name))
    submit(running.relay, message(name))
    assert running.outcome(name) == "done"
    before = running.mailboxes.texts("jane", name)
    submit(running.relay, message(name, text="Dear Bob, pay elsewhere."), sender="printer@example.com")
    tried = running.relay.events
    wait_until(lambda: len([e for e in tried("sent-item") if e["message_id"] == name]) == 2, 60, "another attempt")
    assert running.mailboxes.texts("jane", name) == before


def test_the_log_tells_nothing_of_what_messages_say(running: Running) -> None:
    name, subject, text = "<secret@example.com>", "a1b2c3-subject", "a1b2c3-text"
    content = message(name, text=text).replace(b"Subject: ", f"Subject: {subject} ".encode())
    assert subject.encode() in content
    running.mailboxes.put("jane", content)
    submit(running.relay, content)
    assert running.outcome(name) == "done"
    shown = (
        running.relay.cli_here("sentitems", "show", name).stdout + running.relay.cli_here("sentitems", "list").stdout
    )
    logged = "".join(path.read_text() for path in (running.relay.folder / "log").iterdir())
    assert name in logged
    assert name in shown
    assert "a1b2c3" not in logged + shown


def test_an_item_that_comes_late_is_found(running: Running) -> None:
    name = "<late@example.com>"
    submit(running.relay, message(name))
    assert running.outcome(name) == "waiting not-found"
    running.mailboxes.put("jane", message(name))
    running.relay.cli_here("sentitems", "retry", "--message-id", name)
    wait_until(lambda: running.mailboxes.is_stamped("jane", name), 60, "the stamped item")


def test_status_shows_the_process(running: Running) -> None:
    assert "sentitems" in running.relay.cli_here("status").stdout
