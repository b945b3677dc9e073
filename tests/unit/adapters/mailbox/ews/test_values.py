"""Times, binary values and truth as EWS servers write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mta.adapters.mailbox.ews.values import integer_of, octets_of, time_of, time_text, truth_of


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T14:36:20Z", datetime(2026, 11, 22, 14, 36, 20, tzinfo=UTC)),
        ("2026-11-22T14:36:20.5Z", datetime(2026, 11, 22, 14, 36, 20, 500_000, tzinfo=UTC)),
        ("2026-11-22T14:36:20.123456789Z", datetime(2026, 11, 22, 14, 36, 20, 123_456, tzinfo=UTC)),
        ("2026-11-22T14:36:20.0000000", datetime(2026, 11, 22, 14, 36, 20, tzinfo=UTC)),
        ("2026-11-22T14:36:20", datetime(2026, 11, 22, 14, 36, 20, tzinfo=UTC)),
        (" 2026-11-22T14:36:20+01:30 ", datetime(2026, 11, 22, 13, 6, 20, tzinfo=UTC)),
        ("2026-11-22T14:36:20-08:00", datetime(2026, 11, 22, 22, 36, 20, tzinfo=UTC)),
        ("4501-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("2026-02-30T00:00:00Z", None),
        ("2026-11-22", None),
        ("２026-11-22T14:36:20Z", None),
        ("", None),
        (None, None),
    ],
    ids=["z", "tenth", "nanoseconds", "zeroes", "zoneless", "east", "west", "none", "before", "no-day", "date", "wide",
         "empty", "absent"],
)  # fmt: skip
def test_times(text: str | None, moment: datetime | None) -> None:
    assert time_of(text) == moment


@pytest.mark.parametrize("micro", [0, 1000, 999_000])
def test_a_time_is_written_to_the_millisecond_in_utc(micro: int) -> None:
    moment = datetime(2026, 11, 22, 14, 36, 20, micro, tzinfo=UTC)
    assert time_of(time_text(moment)) == moment
    assert time_text(moment).endswith("Z")
    assert time_of(time_text(moment + timedelta(microseconds=400))) == moment


@pytest.mark.parametrize(
    ("text", "octets"),
    [("QUJD", b"ABC"), ("QU\r\n JD", b"ABC"), ("QUJ", b""), ("", b""), (None, b""), ("ÄÖ", b"")],
    ids=["plain", "folded", "cut", "empty", "absent", "no-base64"],
)
def test_octets(text: str | None, octets: bytes) -> None:
    assert octets_of(text) == octets


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("-1", -1), ("²", None), ("9" * 5000, None), ("", None), (None, None)],
    ids=["7", "negative", "no-digit", "long", "empty", "absent"],
)
def test_integers(text: str | None, number: int | None) -> None:
    assert integer_of(text) == number


@pytest.mark.parametrize(
    ("text", "truth"), [("true", True), ("1", True), ("false", False), ("0", False), (None, False)]
)
def test_truth(text: str | None, truth: bool) -> None:
    assert truth_of(text) is truth
