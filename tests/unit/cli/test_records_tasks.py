"""`stampline records tasks`, `dead`, `replay`, `drop` on a store with hostile values; `outgoing` without a relay."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mta.cli import main
from mta.model.tracking import NewTask, TaskFilter, TaskKind, TaskOutcome, TaskState
from tests.unit.cli.test_records import Records

NOW = datetime.now(UTC) - timedelta(hours=3)
HOSTILE = "evil\x1b[2J\u202e\r\nname"
MAIL = b"From: desk@example.com\r\nSubject: \x1b[31mHi\r\n\r\nna\xefve\r\n"


@pytest.fixture
def records(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Records:
    """Three calls, one of them dead and one done, a dead notice, and what is to be written back."""
    made = Records(tmp_path, capsysbinary)
    calls = [NewTask(f"c{n}", TaskKind.CALL, "default", "hook", b'{"title": "\\u001b[2J"}', NOW) for n in range(3)]
    notice = NewTask("n", TaskKind.NOTICE, "default", HOSTILE, MAIL, NOW, None, ("jane@example.net", HOSTILE))
    mark = NewTask("w", TaskKind.WRITE_BACK, "default", "jane@example.com", b"no json", NOW)
    made.fill(lambda store: store.add_tasks([*calls, notice, mark]))
    made.fill(lambda store: store.settle_task(TaskOutcome(2, TaskState.DEAD, "status-404", HOSTILE)))
    made.fill(lambda store: store.settle_task(TaskOutcome(3, TaskState.DONE)))
    made.fill(lambda store: store.settle_task(TaskOutcome(4, TaskState.DEAD, "refused", "550 no")))
    return made


def numbers(records: Records, *arguments: str) -> list[int]:
    return [task["task"] for task in json.loads(records.run(*arguments, "--json"))]


def states(records: Records) -> dict[int, str]:
    tasks: list[Any] = records.fill(lambda store: store.tasks(TaskFilter()))
    return {task.number: task.state.value for task in tasks}


def test_what_waits_and_what_died_is_listed_newest_first(records: Records) -> None:
    assert numbers(records, "tasks") == [5, 4, 2, 1]
    assert numbers(records, "dead") == [4, 2]
    assert numbers(records, "tasks", "--state", "done") == [3]
    assert numbers(records, "tasks", "--kind", "call") == [2, 1]
    assert numbers(records, "tasks", "--target", "ho*") == [2, 1]
    assert numbers(records, "tasks", "--reason", "status-*") == [2]
    assert numbers(records, "tasks", "--organisation", "other") == []
    assert numbers(records, "tasks", "--record", "ticket-1") == []
    shown = records.run("tasks", "--limit", "2")
    assert shown.endswith("... and 2 more\n2 waiting, 2 dead\n")
    assert "not-configured" in shown  # this configuration has no tracking at all


def test_no_value_steers_the_terminal(records: Records) -> None:
    for arguments in (["tasks"], ["dead"], *(["tasks", str(number)] for number in range(1, 6))):
        shown = records.run(*arguments)
        assert not set(shown) & {"\x1b", "\r", "\u202e"}
    assert len(records.run("dead").splitlines()) == 4


def test_one_task_is_shown_with_what_it_says(records: Records) -> None:
    shown = records.run("tasks", "4")
    assert "task        4, dead after 1 try" in shown
    assert "refused: the other side refuses it for good" in shown
    assert "it said     550 no" in shown
    assert "recipient   jane@example.net" in shown
    assert "Subject: \N{REPLACEMENT CHARACTER}[31mHi" in shown
    told = json.loads(records.run("tasks", "4", "--json"))
    assert b64decode(told["payload"]) == MAIL
    assert json.loads(records.run("tasks", "1", "--json"))["payload"] == {"title": "\x1b[2J"}
    assert b64decode(json.loads(records.run("tasks", "5", "--json"))["payload"]) == b"no json"


def test_dead_ones_are_replayed_and_waiting_ones_only_if_asked(records: Records) -> None:
    assert records.run("replay", "--kind", "call", "--dry-run") == "would be replayed: 1\n"
    assert records.run("replay", "--kind", "call") == "replayed: 1\n"
    assert states(records) == {1: "waiting", 2: "waiting", 3: "done", 4: "dead", 5: "waiting"}
    assert records.run("replay", "4", "5") == "replayed: 1\n"
    assert records.run("replay", "4", "5", "--waiting", "--json") == '{\n  "replayed": 2\n}\n'


def test_what_is_dropped_is_over(records: Records) -> None:
    assert records.run("drop", "1", "2", "3") == "dropped: 1\n"
    assert records.run("drop", "--all", "--waiting") == "dropped: 3\n"
    assert set(states(records).values()) == {"done"}
    assert "an administrator has dropped it" in records.run("tasks", "1")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["replay"], 2), (["drop"], 2), (["replay", "--all", "1"], 2), (["drop", "--all", "--kind", "call"], 2),
        (["tasks", "99"], 1), (["tasks", "--record", "no record"], 2), (["drop", "--waiting"], 2),
        (["replay", "99"], 1), (["drop", "99", "--json"], 1),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(records: Records, arguments: list[str], code: int) -> None:
    before = states(records)
    assert records.run(*arguments, code=code)
    assert states(records) == before


def test_without_accounts_there_is_nothing_to_list_or_try(
    records: Records, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    config = ["--config", str(records.config)]
    assert main(["outgoing", "list", *config]) == 0
    assert b"no outgoing accounts" in capsysbinary.readouterr().out
    assert main(["outgoing", "test", "post", *config]) == 2
    assert b"no outgoing account is called" in capsysbinary.readouterr().err
