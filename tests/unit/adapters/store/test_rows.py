"""What is stored is what comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mta.adapters.store.rows import Ids, accepted_message, microseconds, moment, pack_edits, storable, unpack_edits
from mta.model.address import Address
from mta.model.delivery import StoredVariant
from mta.model.envelope import Client, Envelope, ListenerRole

_OFFSETS = st.integers(0, 2**63)


@given(st.lists(st.tuples(_OFFSETS, _OFFSETS, st.binary(max_size=50))))
def test_edits_come_back(edits: list[tuple[int, int, bytes]]) -> None:
    variant = StoredVariant(7, tuple(edits))
    assert unpack_edits(7, pack_edits(variant)) == variant


@given(st.integers(0, 10**16))
def test_times_come_back(value: int) -> None:
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)
    assert moment(microseconds(time)) == time


@given(st.text())
def test_any_text_can_be_stored(text: str) -> None:
    assert storable(text).encode("utf-8").decode("utf-8") == storable(text)


def test_lone_surrogates_are_replaced_and_the_rest_kept() -> None:
    assert storable("ü\udcff€") == "ü?€"


def test_ids_rise_and_differ_between_slots_even_if_the_clock_goes_back() -> None:
    in_an_hour = microseconds(datetime.now(UTC) + timedelta(hours=1)) * 1024 + 5
    ids = Ids(3, in_an_hour)
    made = [ids.fresh() for _ in range(100)]
    assert made == sorted(set(made))
    assert made[0] > in_an_hour
    assert {number % 1024 for number in made} == {3}


def test_a_message_of_an_earlier_version_can_be_read() -> None:
    client = '{"ip":"192.0.2.1","port":25,"helo":"h","listener":"l","role":"trusted","tls":"","esmtp":true}'
    envelope = f'{{"body_8bit":true,"smtputf8":false,"envid":"QQ","ret":"FULL","client":{client}}}'
    decision = (
        '{"organisation":"default","sender":"","already_processed":false,"groups":{"0":[]},'
        '"recipients":[["joe@example.org","outbound","to",0,"out"]]}'
    )
    row = (1, "Q1", 0, 3, "<a@b>", "s", b"", envelope, decision, None, "jane@example.com", b"x\r\n")
    message = accepted_message(row, (), Path("bodies"))
    assert message.envelope == Envelope(
        Address("jane", "example.com"), (Address("joe", "example.org"),), body_8bit=True, envid="QQ", ret="FULL"
    )
    assert message.client == Client("192.0.2.1", 25, "h", "l", ListenerRole.TRUSTED)
