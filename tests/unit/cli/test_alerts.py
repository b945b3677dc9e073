"""`stampline alerts` on what the process that watches has written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mta.cli import main
from mta.watch.board import STATE_FILE, Board
from mta.watch.trouble import Trouble

HOP = Trouble("next-hop-stopped:out", "next-hop-stopped", "next hop out can't be reached", "It says: no. " * 20)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """It names no more than the spool: the command works while the rest is broken."""
    (tmp_path / "stampline.yaml").write_text("spool: {folder: spool}\n")
    (tmp_path / "spool").mkdir()
    return tmp_path / "stampline.yaml"


def looked(config: Path, *troubles: Trouble, age: timedelta = timedelta()) -> None:
    board = Board(ends_after=timedelta(minutes=1), repeat=timedelta(days=1))
    board.update(troubles, {HOP.kind}, datetime.now(UTC) - age)
    board.write(config.parent / "spool" / STATE_FILE)


def test_nothing_is_wrong(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    looked(config)
    assert main(["alerts", "--config", str(config)]) == 0
    assert capsys.readouterr().out == "nothing is wrong\n"


def test_what_is_wrong_fits_a_terminal(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    looked(config, HOP)
    assert main(["alerts", "--config", str(config)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "next hop out can't be reached (for 0s)"
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("troubles", [(), (HOP,)], ids=["well", "ill"])
def test_what_was_so_yesterday_is_no_answer(
    config: Path, capsys: pytest.CaptureFixture[str], troubles: tuple[Trouble, ...]
) -> None:
    looked(config, *troubles, age=timedelta(days=1))
    assert main(["alerts", "--json", "--config", str(config)]) == 3
    printed = capsys.readouterr()
    assert len(json.loads(printed.out)) == len(troubles)
    assert "nobody watches (the last look: 1d0h ago)" in printed.err


def test_before_the_first_look(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alerts", "--config", str(config)]) == 3
    assert "nobody watches (the last look: never)" in capsys.readouterr().err
