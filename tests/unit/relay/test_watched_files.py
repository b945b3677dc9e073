"""Files that change: seen once, when they have come to rest."""

from __future__ import annotations

import os
from pathlib import Path

from mta.relay.watched_files import AGAIN_AFTER, WatchedFiles


def test_a_change_is_told_once_and_at_the_second_look(tmp_path: Path) -> None:
    one, other = tmp_path / "cert.pem", tmp_path / "key.pem"
    one.write_text("a")
    files = WatchedFiles([one, other])
    assert not files.has_changed()
    one.write_text("bb")
    assert not files.has_changed()
    other.write_text("key")  # written a little later
    assert [files.has_changed() for _ in range(3)] == [False, True, False]


def test_the_same_size_and_time_in_another_file_is_a_change(tmp_path: Path) -> None:
    path, fresh = tmp_path / "cert.pem", tmp_path / "cert.new"
    path.write_text("a")
    os.utime(path, ns=(1, 1))
    files = WatchedFiles([path])
    fresh.write_text("b")
    os.utime(fresh, ns=(1, 1))
    fresh.replace(path)
    assert [files.has_changed() for _ in range(2)] == [False, True]


def test_a_file_that_vanishes_and_comes_back_as_it_was_known_is_told_too(tmp_path: Path) -> None:
    path = tmp_path / "cert.pem"
    path.write_text("a")
    files = WatchedFiles([path])
    path.unlink()
    assert [files.has_changed() for _ in range(3)] == [False, True, False]
    path.write_text("a")
    assert [files.has_changed() for _ in range(2)] == [False, True]


def test_what_is_undone_before_the_second_look_is_no_change(tmp_path: Path) -> None:
    link, one, other = tmp_path / "link", tmp_path / "one", tmp_path / "other"
    one.write_text("1")
    other.write_text("22")
    link.symlink_to(one)
    files = WatchedFiles([link])
    link.unlink()
    link.symlink_to(other)
    assert not files.has_changed()
    link.unlink()
    link.symlink_to(one)
    assert [files.has_changed() for _ in range(3)] == [False, False, False]


def test_what_could_not_be_taken_up_is_told_again_later_until_it_is(tmp_path: Path) -> None:
    path = tmp_path / "cert.pem"
    path.write_text("a")
    files = WatchedFiles([path])
    path.write_text("bb")
    assert [files.has_changed() for _ in range(2)] == [False, True]
    for _ in range(2):
        files.say_again()
        assert [files.has_changed() for _ in range(AGAIN_AFTER)] == [False] * (AGAIN_AFTER - 1) + [True]
    assert not any(files.has_changed() for _ in range(2 * AGAIN_AFTER))
    files.say_again()
    path.write_text("ccc")
    assert [files.has_changed() for _ in range(2)] == [False, True]
    assert not any(files.has_changed() for _ in range(2 * AGAIN_AFTER))
