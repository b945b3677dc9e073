"""One of us answers a customer before his mail was polled, by a rule that opens nothing: it ends in his record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.tracking.maildirs import Maildirs, message, tracking
from tests.servers.client import send
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

RULES = """\
rules:
  - name: desk-out
    direction: outbound
    actions: [{track: {module: ticket, open: false}}]
"""
PROCESSING = "processing@example.com"
CUSTOMER = "jane1@example.net"
ANSWER = message(9, From="john@example.com", To=CUSTOMER, Subject="Re: Printer 1", In_Reply_To="<m1@example.net>")


def listed(relay: Relay, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(relay.cli_here("mailbox", "messages", *arguments, "--json").stdout)
    return found


def test_killed_between_the_original_and_its_answer_both_are_in_the_record_once(tmp_path: Path) -> None:
    boxes = Maildirs(tmp_path / "boxes", "help", "processing")
    desk = tracking(tmp_path / "desk", boxes.settings("help", "processing"), processing_mailbox=PROCESSING)
    with Sink() as sink, running_relay(
        tmp_path / "relay", sink.port, rules=RULES, environment={"STAMPLINE_CRASH_AT": "after-take:2"},
        organisation=desk,
    ) as relay:  # fmt: skip
        send(relay.port, "john@example.com", [CUSTOMER], ANSWER)
        wait_until(lambda: any(PROCESSING in each.rcpt_to for each in list(sink.arrived)), 60, "the relay's copy")
        (copy,) = (each for each in list(sink.arrived) if PROCESSING in each.rcpt_to)
        boxes.put("processing", copy.data)
        relay.cli_here("mailbox", "poll", "processing")
        wait_until(lambda: listed(relay), 60, "the answer is taken")
        (answer,) = listed(relay)
        assert (answer["message_id"], answer["state"], answer["reason"]) == (
            "<m9@example.net>", "unmatched", "unknown-original",
        )  # fmt: skip
        boxes.put("help", message(1))
        relay.cli_here("mailbox", "poll", "help", check=False)  # which ends with the process
        relay.wait_for_event("worker-died", component="tracking", status="signal SIGKILL")
        wait_until(lambda: not listed(relay), 60, "the answer is in the record")
        (shown,) = listed(relay, "--sender", "john@example.com", "--state", "joined")
        assert (shown["reason"], shown["record"], shown["mailbox"]) == ("known-reference", "ticket-1", "processing")
        record = json.loads(relay.cli_here("records", "show", "ticket-1", "--json").stdout)
        assert [(note["message_id"], note["kind"]) for note in record["notes"]] == [
            ("<m1@example.net>", "received"), ("<m9@example.net>", "sent"),
        ]  # fmt: skip
        assert (
            "looked at again: joined (known-reference), record ticket-1"
            in relay.cli_here("trace", "<m9@example.net>").stdout
        )
