"""Pauses that web servers ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mta.adapters.retry_after import retry_after

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("7", timedelta(seconds=7)),
        (" 120 ", timedelta(minutes=2)),
        ("Sun, 22 Nov 2026 14:01:00 GMT", timedelta(minutes=1)),
        ("999999", timedelta(hours=1)),
        ("9" * 5000, timedelta(hours=1)),
        ("9" * 30, timedelta(hours=1)),
        ("Sun, 22 Nov 2026 13:59:00 GMT", timedelta(0)),
        ("Sun, 22 Nov 2026 14:01:00", timedelta(minutes=1)),
        ("0", timedelta(0)),
        ("0.5", timedelta(seconds=0.5)),
        ("-7", None),
        ("soon", None),
        ("", None),
        ("²", None),
    ],
    ids=["seconds", "spaces", "date", "long", "digits", "overflow", "past", "zoneless", "0", "half", "negative", "word",
         "none", "no-digit"],
)  # fmt: skip
def test_hints_are_seconds_or_dates(value: str, wait: timedelta | None) -> None:
    assert retry_after(value, NOW, longest=timedelta(hours=1)) == wait
