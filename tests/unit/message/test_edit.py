"""Edits: order, overlap, segments."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from mta.message.edit import Edit, apply, combine, joined


def test_edits_are_applied_in_the_order_of_their_positions() -> None:
    assert joined(b"0123456789", [Edit(8, 10, b"Z"), Edit(2, 4, b"AB"), Edit(0, 0, b">")]) == b">01AB4567Z"


def test_insertions_at_one_position_keep_their_order_and_go_before_a_replacement_there() -> None:
    edits = [Edit(3, 5, b"new"), Edit(3, 3, b"one "), Edit(3, 3, b"two ")]
    assert joined(b"abcdef", edits) == b"abcone two newf"


def test_the_same_replacement_twice_counts_once_but_insertions_each() -> None:
    assert joined(b"abcd", [Edit(1, 2, b""), Edit(1, 2, b""), Edit(3, 3, b"!"), Edit(3, 3, b"!")]) == b"ac!!d"
    with pytest.raises(ValueError, match="overlap"):
        combine([Edit(1, 2, b"X"), Edit(1, 2, b"Y")])


def test_neighbouring_replacements_do_not_overlap() -> None:
    assert joined(b"abcd", [Edit(2, 4, b"Y"), Edit(0, 2, b"X")]) == b"XY"


@pytest.mark.parametrize(
    "edits",
    [
        [Edit(0, 3, b""), Edit(2, 4, b"")],
        [Edit(1, 4, b""), Edit(2, 2, b"inside")],
        [Edit(3, 2, b"backwards")],
        [Edit(-1, 0, b"before the beginning")],
    ],
)
def test_overlapping_and_impossible_spans_are_refused(edits: list[Edit]) -> None:
    with pytest.raises(ValueError, match="overlap"):
        combine(edits)


def test_an_edit_behind_the_end_is_refused() -> None:
    with pytest.raises(ValueError, match="behind the end"):
        apply(b"abc", [Edit(2, 4, b"")])


def test_no_edits_give_the_message_itself_as_one_view() -> None:
    data = b"unchanged"
    (segment,) = apply(data, [])
    assert isinstance(segment, memoryview)
    assert segment.obj is data


def test_a_mapped_file_is_edited_without_reading_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "message"
    path.write_bytes(b"a" * 10_000)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        segments = apply(data, [Edit(5000, 5000, b"b")])
        assert [len(segment) for segment in segments] == [5000, 1, 5000]
        for segment in segments:
            if isinstance(segment, memoryview):
                segment.release()
