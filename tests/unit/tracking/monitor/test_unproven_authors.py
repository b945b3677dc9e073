"""Polled mail whose author has to be proven by DNS, while DNS gives no answer and afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dkim
import pytest

from mta.authenticate.author import DkimProver
from mta.model.tracking import Entry, EntryState
from tests.unit.authenticate.test_dkim import Key
from tests.unit.authenticate.zones import TIMEOUT, Zones
from tests.unit.tracking.monitor.office import Mailbox, Office, message, office, settings

WAITS = [{"minutes": 6}, {"minutes": 6}, {"minutes": 31}, {"hours": 2, "minutes": 1}]
"""A bit more than the pauses before it is tried again, and than those between polls."""


@pytest.fixture(scope="module")
def key() -> Key:
    return Key.make()


def answer(key: Key | None = None) -> bytes:
    """Of who wrote message 0; with a signature of his domain."""
    plain = message(1, From="Jane <jane0@example.net>", In_Reply_To="<m0@example.net>")
    return plain if key is None else bytes(dkim.sign(plain, b"s1", b"example.net", key.pem)) + plain


def verify(place: Office, records: dict[str, Any]) -> Zones:
    """From now on, against such a DNS."""
    dns = Zones(records)
    assert place.desk is not None
    prover = DkimProver(dns, place.clock, timeout_s=5, steady_s=place.clock.steady_s)
    place.desk = replace(place.desk, prover=prover)
    return dns


async def begun(place: Office, records: dict[str, Any]) -> tuple[Mailbox, Zones]:
    """Message 0 has become a record."""
    dns = verify(place, records)
    place.equip(settings())
    box = place.mailboxes["help"]
    box.put(0)
    await place.look()
    assert not box.waiting
    assert not dns.asked, "nothing depended on who wrote it"
    return box, dns


async def entry_of_answer(place: Office) -> Entry | None:
    return next((each for each in await place.the_store.entries() if each.message_id == "<m1@example.net>"), None)


async def test_it_waits_for_dns_while_others_are_taken_and_joins_once_it_is_proven(tmp_path: Path, key: Key) -> None:
    async with office(tmp_path, settings()) as place:
        box, dns = await begun(place, {"*": TIMEOUT})
        ref = box.put(1, data=answer(key))
        box.put(2)
        place.clock.go(minutes=10)
        await place.look()
        assert list(box.waiting) == [ref]
        assert "DNS gave no answer about example.net" in place.mailbox_log.last("mailbox-message-waits")
        assert await entry_of_answer(place) is None
        fetched = box.calls["fetch"]
        await place.look()
        assert box.calls["fetch"] == fetched, "it is left alone for a while"
        dns.records = {"s1._domainkey.example.net": [("TXT", key.record())]}
        place.clock.go(minutes=10)
        await place.look()
        taken = await entry_of_answer(place)
        assert taken is not None
        assert (taken.state, taken.reason) == (EntryState.JOINED, "known-reference")
        assert not box.waiting


async def test_what_only_a_rule_asks_about_waits_for_dns_too(tmp_path: Path, key: Key) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "10.yaml").write_text(
        "rules: [{name: proven, when: {outcome: new, sender: {authenticated: true}}, actions: [create, note]}]"
    )
    async with office(tmp_path, settings()) as place:
        dns = verify(place, {"*": TIMEOUT})
        place.equip(settings())
        box = place.mailboxes["help"]
        box.put(1, data=answer(key))
        await place.look()
        assert box.waiting
        assert await entry_of_answer(place) is None
        dns.records = {"s1._domainkey.example.net": [("TXT", key.record())]}
        place.clock.go(minutes=10)
        await place.look()
        taken = await entry_of_answer(place)
        assert taken is not None
        assert taken.state is EntryState.JOINED


async def test_after_the_last_pause_it_is_held(tmp_path: Path, key: Key) -> None:
    async with office(tmp_path, settings()) as place:
        box, _ = await begun(place, {"*": TIMEOUT})
        box.put(1, data=answer(key))
        place.clock.go(minutes=10)
        await place.look()
        for pause in WAITS:
            assert box.waiting
            place.clock.go(**pause)
            await place.look()
        held = await entry_of_answer(place)
        assert held is not None
        assert (held.state, held.reason) == (EntryState.PENDING, "sender-not-looked-up")
        assert not box.waiting
        assert place.mailbox_log.count("mailbox-message-waits") == len(WAITS)


async def test_those_who_wait_take_nobody_s_place_in_a_batch(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box, _ = await begun(place, {"*": TIMEOUT})
        place.equip(settings(poll={"messages": 2}))
        for number in (1, 2):
            box.put(number, data=answer().replace(b"<m1@", b"<w%d@" % number))
        for number in range(3, 7):
            box.put(number)
        place.clock.go(minutes=10)
        for _ in range(3):
            await place.look()
        assert sorted(await place.taken()) == [f"<m{number}@example.net>" for number in (0, 3, 4, 5, 6)]


async def test_who_is_forged_is_held_and_known_to_be(tmp_path: Path, key: Key) -> None:
    policy = {"_dmarc.example.net": [("TXT", "v=DMARC1; p=reject")]}
    async with office(tmp_path, settings()) as place:
        box, _ = await begun(place, {**policy, "s1._domainkey.example.net": [("TXT", key.record())]})
        box.put(1, data=answer())
        place.clock.go(minutes=10)
        await place.look()
        held = await entry_of_answer(place)
        assert held is not None
        assert (held.state, held.reason) == (EntryState.PENDING, "unproven-sender")


async def test_a_forgery_with_the_name_of_an_answer_does_not_stand_in_its_way(tmp_path: Path, key: Key) -> None:
    """Whoever gets the answer, too, knows its Message-ID and date, and may be faster than the next poll."""
    policy = {"_dmarc.example.net": [("TXT", "v=DMARC1; p=reject")]}
    async with office(tmp_path, settings()) as place:
        box, _ = await begun(place, {**policy, "s1._domainkey.example.net": [("TXT", key.record())]})
        for number, data in enumerate((answer().replace(b"nothing", b"money"), answer(key), answer()), 1):
            box.put(number, data=data)
            place.clock.go(minutes=10)
            await place.look()
        found = [each for each in await place.the_store.entries() if each.message_id == "<m1@example.net>"]
        assert sorted(each.state.value for each in found) == ["joined", "pending"]
        assert not box.waiting
