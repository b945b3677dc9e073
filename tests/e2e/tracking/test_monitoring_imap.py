"""Monitored mailboxes on Dovecot: what arrives is taken; a wrong password opens a record, and closes it when mended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.tracking.maildirs import message, standing, titles, tracking
from tests.servers.dovecot import PASSWORD, Dovecot, missing, running_dovecot
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

HELP = "help@example.com"

if missing() and "CI" not in os.environ:
    pytest.skip(missing(), allow_module_level=True)


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with running_dovecot([HELP]) as server:
        yield server


def office(tmp_path: Path, dovecot: Dovecot, sink: Sink) -> dict[str, Any]:
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    mailbox = {
        "name": "help", "kind": "imap", "address": HELP, "host": "localhost", "port": dovecot.imaps,
        "tls": {"ca_file": str(dovecot.ca_file)}, "password": {"file": str(tmp_path / "password")},
    }  # fmt: skip
    account = {
        "name": "out", "kind": "smtp", "host": "127.0.0.1", "port": sink.port, "tls": {"mode": "none"},
        "senders": ["desk@example.com"],
    }  # fmt: skip
    return tracking(
        tmp_path / "desk", [mailbox], accounts=[account], allowed_senders=["desk@example.com"],
        trouble={"notify": ["admin@example.com"]},
    )  # fmt: skip


def put(dovecot: Dovecot, number: int) -> None:
    with dovecot.session(HELP) as session:
        session.append("INBOX", None, None, message(number))


def records(relay: Relay, source: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(relay.cli_here("records", "list", "--json", "--source", source).stdout)
    return found


def test_a_wrong_password_opens_a_record_tells_and_closes_it_when_it_is_mended(
    tmp_path: Path, dovecot: Dovecot
) -> None:
    with Sink() as sink, running_relay(
        tmp_path / "relay", sink.port, organisation=office(tmp_path, dovecot, sink)
    ) as relay:  # fmt: skip
        put(dovecot, 1)
        relay.cli_here("mailbox", "poll", "help")
        assert titles(relay) == {"Printer 1": 1}
        (tmp_path / "password").write_text("another-secret")
        put(dovecot, 2)
        for _ in range(3):
            failed = relay.cli_here("mailbox", "poll", "help", check=False)
            assert (failed.returncode, "correct user, password" in failed.stdout) == (1, True)
        [record] = records(relay, "System - Email Monitor")
        assert (record["state"], record["fields"]["mailbox"]) == ("open", "help")
        told = sink.wait_for_message(b"can't be read")
        assert told.rcpt_to == ("admin@example.com",)
        shown = standing(relay, "help")
        assert (shown["state"], shown["failures"]) == ("can't sign in", 3)
        wait_until(lambda: "help can't be polled" in relay.cli_here("status").stdout, 60, "what the supervisor is told")
        assert "another-secret" not in "".join(path.read_text() for path in (tmp_path / "relay/log").iterdir())
        (tmp_path / "password").write_text(PASSWORD)
        relay.cli_here("mailbox", "poll", "help")
        assert [each["state"] for each in records(relay, "System - Email Monitor")] == ["closed"]
        assert titles(relay)["Printer 2"] == 1
        sink.wait_for_message(b"is read again")
        with dovecot.session(HELP) as session:
            assert session.select("INBOX")[1] == [b"0"]
            assert session.select("StamplineProcessed")[1] == [b"2"]
        tried = relay.cli_here("mailbox", "test", "help", "--no-mail").stdout
        assert tried.count("✔") >= 5
        wait_until(lambda: relay.events("mailbox-trouble-over"), 60, "the end of the trouble")
