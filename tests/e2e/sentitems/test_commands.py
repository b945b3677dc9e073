"""`stampline sentitems` beside a running relay whose senders have Maildirs."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from tests.servers.relay import Relay, running_relay
from tests.servers.wait import wait_until

RULES = """\
rules:
  - name: sign
    direction: outbound
    actions:
      - stamp: {template: signature, place: bottom}
"""
TEMPLATES = {"signature": ("<p>Jane Doe, Example Ltd</p>", "Jane Doe, Example Ltd\n")}


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    folder = tmp_path_factory.mktemp("commands") / "relay"
    servers = [{"name": "mailboxes", "kind": "maildir", "folder": "mailboxes/{domain}/{local}"}]
    overrides: dict[str, Any] = {
        "organisation": {"sent_items": {"wait": "1s", "servers": servers}},
        "next_hops": [{"name": "out", "kind": "maildir", "folder": str(folder / "out")}],
    }
    with running_relay(folder, 0, rules=RULES, templates=TEMPLATES, **overrides) as running:
        for each in ("cur", "new", "tmp"):
            (sent_folder(running) / each).mkdir(parents=True)
        yield running
        assert not running.events("internal-error")


def sent_folder(relay: Relay) -> Path:
    return relay.folder / "mailboxes" / "example.com" / "jane" / ".Sent"


def message() -> EmailMessage:
    made = EmailMessage(policy=SMTP)
    made["From"] = "Jane Doe <jane@example.com>"
    made["To"] = "buyer@customer.example"
    made["Subject"] = "Our offer"
    made["Date"] = format_datetime(localtime())
    made["Message-ID"] = f"<{token_hex(8)}@mail.example.com>"
    made.set_content("Please find our offer.\n")
    return made


def keep(relay: Relay, sent: EmailMessage) -> None:
    """As the sender's client does."""
    fresh = sent_folder(relay) / "tmp" / f"{token_hex(8)}:2,S"
    fresh.write_bytes(sent.as_bytes())
    fresh.rename(sent_folder(relay) / "cur" / fresh.name)


def send(relay: Relay, sent: EmailMessage) -> str:
    """Through the relay; gives the queue id."""
    with smtplib.SMTP("127.0.0.1", relay.port) as client:
        client.ehlo()
        client.mail("jane@example.com")
        client.rcpt("buyer@customer.example")
        _, reply = client.data(sent.as_bytes())
    return reply.split()[-1].decode()


def found(relay: Relay, sent: EmailMessage) -> list[bytes]:
    contents = [path.read_bytes() for path in sent_folder(relay).glob("cur/*")]
    return [content for content in contents if str(sent["Message-ID"]).encode() in content]


def as_json(relay: Relay, *arguments: str) -> Any:
    return json.loads(relay.cli_here("sentitems", *arguments, "--json").stdout)


def job_of(relay: Relay, sent: EmailMessage) -> dict[str, Any]:
    (job,) = as_json(relay, "show", str(sent["Message-ID"]))
    return dict(job)


def wait_for_job(relay: Relay, sent: EmailMessage, **fields: Any) -> dict[str, Any]:
    """Until the log tells of an attempt with these fields; gives the job."""
    relay.wait_for_event("sent-item", message_id=str(sent["Message-ID"]), **fields)
    return job_of(relay, sent)


def test_pause_keeps_jobs_waiting_and_resume_lets_them_go(relay: Relay) -> None:
    sent, ordered = message(), len(relay.events("sent-items-ordered"))
    keep(relay, sent)
    assert "PAUSED" in relay.cli_here("sentitems", "pause").stdout or as_json(relay, "status")["switch"] == "paused"
    assert "was already paused" in relay.cli_here("sentitems", "pause").stdout
    queue_id = send(relay, sent)
    relay.wait_until_settled(queue_id)
    (job,) = as_json(relay, "list", "--queue-id", queue_id)
    assert job["state"] == "waiting"
    assert job["mailbox"] == "jane@example.com"
    assert job["copies"][0]["queue_id"] == queue_id
    status = relay.cli_here("sentitems", "status").stdout
    assert "PAUSED" in status
    assert "1 waiting" in status
    assert "works" in status
    assert "the next job is due" not in status
    shown = relay.cli_here("sentitems", "show", job["id"][:8]).stdout
    assert "waiting" in shown
    assert "PAUSED" in shown
    assert "1 recipient outside" in shown
    assert as_json(relay, "show", queue_id) == as_json(relay, "show", str(sent["Message-ID"]).strip("<>"))
    assert b"Example Ltd" not in found(relay, sent)[0]

    assert as_json(relay, "resume") == {"switch": "on", "is_new": True, "resumed_servers": []}
    assert wait_for_job(relay, sent, state="done")["state"] == "done"
    (item,) = found(relay, sent)
    assert b"Example Ltd" in item
    assert [job["state"] for job in as_json(relay, "list", "--state", "done", "--queue-id", queue_id)] == ["done"]
    assert as_json(relay, "list", "--queue-id", queue_id) == []
    orders = [event["order"] for event in relay.events("sent-items-ordered")[ordered:]]
    assert orders == ["pause", "resume"]


def test_a_job_whose_item_is_missing_can_be_tried_again_or_skipped(relay: Relay) -> None:
    late, never = message(), message()
    for each in (late, never):
        send(relay, each)
        job = wait_for_job(relay, each, reason="not-found")
        assert job["state"] == "waiting"
        assert job["due_at"] is not None
    listed = relay.cli_here("sentitems", "list", "--reason", "not-found", "--mailbox", "*@example.com").stdout
    assert "2 waiting (not-found 2)" in listed
    skipped = relay.cli("sentitems", "skip", "--message-id", str(never["Message-ID"]))
    assert skipped.stdout == "skipped: 1\n"
    assert (job_of(relay, never)["state"], job_of(relay, never)["reason"]) == ("skipped", "by-administrator")
    assert "an administrator" in relay.cli_here("sentitems", "show", str(never["Message-ID"])).stdout

    relay.cli_here("sentitems", "pause")  # or it is tried again by itself meanwhile
    wait_until(lambda: not job_of(relay, late)["is_being_worked_on"], 60, "the end of an attempt")
    keep(relay, late)
    job = job_of(relay, late)
    assert as_json(relay, "retry", "--dry-run", job["id"]) == {"would_be_retried": 1}
    assert as_json(relay, "retry", job["id"]) == {"retried": 1}
    assert job_of(relay, late)["due_at"] != job["due_at"]
    relay.cli_here("sentitems", "resume")
    wait_for_job(relay, late, state="done")
    assert len(found(relay, late)) == 1
    assert found(relay, never) == []


def test_a_server_that_nobody_knows_may_be_a_typing_error(relay: Relay) -> None:
    done = relay.cli_here("sentitems", "list", "--server", "mailbox")
    assert done.stdout == "0 jobs\n"
    assert "there is no mailbox server mailbox; the configuration has mailboxes" in done.stderr


def test_off_makes_no_jobs_and_on_makes_them_again(relay: Relay) -> None:
    def makes_a_job() -> bool:
        sent = message()
        keep(relay, sent)
        relay.wait_until_settled(send(relay, sent))
        is_made = relay.cli_here("sentitems", "show", str(sent["Message-ID"]), check=False).returncode == 0
        if is_made:
            wait_for_job(relay, sent, state="done")
        else:
            assert b"Example Ltd" not in found(relay, sent)[0]
        return is_made

    relay.cli_here("sentitems", "off")
    try:
        assert as_json(relay, "status")["switch"] == "off"
        wait_until(lambda: not makes_a_job(), 60, "the switch to be noticed")
    finally:
        relay.cli_here("sentitems", "on")
    wait_until(makes_a_job, 60, "the switch to be noticed")


def test_check_walks_through_a_mailbox_and_leaves_nothing(relay: Relay) -> None:
    before = sorted(sent_folder(relay).glob("cur/*"))
    done = relay.cli("sentitems", "check", "--mailbox", "jane@example.com")
    for line in ("takes part", "signed in", "a test item was made", "it is found", "it is no draft", "it was removed"):
        assert line in done.stdout, done.stdout
    assert "0 failed" in done.stdout
    assert sorted(sent_folder(relay).glob("cur/*")) == before


def test_check_without_a_mailbox_only_looks(relay: Relay) -> None:
    before = sorted(sent_folder(relay).glob("cur/*"))
    result = as_json(relay, "check")
    assert result["ok"] is True
    assert result["results"][0]["name"] == "mailboxes"
    assert any("opened jane@example.com" in line["what"] for line in result["results"][0]["lines"])
    assert not any("test item" in line["what"] for line in result["results"][0]["lines"])
    assert sorted(sent_folder(relay).glob("cur/*")) == before


def test_check_says_what_is_wrong_and_how_to_mend_it(relay: Relay) -> None:
    done = relay.cli_here("sentitems", "check", "--mailbox", "nobody@example.com", check=False)
    assert done.returncode == 1
    assert "see whether the address is right" in done.stdout
    done = relay.cli_here("sentitems", "check", "--outside", "jane@example.com", check=False)
    assert done.returncode == 1
    assert "limit what the account may open" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("retry",), "--all means every job"),
        (("skip", "--all", "--mailbox", "jane@example.com"), "--all goes with no id"),
        (("retry", "--state", "done"), "takes jobs that are waiting or given-up"),
        (("resume", "--server", "other"), "no mailbox server is called"),
        (("check", "--server", "mailbox"), "no mailbox server is called 'mailbox'; did you mean"),
        (("check", "--mailbox", "jane@elsewhere.example"), "accepted_domains"),
        (("list", "--state", "lost"), "invalid"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_what_makes_no_sense_is_said(relay: Relay, arguments: tuple[str, ...], says: str) -> None:
    done = relay.cli_here("sentitems", *arguments, check=False)
    assert done.returncode == 2
    assert says in done.stderr
