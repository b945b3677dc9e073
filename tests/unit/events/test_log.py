"""Log lines: what stands in them, and what never does."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mta import events
from mta.events import Level


class Lines:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.days: list[str] = []

    def write(self, level: Level, action: str, line: str, day: str) -> None:
        self.lines.append(line)
        self.days.append(day)


@pytest.fixture
def lines() -> Iterator[Lines]:
    sink = Lines()
    events.configure([sink])
    yield sink
    events.configure([])


def test_a_line_is_found_with_grep(lines: Lines) -> None:
    events.delivered(
        "Q1", group=0, recipients=["a@example.net", "b@example.net"], next_hop="default", remote="mx[192.0.2.1]:25",
        reply="250 2.0.0 Ok", tls="", delay_ms=12.345, attempt_ms=4.0, attempts=1,
    )  # fmt: skip
    assert re.fullmatch(
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d level=info action=delivered queue_id=Q1 group=0 "
        r"recipients=a@example\.net,b@example\.net next_hop=default remote=mx\[192\.0\.2\.1\]:25 "
        r'reply="250 2\.0\.0 Ok" delay_ms=12\.3 attempt_ms=4\.0 attempts=1',
        lines.lines[0],
    )


def test_the_time_is_local_and_goes_on(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-05:30")
    time.tzset()
    try:
        monkeypatch.setattr(time, "time", lambda: 1_795_000_000.25)
        events.already_processed("Q1")
        monkeypatch.setattr(time, "time", lambda: 1_795_000_060.999_9)
        events.already_processed("Q1")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [line.split()[0] for line in lines.lines] == [
        "time=2026-11-18T16:36:40.250+05:30",
        "time=2026-11-18T16:37:40.999+05:30",
    ]
    assert lines.days == ["2026-11-18", "2026-11-18"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "x=plain"),
        ("two words", 'x="two words"'),
        ('say "so"', 'x="say \\"so\\""'),
        ("a=b", 'x="a=b"'),
        ("a\nlevel=error", 'x="a\\nlevel=error"'),
        ("\x1b[31m", 'x="\\u001b[31m"'),
        ("\x9b", 'x="\\u009b"'),
        ("evil\u202egnp.exe", 'x="evil\\u202egnp.exe"'),
        ("jürgen@example.com", "x=jürgen@example.com"),
        (True, "x=true"),
        (7, "x=7"),
        (0, "x=0"),
        (False, "x=false"),
    ],
)
def test_values_are_quoted_where_they_must_be(value: events.Value, written: str) -> None:
    assert events.format_logfmt({"x": value}) == written


def test_empty_values_are_left_out() -> None:
    assert events.format_logfmt({"a": "", "b": None, "c": 0}) == "c=0"
    assert events.format_json({"a": "", "b": None, "c": 0}) == '{"c": 0}'


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), st.text(min_size=1) | st.integers() | st.booleans()))
@example({"a": "\x7f"})
def test_no_value_breaks_its_line_or_reaches_a_terminal(fields: dict[str, str | int | bool]) -> None:
    as_json = events.format_json(fields)
    assert json.loads(as_json) == fields
    for line in (as_json, events.format_logfmt(fields)):
        assert len(line.splitlines()) <= 1
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", line)


def test_json_lines(lines: Lines) -> None:
    events.configure([lines], as_json=True)
    events.dropped("Q1", recipients=["jürgen@example.com"], reason="a rule")
    event = json.loads(lines.lines[0])
    assert event.pop("time")
    assert event == {
        "level": "info", "action": "dropped", "queue_id": "Q1", "recipients": "jürgen@example.com", "reason": "a rule",
    }  # fmt: skip


def test_below_the_level_nothing_is_written(lines: Lines) -> None:
    events.signed("Q1", group=0, domain="example.com", selector="s1")
    assert lines.lines == []
    events.configure([lines], level="debug")
    events.signed("Q1", group=0, domain="example.com", selector="s1")
    assert len(lines.lines) == 1


def test_every_sink_gets_every_line() -> None:
    sinks = [Lines(), Lines()]
    events.configure(sinks)
    try:
        events.worker_stuck(1, component="relay", pid=os.getpid(), silent_s=31.26)
    finally:
        events.configure([])
    assert sinks[0].lines == sinks[1].lines
    assert "slot=1" in sinks[0].lines[0]
    assert sinks[0].lines[0].endswith("silent_s=31.3")


def test_an_error_of_ours_does_not_show_the_text_it_is_about(lines: Lines) -> None:
    with pytest.raises(UnicodeEncodeError) as caught:
        "the body \udc80".encode()
    events.internal_error("stamp", error=repr(caught.value), queue_id="Q1")
    assert "error=UnicodeEncodeError" in lines.lines[0]
    assert "body" not in lines.lines[0]


def test_a_fault_of_ours_at_somebody_s_mail_shows_nothing_of_it(lines: Lines) -> None:
    subject = "layoffs in March"
    with pytest.raises(ValueError, match=subject) as caught:
        int(subject)
    events.own_fault("task 1", caught.value)
    assert "error=ValueError" in lines.lines[0]
    assert "test_log.py" in lines.lines[0]
    assert subject not in lines.lines[0]


def test_what_a_task_logs_can_go_to_a_log_of_its_own(lines: Lines) -> None:
    own = Lines()
    with events.logged_to([own]):
        events.already_processed("Q1")
    events.already_processed("Q2")
    assert ["Q1" in line for line in own.lines] == [True]
    assert ["Q2" in line for line in lines.lines] == [True]
