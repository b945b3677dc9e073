"""Actions on who gets mail, with the relay as its processes: once for a message, whoever hands it over and restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path

from tests.servers.client import send
from tests.servers.load import simple_message
from tests.servers.relay import Relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

SIBLINGS = 12


@contextmanager
def running(relay: Relay, *, rules: str) -> Iterator[Relay]:
    relay.write_rules(rules)
    relay.write_template("away", "<p>Away.</p>\n", "Away.\n")
    try:
        relay.start()
        yield relay
    finally:
        relay.clean_up()


def add_maildir(relay: Relay, name: str) -> Path:
    """One more next hop, into one Maildir for each recipient."""
    folder = relay.folder / name
    relay.settings["next_hops"].append({"name": name, "kind": "maildir", "folder": str(folder / "{local}")})
    relay.write_settings()
    return folder


def mails(folder: Path) -> list[bytes]:
    """What has been delivered into a Maildir."""
    return [path.read_bytes() for path in sorted((folder / "new").glob("*"))]


def queue(relay: Relay) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = json.loads(relay.cli_here("queue", "list", "--json").stdout)
    return listed


def wait_until_empty(relay: Relay) -> None:
    wait_until(lambda: not queue(relay), 60, lambda: f"an empty queue, but there is {queue(relay)}")


def test_a_message_handed_over_in_pieces_to_two_workers_is_archived_once(tmp_path: Path) -> None:
    with Sink() as sink:
        relay = Relay(tmp_path / "relay", sink.port, workers=2)
        vault = add_maildir(relay, "vault")
        rules = "rules:\n- {name: keep, actions: [{archive: {to: all@archive.example, next_hop: vault}}]}\n"
        with running(relay, rules=rules):
            message = simple_message("pieces")

            def hand_over(number: int) -> str:
                return send(relay.port, "jane@example.com", [f"r{number}@customer.example"], message).queue_id

            with ThreadPoolExecutor(SIBLINGS) as threads:
                queue_ids = list(threads.map(hand_over, range(SIBLINGS)))
            send(relay.port, "jane@example.com", ["r@customer.example"], simple_message("another"))
            sink.wait_for(SIBLINGS + 1)
            wait_until_empty(relay)
            archived = mails(vault / "all")
            followed = relay.events("followed")
            done = relay.events("not-followed")
    assert sorted(mail.count(b"<pieces@mail.example.com>") for mail in archived) == [0, 1]
    assert [event["kind"] for event in followed] == ["archive", "archive"]
    assert {event["queue_id"] for event in done} < set(queue_ids)
    assert [event["reason"] for event in done] == ["done already"] * (SIBLINGS - 1)
    kept = next(mail for mail in archived if b"<pieces@" in mail)
    assert kept.endswith(message)
    assert kept.startswith(b"Return-Path: <postmaster@relay.example.com>\r\nDelivered-To: all@archive.example\r\n")


def test_two_relays_that_answer_everything_do_not_answer_each_other(tmp_path: Path) -> None:
    ours, theirs = Relay(tmp_path / "a", 1), Relay(tmp_path / "b", 1)
    theirs.settings["hostname"] = "relay.other.example"
    theirs.settings["organisation"]["accepted_domains"] = ["other.example"]
    (theirs.folder / "people.yaml").write_text("people:\n- {address: sam@other.example, attributes: {}}\n")
    for relay, own, other in ((ours, "example.com", theirs), (theirs, "other.example", ours)):
        relay.settings["next_hops"][0]["hosts"][0]["port"] = other.inbound_port
        relay.settings["routing"] = {"default": "out", "domains": {own: "mailboxes"}}
        add_maildir(relay, "mailboxes")
    rules = "rules:\n- {name: away, direction: inbound, actions: [{auto-respond: {template: away, limit: 100}}]}\n"
    with running(ours, rules=rules), running(theirs, rules=rules):
        sent = simple_message("hello", sender="sam@other.example", to="jane@example.com")
        send(theirs.port, "sam@other.example", ["jane@example.com"], sent)
        wait_until(lambda: mails(theirs.folder / "mailboxes" / "sam"), 60, "Sam's answer")
        wait_until(lambda: theirs.events("not-followed"), 60, "a decision on the answer")
        for relay in (ours, theirs):
            wait_until_empty(relay)
        (answer,) = mails(theirs.folder / "mailboxes" / "sam")
        assert len(mails(ours.folder / "mailboxes" / "jane")) == 1
        assert len(ours.events("accepted")) == 1
        assert len(theirs.events("accepted")) == 2
        assert [event["reason"] for event in theirs.events("not-followed")] == ["null reverse-path"]
    message = message_from_bytes(answer, policy=policy.default)
    assert message["Return-Path"] == "<>"
    assert message["From"] == "Jane Doe <jane@example.com>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == "<hello@mail.example.com>"


def test_who_was_answered_is_known_after_a_crash(tmp_path: Path) -> None:
    with Sink() as sink:
        relay = Relay(tmp_path / "relay", sink.port)
        rules = "rules:\n- {name: away, actions: [{auto-respond: {template: away, period: 1d}}]}\n"
        with running(relay, rules=rules):

            def write(number: int) -> None:
                mail = simple_message(number, sender="sam@other.example", to="jane@example.com")
                send(relay.inbound_port, "sam@other.example", ["jane@example.com"], mail)

            write(1)
            assert sink.wait_for_message(b"Subject: Auto: Hello").rcpt_to == ("sam@other.example",)
            relay.wait_until_settled()  # or it would be delivered again
            relay.kill()
            relay.start()
            write(2)
            sink.wait_for_message(b"<2@mail.example.com>")
            wait_until(lambda: relay.events("not-followed"), 60, "a decision on the answer")
            wait_until_empty(relay)
            answers = [mail for mail in sink.arrived if b"Auto-Submitted" in mail.data]
    assert len(answers) == 1


def test_redirected_mail_that_does_not_arrive_is_reported_in_the_recipients_name(tmp_path: Path) -> None:
    def no_jill(verb: str, argument: str) -> str | None:
        return "550 5.1.1 <jill@elsewhere.example> is unknown here" if verb == "RCPT" and "jill" in argument else None

    with Sink(script=no_jill) as sink:
        relay = Relay(tmp_path / "relay", sink.port)
        rules = (
            "rules:\n- name: moved\n  when: {recipient: {address: bob@customer.example}}\n"
            "  actions: [{redirect: jill@elsewhere.example}]\n"
        )
        with running(relay, rules=rules):
            message = simple_message("moved", to="bob@customer.example")
            send(relay.port, "jane@example.com", ["bob@customer.example", "ann@customer.example"], message)
            report = sink.wait_for_message(b"report-type=delivery-status")
            wait_until_empty(relay)
            assert [event["in_place_of"] for event in relay.events("recipient-added")] == ["bob@customer.example"]
    assert report.rcpt_to == ("jane@example.com",)
    assert b"Final-Recipient: rfc822; bob@customer.example" in report.data
    assert b"jill" not in report.data
    assert [mail.rcpt_to for mail in sink.arrived if b"<moved@" in mail.data and mail is not report] == [
        ("ann@customer.example",)
    ]


def test_mail_that_needs_tls_waits_where_there_is_none_and_its_sender_is_told_why(tmp_path: Path) -> None:
    with Sink() as sink:
        relay = Relay(tmp_path / "relay", sink.port, retry={"schedule": ["1s"], "expire_after": "4s"})
        rules = (
            "rules:\n- name: sealed\n  when: {subject: {phrase: sealed}}\n"
            "  actions: [require-tls, {tag-subject: {text: '[sealed]'}}]\n"
        )
        with running(relay, rules=rules):
            send(relay.port, "jane@example.com", ["a@customer.example"], simple_message("s", subject="sealed"))
            deferred = wait_until(lambda: relay.events("deferred"), 60, "a deferral")
            send(relay.port, "jane@example.com", ["a@customer.example"], simple_message("open"))
            sink.wait_for_message(b"<open@")
            report = sink.wait_for_message(b"report-type=delivery-status", timeout_s=60)
            wait_until_empty(relay)
    assert deferred[0]["next_hop"] == "out+tls"
    assert "TLS is required" in deferred[0]["reply"]
    assert b"may only travel over an encrypted connection" in report.data
    assert not [mail for mail in sink.arrived if b"[sealed]" in mail.data and mail is not report]
