"""`stampline mailbox messages`: what was left out, why, and where it lies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.cli import main
from mta.model.tracking import Entry, EntryState, Intake
from mta.tracking.correlate import reasons as correlated
from mta.tracking.filter import reasons as filtered
from mta.tracking.meanings import meaning
from mta.tracking.monitor import aside
from tests.unit.cli.queue_commands import CONFIGURATION

NOW = datetime.now(UTC) - timedelta(hours=3)
JANE = "jane@customer.example"
BOX = "kind: maildir, path: /var/mail/box"
TRACKING = f"""\
  tracking:
    keys: [{{env: NOT_IN_THIS_SHELL}}]
    rules: business
    modules: [{{name: ticket}}]
    mailboxes:
    - {{name: help, address: help@example.com, {BOX}}}
    - {{name: desk, address: desk@example.com, {BOX}, after: {{do: mark-read}}}}
    - {{name: gone, address: gone@example.com, {BOX}, after: {{do: delete}}}}
"""
CASES = (
    ("<1@x>", "help", EntryState.FILTERED, "cap-of-a-day"),
    ("<2@x>", "desk", EntryState.UNMATCHED, "unknown-original"),
    ("<3@x>", "help", EntryState.JOINED, "rule"),
    ("<4@x>", "gone", EntryState.FILTERED, "rule:no \x1b[2J spam"),
    ("<5@x>", "help", EntryState.SET_ASIDE, "refused-by-server: it says no"),
    ("<6@x>", "help", EntryState.PENDING, "stranger"),
    ("<7@x>", "retired", EntryState.FILTERED, "not-accepted"),
)


JOINED = {
    correlated.TRACKED_COPY, correlated.SIGNED_REFERENCE, correlated.COLLEAGUE, correlated.OPENED,
    correlated.MESSAGE_ID, correlated.KNOWN_REFERENCE, correlated.SUBJECT_TOKEN, correlated.BODY_TOKEN,
    correlated.THREAD_INDEX, correlated.OTHER_TICKET,
}  # fmt: skip
NO_RULES_MATTER = {
    correlated.KNOWN, correlated.OWN_NOTICE, correlated.BOUNCE, correlated.RECEIPT, correlated.OF_NOTHING_SENT
}  # fmt: skip


class Desk:
    """A store with messages of each kind, an hour between them, and the command on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = folder / "stampline.yaml"
        self.config.write_text(CONFIGURATION.replace("  mark:", f"{TRACKING}  mark:"))
        self._folder = folder / "spool"
        self._capsys = capsys
        first = NOW - timedelta(hours=len(CASES))
        self.take(*(
            Entry("aside:help:u1" if state is EntryState.SET_ASIDE else f"id:{message_id}", "default", mailbox,
                  message_id, "00", state, reason, first + timedelta(hours=number),
                  JANE if number else "other@customer.example", "received")
            for number, (message_id, mailbox, state, reason) in enumerate(CASES)
        ))  # fmt: skip

    def take(self, *entries: Entry) -> None:
        async def run() -> None:
            store = await SqliteTrackingStore.open(self._folder, works=True, reserve=0)
            for entry in entries:
                assert await store.take(Intake(entry))
            await store.close()

        asyncio.run(run())

    def run(self, *arguments: str, code: int = 0) -> str:
        assert main(["mailbox", "messages", *arguments, "--config", str(self.config)]) == code
        printed = self._capsys.readouterr()
        return printed.err if code else printed.out

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run(*arguments, "--json"))
        return found

    def ids(self, *arguments: str) -> list[str]:
        return [each["message_id"].strip("<@x>") for each in self.listed(*arguments)]


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def test_what_is_in_no_record_newest_first(desk: Desk) -> None:
    assert desk.ids() == ["7", "6", "5", "4", "2", "1"]
    assert desk.ids("--limit", "2") == ["7", "6"]
    assert desk.ids("help") == ["6", "5", "1"]
    assert desk.ids("--state", "all") == ["7", "6", "5", "4", "3", "2", "1"]
    assert desk.ids("--state", "filtered", "--state", "joined", "help") == ["3", "1"]
    assert desk.ids("--sender", JANE.upper(), "--state", "filtered") == ["7", "4"]
    assert desk.ids("--sender", "other@*") == ["1"]
    assert desk.ids("--since", "5h") == ["7"]
    assert desk.ids("--sender", "nobody@customer.example") == []
    assert "no such messages" in desk.run("--sender", "nobody@customer.example")


def test_it_says_why_and_where_it_lies_and_what_to_do(desk: Desk) -> None:
    told = {each["message_id"]: (each["lies_in"], each["meaning"]) for each in desk.listed("--state", "all")}
    assert {name: lies_in for name, (lies_in, _) in told.items()} == {
        "<1@x>": "StamplineProcessed", "<2@x>": "(in place, read)", "<3@x>": "StamplineProcessed", "<4@x>": "(deleted)",
        "<5@x>": "StamplineSetAside", "<6@x>": "StamplineProcessed", "<7@x>": "",
    }  # fmt: skip
    assert all(why for _, why in told.values())
    text = desk.run()
    for said in ("cap_per_day", "by itself", "put the message back", "records accept", "tried again", "it says no"):
        assert said in text
    assert "\x1b" not in text
    assert "... and more" in desk.run("--limit", "2")
    assert "put the message back" not in desk.run("--state", "pending")


def test_what_was_set_aside_and_taken_since_needs_nobody(desk: Desk) -> None:
    desk.take(
        Entry("id:<5@x>", "default", "help", "<5@x>", "00", EntryState.FILTERED, "bulk-mail", NOW, JANE, "received")
    )
    (aside_one,) = desk.listed("--state", "set-aside")
    assert aside_one["taken_since"]
    text = desk.run("--state", "set-aside")
    assert "(taken since)" in text
    assert "move it back" not in text


def test_a_mailbox_that_is_not_there_is_a_slip(desk: Desk) -> None:
    assert "no monitored mailbox is called 'hlep'" in desk.run("hlep", code=2)


def words(module: ModuleType) -> Iterator[str]:
    for name, value in vars(module).items():
        if name.isupper():
            yield from [value] if isinstance(value, str) else value.values() if isinstance(value, dict) else ()


@pytest.mark.parametrize("reason", sorted({*words(filtered)} - {filtered.PROGRAM}))
def test_each_filter_has_a_sentence(reason: str) -> None:
    assert meaning(EntryState.FILTERED, reason)


@pytest.mark.parametrize("reason", sorted(words(aside)))
def test_each_reason_to_set_aside_has_a_sentence(reason: str) -> None:
    assert meaning(EntryState.SET_ASIDE, f"{reason}: and what a server said")


@pytest.mark.parametrize("reason", sorted({*words(correlated)} - JOINED - NO_RULES_MATTER))
def test_each_word_of_correlation_for_what_is_in_no_record_has_a_sentence(reason: str) -> None:
    assert meaning(EntryState.UNMATCHED, reason) or meaning(EntryState.PENDING, reason)
