"""Flags and stamps of items that are a message and flags."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.adapters.mailbox.mime_item import Kept, as_crlf, flags_of, found_item, marks_of, sent_item, stamped
from mta.model.mailbox_item import FollowUp, ItemRef, Marks
from mta.ports.mailbox import RefusedError
from tests.contract.mailboxes.samples import in_place_of, plain, unread

_KEPT = Kept(ItemRef("1"), frozenset({"\\Seen"}), None)
_words = st.text(st.characters(codec="utf-8"), max_size=20)


@pytest.mark.parametrize(
    ("marks", "flags"),
    [
        (Marks(is_read=True), ["\\Seen"]),
        (Marks(is_read=False, follow_up=FollowUp("flagged")), ["\\Flagged"]),
        (Marks(is_read=False, follow_up=FollowUp("complete")), []),
        (Marks(is_read=False, keywords=("\\Answered", "$Forwarded")), ["$Forwarded", "\\Answered"]),
        (Marks(is_read=False, keywords=("\\deleted", "\\DRAFT", "\\Seen", "\\Recent")), []),
        (Marks(is_read=False, keywords=("a b", "x)", "", "a\r\nb", '"', "\\", "ü")), []),
        (Marks(is_read=False, categories=("To customers (2)", "Ü")), ["To_customers__2_", "_"]),
        (Marks(is_read=False, categories=("\\Deleted", "")), ["_Deleted"]),
    ],
)  # fmt: skip
def test_flags_say_what_marks_say(marks: Marks, flags: list[str]) -> None:
    assert flags_of(marks) == flags


@settings(deadline=None, max_examples=100)
@given(st.lists(_words, max_size=5), st.lists(_words, max_size=5), st.booleans())
def test_no_word_becomes_anything_but_a_flag(keywords: list[str], categories: list[str], is_read: bool) -> None:
    flags = flags_of(Marks(is_read=is_read, keywords=tuple(keywords), categories=tuple(categories)))
    for flag in flags:
        assert flag.isascii()
        assert not set(flag) & set(' (){}%*"]\r\n\0')
        assert flag.lower() not in ("\\deleted", "\\draft")
    assert marks_of(flags).is_read == is_read
    assert flags_of(marks_of(flags)) == flags


@pytest.mark.parametrize(
    "before", ["", "x-stampline-job: theirs\r\n", "X-Stampline-Job:\r\n a\r\n b\r\nX-STAMPLINE-JOB: c\r\n"]
)
def test_a_message_has_one_stamp(before: str) -> None:
    mime = before.encode() + plain("<a@example.com>").mime
    data = stamped(in_place_of(unread("<a@example.com>", mime), mime))
    item = sent_item(data, _KEPT)
    assert item.stamp == in_place_of(unread("<a@example.com>", mime), mime).stamp
    assert data.lower().count(b"x-stampline-job:") == 1
    assert data.endswith(plain("<a@example.com>").mime)


def test_a_stamp_is_one_line() -> None:
    mime = plain("<a@example.com>").mime
    data = stamped(replace(in_place_of(unread("<a@example.com>", mime), mime), stamp="job\r\nBcc: x@example.com"))
    assert sent_item(data, _KEPT).bcc == ()


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("Fri, 20 Nov 2026 10:30:15 +0100", datetime(2026, 11, 20, 9, 30, 15, tzinfo=UTC)),
        ("20 Nov 2026 10:30:15 -0000", datetime(2026, 11, 20, 10, 30, 15, tzinfo=UTC)),
        ("yesterday", None), ("Fri, 99 Nov 2026 10:30:15 +0100", None), ("", None),
        ("Fri, 20 Nov 99999 10:30:15 +9999", None),
    ],
)  # fmt: skip
def test_dates_are_read_or_not(written: str, moment: datetime | None) -> None:
    found = found_item(ItemRef("1"), f"Date: {written}\r\nMessage-ID:\r\n <a@b>\r\n\r\n".encode())
    assert found is not None
    assert (found.sent_at, found.message_id) == (moment, "<a@b>")


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=300))
def test_any_octets_are_an_item_or_refused(data: bytes) -> None:
    try:
        item = sent_item(as_crlf(data), _KEPT)
    except RefusedError:
        return
    assert item.mime.count(b"\n") == item.mime.count(b"\r\n")
