"""Kept attachments: private, whole or not at all, once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mta.relay.kept_files import keep_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_service_may_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "kept"
    keep_file(folder, "x.pdf", b"content")
    assert (folder / "x.pdf").read_bytes() == b"content"
    assert (mode(folder), mode(folder / "x.pdf")) == (0o700, 0o600)
    assert [path.name for path in folder.iterdir()] == ["x.pdf"]


def test_what_is_there_is_not_written_again_but_counts_as_new(tmp_path: Path) -> None:
    keep_file(tmp_path, "x.pdf", b"content")
    path = tmp_path / "x.pdf"
    os.utime(path, (1, 1))
    inode = path.stat().st_ino
    keep_file(tmp_path, "x.pdf", b"content")
    assert path.stat().st_ino == inode
    assert path.stat().st_mtime > 1


def test_a_file_that_a_crash_cut_off_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "x.pdf").write_bytes(b"con")
    keep_file(tmp_path, "x.pdf", b"content")
    assert (tmp_path / "x.pdf").read_bytes() == b"content"


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        keep_file(tmp_path, "x.pdf", b"content")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"exists|directory"):
        keep_file(tmp_path / "file", "x.pdf", b"content")


def test_a_link_that_lies_in_the_way_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "x.pdf").symlink_to(outside)
    keep_file(kept, "x.pdf", b"content")
    assert outside.read_bytes() == b"precious"
    assert (kept / "x.pdf").read_bytes() == b"content"
