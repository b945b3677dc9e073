"""Our own mark: valid only as we made it, for the message that we made it for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.mark import MarkState, check_mark, make_mark

KEY, NEXT_KEY, STRANGERS_KEY = b"k" * 32, b"n" * 32, b"s" * 32
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ID, DATE = "<1@example.com>", "Sun, 22 Nov 2026 10:00:00 +0100"


def _mark(key: bytes = KEY, organisation: str = "default", message_id: str = ID, date: str = DATE) -> bytes:
    return make_mark(key, organisation, "outbound", message_id, date, NOW + timedelta(days=5))


def _state(value: bytes, message_id: str = ID, date: str = DATE, now: datetime = NOW) -> MarkState:
    return check_mark((KEY, NEXT_KEY), value, "default", message_id, date, now)


def test_ours_is_valid_until_it_expires() -> None:
    assert _state(_mark()) is MarkState.VALID
    assert _state(_mark(), now=NOW + timedelta(days=5, seconds=-1)) is MarkState.VALID
    assert _state(_mark(), now=NOW + timedelta(days=5)) is MarkState.EXPIRED


def test_both_keys_count_while_they_are_rotated() -> None:
    assert _state(_mark(NEXT_KEY)) is MarkState.VALID
    assert _state(_mark(STRANGERS_KEY)) is MarkState.FORGED


def test_it_holds_for_its_own_message_only() -> None:
    assert _state(_mark(), message_id="<2@example.com>") is MarkState.FORGED
    assert _state(_mark(), date="Sun, 22 Nov 2026 10:00:01 +0100") is MarkState.FORGED


def test_another_organisations_is_foreign() -> None:
    assert _state(_mark(organisation="Other; Ltd =")) is MarkState.FOREIGN
    value = _mark(organisation="Ärger; GmbH")
    assert check_mark([KEY], value, "Ärger; GmbH", ID, DATE, NOW) is MarkState.VALID


@pytest.mark.parametrize(
    "date",
    [
        "Sun, 22 Nov 2026 09:00:00 +0000",
        "22 Nov 2026 09:00:00 GMT",
        "Sun, 22  Nov 2026\r\n\t04:00:00 -0500 (EST)",
    ],
)
def test_exchange_may_write_the_same_moment_in_other_words(date: str) -> None:
    assert _state(_mark(), date=date) is MarkState.VALID


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 22 Foo 2026 10:00:00 +0100", "1 Jan 0000 00:00:00 +0000"])
def test_a_date_that_is_none_counts_as_its_text(date: str) -> None:
    assert _state(_mark(date=date), date=f"  {date} ") is MarkState.VALID
    assert _state(_mark(date=date), date="tomorrow") is MarkState.FORGED


def test_the_value_is_one_printable_line_and_may_come_back_folded() -> None:
    value = _mark(organisation="default", message_id="<\udc80ü@example.com>")
    assert value.isascii()
    assert value.decode().isprintable()
    folded = b" " + value.replace(b"; ", b";\r\n\t") + b"\r\n"
    assert _state(folded, message_id="<\udc80ü@example.com>") is MarkState.VALID


def test_no_part_of_it_may_be_changed() -> None:
    value = _mark()
    for other in (
        value.replace(b"outbound", b"inbound"),
        value.replace(b"x=1", b"x=2"),
        value[:-1] + b"A",
        value + b"A",
    ):
        assert other != value
        assert _state(other) is MarkState.FORGED


def test_fields_cannot_flow_into_each_other() -> None:
    """A Message-ID that ends as a Date begins proves nothing about the shorter one."""
    value = make_mark(KEY, "default", "", "<1@a>x", "y", NOW + timedelta(days=5))
    assert _state(value, "<1@a>", "xy") is MarkState.FORGED


@pytest.mark.parametrize("value", [b"", b"v=1", b"v=2; o=default; d=; x=1; b=" + b"A" * 43, b"\xff" * 100])
def test_what_is_no_mark_is_forged(value: bytes) -> None:
    assert _state(value) is MarkState.FORGED


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=600) | st.text(alphabet="v=1; odxb%-AZ09\r\n\t", max_size=600).map(str.encode))
def test_a_strangers_value_never_raises(value: bytes) -> None:
    assert _state(value) in (MarkState.FORGED, MarkState.FOREIGN)


@pytest.mark.parametrize(("organisation", "direction"), [("", "outbound"), ("x" * 301, ""), ("default", "out; x=1")])
def test_what_has_no_place_in_a_header_is_refused(organisation: str, direction: str) -> None:
    with pytest.raises(ValueError, match=r"organisation|direction"):
        make_mark(KEY, organisation, direction, ID, DATE, NOW)
