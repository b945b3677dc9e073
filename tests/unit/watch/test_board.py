"""Who is told what, and how often."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mta.watch.board import Board
from mta.watch.trouble import Trouble

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOP = Trouble("next-hop-stopped:out", "next-hop-stopped", "next hop out is stopped", "text")
DISK = Trouble("disk-full:/spool", "disk-full", "the disk is full", "text")
KINDS = frozenset({"next-hop-stopped", "disk-full"})


@pytest.fixture
def board() -> Board:
    return Board(ends_after=2 * MINUTE, repeat=timedelta(hours=1))


def told(board: Board, channel: str, now: datetime) -> list[tuple[str, str]]:
    """What the channel tells now, as it gets through."""
    notices = board.due(channel, now)
    board.was_told(channel, notices, now)
    return [(notice.state, notice.key) for notice in notices]


def test_a_trouble_is_told_once_by_each_channel(board: Board) -> None:
    assert board.update([HOP], KINDS, NOON).begun == (HOP,)
    assert told(board, "mail", NOON) == [("begun", HOP.key)]
    assert board.update([HOP], KINDS, NOON + MINUTE).begun == ()
    assert told(board, "mail", NOON + MINUTE) == []
    assert told(board, "webhook", NOON + MINUTE) == [("begun", HOP.key)]


def test_what_lasts_is_told_again_after_a_while(board: Board) -> None:
    board.update([HOP], KINDS, NOON)
    told(board, "mail", NOON)
    board.update([HOP], KINDS, NOON + 59 * MINUTE)
    assert told(board, "mail", NOON + 59 * MINUTE) == []
    board.update([HOP], KINDS, NOON + 60 * MINUTE)
    assert told(board, "mail", NOON + 60 * MINUTE) == [("lasts", HOP.key)]


def test_the_end_is_told_to_who_heard_of_the_beginning_and_forgotten_then(board: Board) -> None:
    board.update([HOP], KINDS, NOON)
    told(board, "mail", NOON)
    changes = board.update([], KINDS, NOON + 2 * MINUTE)
    assert changes.over == (HOP,)
    assert board.current == []
    assert told(board, "mail", NOON + 2 * MINUTE) == [("over", HOP.key)]
    assert told(board, "webhook", NOON + 2 * MINUTE) == []
    day = timedelta(days=1)
    board.forget({"mail", "webhook"}, NOON + day)
    assert board.update([HOP], KINDS, NOON + day).begun == (HOP,)


def test_what_comes_and_goes_is_one_trouble(board: Board) -> None:
    board.update([HOP], KINDS, NOON)
    told(board, "mail", NOON)
    assert board.update([], KINDS, NOON + MINUTE).over == ()
    assert board.update([HOP], KINDS, NOON + 2 * MINUTE).begun == ()
    assert board.update([], KINDS, NOON + 3 * MINUTE).over == ()
    assert told(board, "mail", NOON + 3 * MINUTE) == []


def test_what_flaps_all_night_is_told_of_a_few_times(board: Board) -> None:
    """Ten minutes there, ten minutes gone, for a day."""
    states = []
    for minute in range(24 * 60):
        now = NOON + minute * MINUTE
        board.update([HOP] if minute % 20 < 10 else [], KINDS, now)
        states += [state for state, _ in told(board, "mail", now)]
        board.forget({"mail"}, now)
    assert states.count("begun") <= 4
    assert "lasts" in states
    assert board.update([], KINDS, NOON + timedelta(days=2)).over == (HOP,)


def test_a_clock_that_is_set_back_silences_nothing(board: Board) -> None:
    later = NOON + timedelta(days=365)
    board.update([HOP, DISK], KINDS, later)
    told(board, "mail", later)
    board.update([HOP], KINDS, NOON)
    assert told(board, "mail", NOON) == []
    assert board.update([HOP], KINDS, NOON + 2 * MINUTE).over == (DISK,)
    assert told(board, "mail", NOON + 60 * MINUTE) == [("lasts", HOP.key), ("over", DISK.key)]


def test_who_can_not_look_ends_nothing(board: Board) -> None:
    board.update([HOP, DISK], KINDS, NOON)
    changes = board.update([], {"disk-full"}, NOON + 10 * MINUTE)
    assert changes.over == (DISK,)
    assert [entry.trouble for entry in board.current] == [HOP]


def test_an_end_that_was_not_told_yet_is_not_told_once_it_is_there_again(board: Board) -> None:
    board.update([HOP], KINDS, NOON)
    told(board, "mail", NOON)
    board.update([], KINDS, NOON + 5 * MINUTE)
    board.update([HOP], KINDS, NOON + 6 * MINUTE)
    assert told(board, "mail", NOON + 6 * MINUTE) == [("begun", HOP.key)]


def test_what_nobody_heard_of_ends_in_silence(board: Board) -> None:
    board.update([HOP], KINDS, NOON)
    board.update([], KINDS, NOON + 5 * MINUTE)
    assert board.due("mail", NOON + 5 * MINUTE) == ()


def test_a_restart_forgets_nothing(board: Board, tmp_path: Path) -> None:
    board.update([HOP, DISK], KINDS, NOON)
    told(board, "mail", NOON)
    board.write(tmp_path / "alerts.json")
    after = Board(ends_after=2 * MINUTE, repeat=timedelta(hours=1))
    after.read(tmp_path / "alerts.json")
    assert after.update([HOP, DISK], KINDS, NOON + MINUTE).begun == ()
    assert told(after, "mail", NOON + MINUTE) == []
    after.update([DISK], KINDS, NOON + 5 * MINUTE)
    assert told(after, "mail", NOON + 5 * MINUTE) == [("over", HOP.key)]


def _file(**changes: object) -> bytes:
    at = NOON.isoformat()
    entry: dict[str, object] = {
        "key": "k", "kind": "k", "subject": "s", "text": "t", "since": at, "last_seen": at, "over_at": None,
        "told": {}, "returns": 0,
    }  # fmt: skip
    return json.dumps({"looked_at": at, "holds_until": at, "entries": [entry | changes]}).encode()


DAMAGED = {
    "empty": b"", "cut": b"{", "list": b"[]", "number": b'{"entries": [1]}', "fields": b'{"entries": [{"key": "x"}]}',
    "octets": b"\xff", "deep": b"[" * 100_000, "no zone": _file(since="2026-11-22T12:00:00"), "told": _file(told=[]),
    "endless": b" " * 10_000_000 + _file(), "time": _file(last_seen=7), "returns": _file(returns="x"),
}  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_as_good_as_none(board: Board, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "alerts.json").write_bytes(content)
    board.read(tmp_path / "alerts.json")
    assert list(board.current) == []
    assert board.update([HOP], KINDS, NOON).begun == (HOP,)


def test_a_file_that_somebody_wrote_steers_no_terminal(board: Board, tmp_path: Path) -> None:
    (tmp_path / "alerts.json").write_bytes(_file(subject="a\x1b[2Jb\r\nBcc: c", text="x" * 100_000))
    board.read(tmp_path / "alerts.json")
    (entry,) = board.current
    assert entry.trouble.subject == "a\N{REPLACEMENT CHARACTER}[2Jb Bcc: c"
    assert len(entry.trouble.text) == 2000


def test_the_file_is_the_services_own(board: Board, tmp_path: Path) -> None:
    board.write(tmp_path / "alerts.json")
    assert (tmp_path / "alerts.json").stat().st_mode & 0o777 == 0o600
