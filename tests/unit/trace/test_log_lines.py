"""Lines are read as they were written, in both formats; what is no line of ours is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.events import format_event
from mta.trace.log_lines import read_line

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,15}", fullmatch=True).filter(
    lambda name: name not in ("time", "level", "action")
)


@given(st.dictionaries(NAMES, st.text(st.characters(codec="utf-8"), min_size=1)), st.booleans())
@settings(deadline=None, max_examples=200)
def test_what_is_written_is_read(fields: dict[str, str], as_json: bool) -> None:
    line, day = format_event("warning", "queue-changed", fields, as_json=as_json)
    read = read_line(line.encode())
    assert read.fields == fields
    assert (read.level, read.action) == ("warning", "queue-changed")
    assert f"{read.at:%Y-%m-%d}" == day


def test_lists() -> None:
    line = b"time=2026-11-22T10:00:00.000+00:00 level=info action=decided queue_id=Q1 recipients=a@b,c@d rules="
    read = read_line(line)
    assert (read.queue_id, read.items("recipients"), read.items("rules"), read.text("none")) == (
        "Q1", ("a@b", "c@d"), (), ""
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"half a li",
        b"{",
        b"[1]",
        b'{"time": "2026-11-22T10:00:00+00:00"}',
        b"time=yesterday level=info action=x",
        b"time=2026-11-22T10:00:00 level=info action=x",
        b'time=2026-11-22T10:00:00+00:00 level=info action=x text="not ended',
        b'{"time": 1, "level": "info", "action": "x"}',
        b"\xff\x00",
    ],
    ids=range(10),
)
def test_what_is_no_line_of_ours_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_line(line)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=300)
def test_nothing_but_a_value_error_comes_of_rubbish(line: bytes) -> None:
    try:
        read_line(line)
    except ValueError:
        return
