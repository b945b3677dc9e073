"""`stampline erase` beside a real relay that tracks: what of a person is left in its files, killed or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.tracking.maildirs import Maildirs, message, titles, tracking
from tests.servers.client import send
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink

ANN, JANE = "ann@example.net", "jane@example.com"
WORDS = "Reindeer and sledges"
RULES = """\
rules:
  - name: keep-back
    when: {subject: {phrase: to be held}}
    actions: [{hold: {reason: a test}}]
"""


@dataclass(frozen=True)
class Office:
    relay: Relay
    boxes: Maildirs

    def ask(self, number: int, **fields: str) -> None:
        """Ann writes to the desk."""
        head = {"From": f"Ann Lee <{ANN}>", "Message-ID": f"<{number}.mail@example.net>", **fields}
        data = message(number, **head).replace(b"It prints nothing.", WORDS.encode())
        self.boxes.put("help", data)

    def answer(self, number: int, to: int) -> None:
        fields = {"In-Reply-To": f"<{to}.mail@example.net>", "Subject": f"Re: Printer {to}"}
        self.boxes.put("help", message(number, From=f"Jane <{JANE}>", To=f"Ann Lee <{ANN}>", **fields))

    def poll(self) -> None:
        self.relay.cli_here("mailbox", "poll", "help")

    def erase(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        done = self.relay.cli_here("erase", ANN, "--json", *arguments, check=False)
        assert done.returncode == code, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def records(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads(self.relay.cli_here("records", "list", "--json").stdout)
        return listed

    def files_with(self, *texts: str) -> list[str]:
        """Files below the spool that hold one of the texts, in any case."""
        wanted = [text.lower().encode() for text in texts]
        found = []
        for path in sorted((self.relay.folder / "spool").rglob("*")):
            with suppress(FileNotFoundError, IsADirectoryError):  # the relay goes on meanwhile
                octets = path.read_bytes().lower()
                found += [path.name] if any(text in octets for text in wanted) else []
        return found


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    boxes = Maildirs(tmp_path / "boxes", "help")
    desk = tracking(tmp_path / "desk", boxes.settings("help"), technicians={"addresses": [JANE]})
    with Sink() as sink, running_relay(tmp_path / "relay", sink.port, rules=RULES, organisation=desk) as relay:
        yield Office(relay, boxes)


def test_nothing_of_a_person_is_left_in_the_files(office: Office) -> None:
    """Beside a relay that runs; killed on the way; and while it is stopped."""
    held = _fill(office)
    _erase_all_but_undelivered_mail(office, held)
    office.relay.cli_here("queue", "delete", held)
    assert office.erase("--yes")["complete"] is True
    assert not office.files_with(ANN, WORDS, "Ann Lee")
    _go_on_as_with_somebody_new(office)
    _break_off_and_go_on(office)
    _erase_while_it_is_stopped(office)


def _fill(office: Office) -> str:
    """Records of hers alone, one that a colleague answered, others'; mail delivered and (given) held back."""
    relay = office.relay
    sent = message(90, From=ANN, Subject="delivered").replace(b"prints", WORDS.encode())
    delivered = send(relay.inbound_port, ANN, [JANE], sent).queue_id
    held = send(relay.inbound_port, ANN, [JANE], message(91, From=ANN, Subject="to be held")).queue_id
    relay.wait_for_event("held", queue_id=held)
    relay.wait_until_settled(delivered)
    for number in range(1, 4):
        office.ask(number)
    office.poll()
    office.answer(10, to=1)
    office.boxes.put("help", message(20))
    office.poll()
    assert sorted(record["notes"] for record in office.records()) == [1, 1, 1, 2]
    return held


def _erase_all_but_undelivered_mail(office: Office, held: str) -> None:
    found = office.erase("--dry-run")
    assert office.files_with(ANN)
    told = office.erase("--yes", code=1)
    assert told["erased"] == found["would_be_erased"]
    assert told["erased"]["records_removed"] == 2
    assert [(kept["name"], kept["drop"]) for kept in told["kept"]] == [(held, f"stampline queue delete {held}")]
    assert not office.files_with(WORDS, "Ann Lee")
    (answered,) = [record for record in office.records() if record["requester"].startswith("erased-")]
    assert answered["notes"] == 1
    assert "jane20@example.net" in {record["requester"] for record in office.records()}
    done = office.relay.wait_for_event("erasure-done", person=told["person"])
    assert ANN not in str(done)


def _go_on_as_with_somebody_new(office: Office) -> None:
    office.ask(4)
    office.ask(5, **{"In-Reply-To": "<m10@example.net>"})  # the colleague's answer, from before
    office.poll()
    assert titles(office.relay)["Printer 4"] == 1
    assert [record["title"] for record in office.records() if record["requester"] == ANN] == ["Printer 4"]
    (pending,) = json.loads(office.relay.cli_here("records", "pending", "--json").stdout)
    assert pending["sender"] == ANN
    office.relay.wait_until_settled(send(office.relay.port, JANE, ["x@partner.example"], message(92)).queue_id)


def _break_off_and_go_on(office: Office) -> None:
    for number in range(100, 125):
        office.ask(number)
    office.poll()
    command = [sys.executable, "-m", "mta", "erase", ANN, "--yes", "--config", str(office.relay.configuration)]
    environment = {**os.environ, "STAMPLINE_CRASH_AT": "erased-some"}
    killed = subprocess.run(command, check=False, capture_output=True, timeout=60, env=environment)
    assert killed.returncode == -9
    left = [record for record in office.records() if record["requester"] == ANN]
    assert 0 < len(left) < 26
    assert office.erase("--yes")["erased"]["records_removed"] == len(left)
    assert not office.files_with(ANN, WORDS)


def _erase_while_it_is_stopped(office: Office) -> None:
    office.ask(200)
    office.poll()
    office.relay.stop()
    assert office.erase("--yes", "--records", "keep-text")["complete"] is True
    assert not office.files_with(ANN, "Ann Lee")
    (record,) = [record for record in office.records() if record["title"] == "Printer 200"]
    assert record["requester"].startswith("erased-")
