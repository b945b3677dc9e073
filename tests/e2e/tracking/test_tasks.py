"""What follows from records elsewhere, by the real processes: webhook, plug-in and notice; faults, kills, commands."""

from __future__ import annotations

import json
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.peers.https import HttpsServer, Request, Response
from tests.servers.plugins import install, install_example
from tests.servers.relay import Relay
from tests.servers.submission import Desk, submission_server
from tests.servers.wait import wait_until

SUPPORT, JANE = "support@example.com", "jane@customer.example"
HANGS = "import time\ndef hang(event): time.sleep(3600)\n"
RULES = """\
rules:
  - name: new
    when: {outcome: new}
    actions:
      - create: {module: ticket}
      - note
      - call: {sink: stuck}
      - call: {sink: desk}
      - call: {sink: journal}
      - notify: {to: requester}
"""
_numbers = count(1)


@dataclass
class Receiver:
    """A webhook that counts each key once, as it should."""

    status: int = 200
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        self.calls.append((request.headers["idempotency-key"], json.loads(request.body)))
        return Response(self.status)

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self.calls]


@dataclass(frozen=True)
class Office:
    """A relay with a monitored Maildir, and everything that records lead to."""

    relay: Relay
    receiver: Receiver
    post: Desk
    folder: Path

    def deliver(self, subject: str = "Printer") -> str:
        number = next(_numbers)
        message_id = f"<{number}.tasks@customer.example>"
        text = (
            f"From: Jane <{JANE}>\r\nTo: {SUPPORT}\r\nSubject: {subject}\r\nMessage-ID: {message_id}\r\n"
            "Date: Mon, 16 Nov 2026 10:00:00 +0000\r\n\r\nIt burns.\r\n"
        )
        (self.folder / "support" / "tmp" / str(number)).write_bytes(text.encode())
        (self.folder / "support" / "tmp" / str(number)).rename(self.folder / "support" / "new" / str(number))
        return message_id

    def poll(self) -> None:
        self.relay.cli_here("mailbox", "poll", "support")

    def tasks(self, *arguments: str) -> list[dict[str, Any]]:
        return list(json.loads(self.relay.cli_here("records", *(arguments or ("tasks",)), "--json").stdout))

    def done(self, target: str) -> bool:
        return not [task for task in self.tasks() if task["target"] == target]


def _settings(folder: Path, relay: Relay, authority: trustme.CA, hook: str, port: int) -> dict[str, Any]:
    for name, secret in (("tracking", "k" * 32), ("hook", "h" * 32), ("post", "secret")):
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name in ("new", "cur", "tmp"):
        (folder / "support" / name).mkdir(parents=True)
    (relay.folder / "business").mkdir()
    tls = {"ca_file": str(folder / "ca.pem")}
    return {
        "keys": [{"file": str(folder / "tracking")}],
        "modules": [{"name": "ticket"}],
        "rules": "business",
        "mailboxes": [{
            "name": "support", "kind": "maildir", "address": SUPPORT, "path": str(folder / "support"),
            "poll": {"every": 9999},
        }],
        "sinks": [
            {"name": "desk", "kind": "webhook", "url": f"{hook}/records", "key": {"file": str(folder / "hook")},
             "tls": tls},
            {"name": "journal", "kind": "plugin", "plugin": "csv-journal",
             "settings": {"file": str(folder / "journal.csv")}},
            {"name": "stuck", "kind": "plugin", "plugin": "hang", "timeout": "1s"},
        ],
        "accounts": [{
            "name": "post", "kind": "smtp", "host": "localhost", "port": port, "user": "desk",
            "password": {"file": str(folder / "post")}, "senders": [SUPPORT], "tls": {"mode": "starttls", **tls},
        }],
    }  # fmt: skip


@contextmanager
def running(folder: Path, rules: str = RULES, plugin: str = HANGS, **environment: str) -> Iterator[Office]:
    authority, receiver, post = trustme.CA(), Receiver(), Desk({"desk": "secret"})
    install_example(folder / "site")
    install(folder / "site", "hanging", plugin, {"stampline.sinks": {"hang": "hanging:hang"}})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    relay = Relay(folder / "relay", 1)
    relay.environment["PYTHONPATH"] = os.pathsep.join(
        [str(folder / "site"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    )
    with HttpsServer(receiver.answer, authority) as hook, submission_server(post, context, tls="starttls") as port:
        relay.settings["organisation"]["tracking"] = _settings(folder, relay, authority, hook.url, port)
        relay.write_settings()
        relay.write_rules("rules: []\n")
        (relay.folder / "business" / "rules.yaml").write_text(rules)
        try:
            relay.start(**environment)
            yield Office(relay, receiver, post, folder)
        finally:
            relay.clean_up()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with running(tmp_path_factory.mktemp("tasks")) as office:
        yield office


def test_a_record_is_told_to_everybody_though_one_of_them_hangs(office: Office) -> None:
    office.deliver()
    office.poll()
    wait_until(lambda: office.receiver.calls and office.post.submitted and office.done("journal"), 60, "what follows")
    (_, told) = office.receiver.calls[-1]
    assert told["record"]["title"] == "Printer"
    journal = (office.folder / "journal.csv").read_text()
    assert f",ticket,{told['record']['number']},open,{JANE}" in journal
    mail = office.post.submitted[-1]
    assert (mail.sender, mail.recipients, mail.is_tls, mail.user) == (SUPPORT, (JANE,), True, "desk")
    wait_until(lambda: any(task["reason"] == "plugin-slow" for task in office.tasks()), 60, "the one that hangs")
    office.relay.cli_here("records", "drop", "--target", "stuck", "--waiting")
    wait_until(lambda: office.tasks() == [], 60, "the end of the rest")


def test_dead_letters_are_seen_explained_and_replayed(office: Office) -> None:
    office.receiver.status = 404
    office.deliver("Hostile \x1b[2J subject")
    office.poll()
    wait_until(lambda: office.tasks("dead"), 60, "the dead letter")
    (dead,) = office.tasks("dead")
    assert (dead["target"], dead["reason"], dead["attempts"]) == ("desk", "status-404", 1)
    shown = office.relay.cli_here("records", "tasks", str(dead["task"])).stdout
    assert "the webhook answered 404 (Not Found)" in shown
    assert "It burns." in shown
    assert "\x1b" not in shown
    assert "status-404" in office.relay.cli_here("records", "dead").stdout
    first = office.receiver.keys[-1]
    office.receiver.status = 200
    assert (
        office.relay.cli_here("records", "replay", "--reason", "status-404", "--dry-run").stdout
        == "would be replayed: 1\n"
    )
    assert office.relay.cli_here("records", "replay", "--reason", "status-404").stdout == "replayed: 1\n"
    wait_until(lambda: office.done("desk"), 60, "the replay")
    assert office.receiver.keys[-1] == first
    assert office.relay.cli_here("records", "replay", "--all").stdout == "replayed: 0\n"
    assert office.relay.cli_here("records", "replay", check=False).returncode == 2
    assert office.relay.cli_here("records", "tasks", "99999", check=False).returncode == 1
    assert [event["state"] for event in office.relay.events("tracking-task") if event.get("target") == "desk"].count(
        "dead"
    ) == 1


def test_a_replay_does_not_wait_for_a_target_that_was_left_alone(office: Office) -> None:
    office.receiver.status = 503
    office.deliver()
    office.poll()
    wait_until(lambda: any(task["reason"] == "status-503" for task in office.tasks()), 60, "the failure")
    office.receiver.status = 200
    office.relay.cli_here("records", "replay", "--target", "desk", "--waiting")
    wait_until(lambda: office.done("desk"), 60, "the call")


def test_an_account_is_listed_and_tried(office: Office) -> None:
    listed = json.loads(office.relay.cli_here("outgoing", "list", "--json").stdout)
    assert [(each["account"], each["by"], each["senders"]) for each in listed] == [
        ("post", "password, tls starttls", [SUPPORT])
    ]
    assert "post" in office.relay.cli_here("outgoing", "list").stdout
    tried = office.relay.cli("outgoing", "test", "post", "--to", "admin@example.net").stdout
    assert re.search(r"connect and sign in: localhost port \d+ answers, TLSv1", tried)
    assert f"test mail from {SUPPORT}: taken for admin@example.net" in tried
    assert office.post.submitted[-1].recipients == ("admin@example.net",)
    assert b"Auto-Submitted: auto-generated" in office.post.submitted[-1].message
    office.post.users["desk"] = "another"
    failed = office.relay.cli_here("outgoing", "test", "post", "--to", "admin@example.net", "--json", check=False)
    office.post.users["desk"] = "secret"
    assert failed.returncode == 1
    (step,) = json.loads(failed.stdout)["steps"]
    assert step["is_good"] is False
    assert "535" in step["text"]
    assert "secret" not in failed.stdout
    assert office.relay.cli_here("outgoing", "test", "nobody", check=False).returncode == 2


def test_what_is_told_when_the_process_dies_is_told_again_by_the_same_key(tmp_path: Path) -> None:
    rules = "\n".join(line for line in RULES.splitlines() if "stuck" not in line and "journal" not in line)
    with running(tmp_path, rules.replace("- notify", "- call: {sink: desk, event: again}\n      - notify"),
                 STAMPLINE_CRASH_AT="before-task-settle:2") as office:  # fmt: skip
        office.deliver()
        office.relay.cli_here("mailbox", "poll", "support", check=False)
        wait_until(lambda: "again" in [told["event"] for _, told in office.receiver.calls], 60, "the second call")
        office.relay.kill()
        office.relay.start()
        wait_until(lambda: office.tasks() == [], 60, "the rest")
        told = [(told["event"], key) for key, told in office.receiver.calls]
        assert len(told) > 2
        assert len(set(told)) == 2
        assert told[0][0] == "record.created"
        mails = [re.search(rb"^Message-ID: .*$", mail.message, re.MULTILINE) for mail in office.post.submitted]
        assert len({found[0] for found in mails if found is not None}) == 1


@pytest.mark.long  # five deaths, with growing waits between
@pytest.mark.parametrize("way", ["os._exit(1)", "os.kill(os.getpid(), signal.SIGSEGV)"], ids=["exit", "segfault"])
def test_a_plug_in_that_kills_the_process_stops_nothing_but_itself(way: str, tmp_path: Path) -> None:
    with running(tmp_path, plugin=f"import os, signal\ndef hang(event): {way}\n") as office:
        for _ in range(3):
            office.deliver()
        office.relay.cli_here("mailbox", "poll", "support", check=False)
        wait_until(lambda: len(office.tasks("dead")) == 2, 90, "what killed us")
        assert {(task["target"], task["reason"]) for task in office.tasks("dead")} == {("stuck", "kills-us")}
        left = office.relay.wait_for_event("tracking-target-left-alone", target="stuck", reason="kills-us")
        assert "replay or drop" in left["detail"]
        for _ in range(2):  # the mailbox has its next turn in days only
            office.deliver()
            office.poll()
        wait_until(lambda: {task["target"] for task in office.tasks()} == {"stuck"}, 30, "all others")
        assert len(set(office.receiver.keys)) == 5
        assert "kills-us" in office.relay.cli_here("records", "dead").stdout
        died = [each["component"] for each in office.relay.events("worker-died")].count("tracking")
        assert 5 <= died <= 6  # each of the two twice alone, and once or twice with others in hand
        (office.folder / "site" / "hanging.py").write_text("def hang(event): pass\n")  # as its author mends it
        office.relay.stop()
        office.relay.start()
        office.relay.cli_here("records", "replay", "--all")
        wait_until(lambda: office.tasks() == [], 30, "all of it")
