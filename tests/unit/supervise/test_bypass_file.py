"""The bypass switch between restarts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mta.model.bypass import Bypass
from mta.supervise.bypass_file import FILE_NAME, read_bypass, write_bypass

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("bypass", [Bypass(), Bypass(on=True), Bypass(on=True, until=NOW)])
def test_it_is_read_as_it_was_written(tmp_path: Path, bypass: Bypass) -> None:
    write_bypass(tmp_path, Bypass(on=True, until=NOW + timedelta(days=1)))
    write_bypass(tmp_path, bypass)
    assert read_bypass(tmp_path) == bypass
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"on": true}', '{"on": true, "until": "soon"}', "\x00"])
def test_a_file_that_makes_no_sense_is_off(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    assert read_bypass(tmp_path) == Bypass()


def test_no_file_is_off(tmp_path: Path) -> None:
    assert read_bypass(tmp_path / "missing") == Bypass()


def test_it_ends_by_itself() -> None:
    assert Bypass(on=True).is_on(NOW)
    assert Bypass(on=True, until=NOW).is_on(NOW - timedelta(seconds=1))
    assert not Bypass(on=True, until=NOW).is_on(NOW)
    assert not Bypass(until=NOW).is_on(NOW - timedelta(seconds=1))
