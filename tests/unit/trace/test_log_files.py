"""Which files are log files, and which of their lines are found."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest

from mta.trace import log_files as module
from mta.trace.log_files import LogFile, Pattern, Scanned, log_files, matching_lines


def _lines(path: Path, *texts: str, any_case: bool = False) -> tuple[list[bytes], Scanned]:
    scanned = Scanned()
    file = LogFile(path, "relay", date(2026, 11, 20))
    return list(matching_lines(file, Pattern(texts, any_case=any_case), scanned, lambda octets: None)), scanned


def test_log_files_are_told_by_their_names(tmp_path: Path) -> None:
    names = ("relay_2026-11-20.log", "supervisor_2026-11-20.log", "relay_2026-11-19.log.gz", "relay_2026-11-31.log",
             "relay.log", "relay_2026-11-20.log.old", "notes.txt")  # fmt: skip
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert [file.path.name for file in log_files(tmp_path)] == [
        "relay_2026-11-19.log.gz", "relay_2026-11-20.log", "supervisor_2026-11-20.log"
    ]  # fmt: skip
    assert [file.component for file in log_files(tmp_path, date(2026, 11, 20))] == ["relay", "supervisor"]


@pytest.mark.parametrize("is_compressed", [False, True], ids=["plain", "gzip"])
def test_whole_lines_are_found_in_order_and_once(tmp_path: Path, is_compressed: bool) -> None:
    text = b"one id1\ntwo\nthree id2 id1\nid2"
    path = tmp_path / ("relay_2026-11-20.log.gz" if is_compressed else "relay_2026-11-20.log")
    path.write_bytes(gzip.compress(text) if is_compressed else text)
    found, scanned = _lines(path, "id1", "id2")
    assert found == [b"one id1", b"three id2 id1", b"id2"]
    assert scanned.octets == path.stat().st_size
    assert scanned.unreadable == []


def test_lines_across_the_borders_of_chunks_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 7)
    path = tmp_path / "relay_2026-11-20.log"
    path.write_bytes(b"a wanted line\nanother\na line that is longer and wanted\n")
    assert _lines(path, "wanted")[0] == [b"a wanted line", b"a line that is longer and wanted"]


def test_a_line_without_end_costs_no_memory_and_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 100)
    monkeypatch.setattr(module, "LINE_MAX", 1000)
    path = tmp_path / "relay_2026-11-20.log"
    path.write_bytes(b"wanted 1\n" + b"x" * 50_000 + b" wanted\nwanted 2\n")
    assert _lines(path, "wanted")[0] == [b"wanted 1", b"wanted 2"]


def test_a_text_is_found_however_it_was_escaped(tmp_path: Path) -> None:
    path = tmp_path / "relay_2026-11-20.log"
    path.write_text('a="\\"j d\\"@example.com"\nb="\\u00fc@example.com"\nc=ü@example.com\nd=JANE@Example.COM\n')
    assert len(_lines(path, '"j d"@example.com')[0]) == 1
    assert len(_lines(path, "ü@example.com")[0]) == 2
    assert len(_lines(path, "jane@example.com")[0]) == 0
    assert len(_lines(path, "jane@example.com", any_case=True)[0]) == 1
    assert len(_lines(path, ".*")[0]) == 0


def test_a_compressed_file_that_is_cut_short_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "relay_2026-11-20.log.gz"
    path.write_bytes(gzip.compress(b"wanted\n" * 1000)[:-10])
    _, scanned = _lines(path, "wanted")
    assert str(path) in scanned.unreadable[0]


def test_a_file_that_is_gone_is_told_of(tmp_path: Path) -> None:
    found, scanned = _lines(tmp_path / "relay_2026-11-20.log", "wanted")
    assert (found, len(scanned.unreadable)) == ([], 1)
