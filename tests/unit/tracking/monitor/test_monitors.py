"""When mailboxes are polled: hours, orders, failures, another configuration, the end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from mta.config.tracking_schema import MonitoredMailbox
from mta.model.reply import INTERNAL_ERROR, TemporaryError
from mta.ports import mailbox as port
from tests.unit.tracking.monitor.office import NOON, Office, office, settings


def polls(place: Office, name: str = "help") -> int:
    return place.mailboxes[name].calls["sign_in"]


async def test_each_at_its_interval(tmp_path: Path) -> None:
    async with office(tmp_path, settings(poll={"every": 5}), settings("slow", poll={"every": 60})) as place:
        await place.looks(60)
        assert (polls(place), polls(place, "slow")) == (12, 1)


async def test_only_in_its_hours(tmp_path: Path) -> None:
    night = {"hours": "22:00-06:00", "timezone": "UTC"}
    async with office(tmp_path, settings(schedule=night, poll={"every": 30})) as place:
        await place.looks(10 * 60)  # from noon until 22:00
        assert polls(place) == 0
        assert place.the_monitors.report()["help"]["state"] == "waiting"
        await place.looks(8 * 60)
        assert polls(place) == 16
        assert place.the_monitors.report()["help"]["state"] == "off hours"
        assert place.the_monitors.report()["help"]["next_poll"] == "2026-11-23T22:00:00+00:00"


async def test_asked_for_it_is_polled_at_once_outside_its_hours_until_nothing_waits(tmp_path: Path) -> None:
    night = {"hours": "22:00-06:00", "timezone": "UTC"}
    async with office(tmp_path, settings(schedule=night, poll={"messages": 2})) as place:
        for number in range(5):
            place.mailboxes["help"].put(number)
        assert place.the_monitors.ask(["help"]) == {"help": 0}
        for _ in range(5):
            await place.look()
        assert not place.mailboxes["help"].waiting
        assert polls(place) == 3
        with pytest.raises(KeyError):
            place.the_monitors.ask(["nobody"])


async def test_a_disabled_mailbox_is_left_alone(tmp_path: Path) -> None:
    async with office(tmp_path, settings(enabled=False)) as place:
        await place.looks(30)
        assert polls(place) == 0
        assert place.the_monitors.report()["help"]["state"] == "disabled"


async def test_paused_and_resumed_in_the_store(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        await place.look()
        assert await place.the_store.pause("help", "jane", place.clock.now())
        await place.looks(60)
        assert polls(place) == 1
        assert place.the_monitors.summary()["mailboxes_paused"] == ["help"]
        await place.crash()
        await place.start(settings())
        await place.looks(10)
        assert polls(place) == 1
        assert await place.the_store.resume("help")
        await place.look()
        assert polls(place) == 2


async def test_a_pause_does_not_break_a_poll_off(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        box.put(1)
        box.gate = asyncio.Event()
        await place.the_monitors.look()
        await asyncio.sleep(0)
        await place.the_store.pause("help", "jane", place.clock.now())
        await place.the_monitors.look()
        box.gate.set()
        await place.settled()
        assert not box.waiting
        notes = await place.notes()
        assert (notes.paused_by, notes.taken) == ("jane", 1)


async def test_several_at_a_time_but_not_all(tmp_path: Path) -> None:
    wanted = [settings(f"box-{number}") for number in range(20)]
    async with office(tmp_path, *wanted) as place:
        for box in place.mailboxes.values():
            box.put(1, data=None)
            box.gate = asyncio.Event()
        await place.the_monitors.look()
        await place.the_monitors.look()
        assert len(place.the_monitors.in_hand) == 8
        for box in place.mailboxes.values():
            assert box.gate is not None
            box.gate.set()
        for _ in range(3):
            await place.look()
        assert all(polls(place, each.name) == 1 for each in wanted)


# --- another configuration -------------------------------------------------------------------------------------------


async def test_mailboxes_come_and_go_and_change(tmp_path: Path) -> None:
    async with office(tmp_path, settings(), settings("old")) as place:
        await place.look()
        place.equip(settings(after={"do": "delete"}), settings("new"))
        place.mailboxes["help"].put(1)
        await place.look()
        assert (polls(place), polls(place, "old"), polls(place, "new")) == (2, 1, 1)
        assert not place.mailboxes["help"].waiting
        assert not place.mailboxes["help"].folders
        changes = [line.partition("mailbox=")[2] for line in place.log.lines if "mailbox-changed" in line]
        assert changes[2:] == ["old change=removed", "help change=changed", "new change=added"]


async def test_a_poll_ends_as_it_began(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        for number in range(3):
            box.put(number)
        box.gate = asyncio.Event()
        await place.the_monitors.look()
        await asyncio.sleep(0)
        place.equip(settings(after={"do": "delete"}))
        await place.the_monitors.look()
        box.gate.set()
        await place.settled()
        assert len(box.folders["StamplineProcessed"]) == 3
        box.put(4)
        await place.look()
        assert not box.waiting
        assert len(box.folders["StamplineProcessed"]) == 3


async def test_one_that_is_removed_during_its_poll_ends_it_and_is_closed(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        box.put(1)
        box.gate = asyncio.Event()
        await place.the_monitors.look()
        await asyncio.sleep(0)
        place.equip()
        await place.the_monitors.look()
        assert not box.calls.get("close")
        box.gate.set()
        await place.settled()
        assert not box.waiting
        await place.look()
        assert box.calls["close"] == 1


async def test_other_settings_are_tried_at_once_whatever_was_held_against_the_old_ones(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        place.mailboxes["help"].faults["sign_in"] = [port.EndpointBusyError("429", retry_after=timedelta(minutes=50))]
        await place.looks(3)
        assert polls(place) == 1
        place.equip(settings(poll={"every": 6}))
        await place.looks(2)
        assert polls(place) == 2


async def test_without_verification_is_said_at_each_start_and_reload(tmp_path: Path) -> None:
    plain = {"name": "help", "kind": "imap", "address": "help@example.com", "host": "imap.example.com"}
    from mta.config.tracking_schema import ImapMailbox

    lax = ImapMailbox.model_validate({**plain, "password": {"env": "NOT_SET"}, "tls": {"verify": False}})
    async with office(tmp_path, lax) as place:
        place.equip(lax)
        assert place.mailbox_log.count("mailbox-unverified") == 2


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "in_two_hours"),
    [
        (port.EndpointDownError("unreachable"), range(20, 32)),
        (port.EndpointBusyError("503"), range(5, 8)),
        (port.EndpointBusyError("429", retry_after=timedelta(minutes=40)), range(3, 4)),
        (port.EndpointBusyError("429", retry_after=timedelta(days=400)), range(2, 4)),
        (port.MailboxUnavailableError("moving"), range(6, 9)),
        (port.SignInError("535"), range(6, 8)),
        (port.OutcomeUnknownError("timeout"), range(20, 32)),
        (ValueError("a fault of ours"), range(20, 32)),
    ],
    ids=["down", "busy", "hint", "mad hint", "unavailable", "sign-in", "unknown", "ours"],
)
async def test_back_off_by_kind_and_every_mailbox_by_itself(
    error: Exception, in_two_hours: range, tmp_path: Path
) -> None:
    async with office(tmp_path, settings(poll={"every": 1}), settings("other")) as place:
        place.mailboxes["help"].faults["sign_in"] = error
        await place.looks(120)
        assert polls(place) in in_two_hours
        assert polls(place, "other") == 24
        failed = [line for line in place.mailbox_log.lines if "mailbox-poll-failed" in line]
        assert len([line for line in failed if "level=warning" in line]) <= 3
        place.mailboxes["help"].faults.clear()
        await place.looks(70)
        assert place.mailbox_log.count("mailbox-answers") == 1


async def test_a_leap_of_the_clock_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with office(tmp_path, settings(poll={"every": 1})) as place:
        place.clock.leap(days=400)
        place.mailboxes["help"].faults["sign_in"] = [port.EndpointBusyError("429", retry_after=timedelta(minutes=30))]
        await place.looks(2)
        place.clock.leap(days=-400)
        await place.looks(2)
        assert polls(place) == 3
        place.clock.leap(days=400)
        await place.looks(2)
        assert polls(place) == 5


async def test_a_server_is_left_alone_also_while_the_store_can_not_note_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accounts are locked by fewer attempts."""

    async def full(*given: object) -> None:
        raise TemporaryError(INTERNAL_ERROR)

    async with office(tmp_path, settings()) as place:
        place.mailboxes["help"].faults["sign_in"] = port.SignInError("535")
        monkeypatch.setattr(place.store, "note_mailbox", full)
        for _ in range(120):
            await place.look()
            place.clock.go(seconds=5)
        assert polls(place) == 2


async def test_a_failure_is_remembered_over_a_restart(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        place.mailboxes["help"].faults["sign_in"] = port.EndpointBusyError("429", retry_after=timedelta(minutes=30))
        await place.looks(2)
        await place.crash()
        await place.start(settings())
        await place.looks(20)
        assert polls(place) == 1
        assert place.the_monitors.report()["help"]["state"] == "left alone"
        await place.the_store.resume("help")
        await place.look()
        assert polls(place) == 2


async def test_a_mailbox_that_is_held_is_not_polled(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        assert place.the_monitors.hold("help", 300)
        await place.looks(4)
        assert polls(place) == 0
        await place.looks(3)
        assert polls(place) == 1


# --- its end ---------------------------------------------------------------------------------------------------------


async def test_a_drain_ends_a_poll_after_its_message(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        for number in range(50):
            box.put(number)
        box.gate = asyncio.Event()
        await place.the_monitors.look()
        await asyncio.sleep(0)
        draining = asyncio.create_task(place.the_monitors.drain(5))
        await asyncio.sleep(0)
        box.gate.set()
        assert await draining == 0
        assert len(box.waiting) >= 48
        assert len(await place.taken()) == 50 - len(box.waiting)
        await place.stop()
        await place.start(settings())
        assert not place.log.count("tracking-cautious")
        await place.look()
        assert len(await place.taken()) == 50


@pytest.mark.parametrize(
    "left",
    [
        [],
        [settings(enabled=False)],
        [settings(schedule={"hours": "22:00-06:00", "timezone": "UTC"})],
    ],
    ids=["none", "disabled", "off-hours"],
)
async def test_after_a_crash_mailboxes_that_nobody_polls_keep_nobody_waiting(
    left: list[MonitoredMailbox], tmp_path: Path
) -> None:
    async with office(tmp_path, settings()) as place:
        await place.crash()
        await place.start(*left)
        assert place.turns.is_cautious
        await place.look()
        assert not place.turns.is_cautious


async def test_after_a_crash_all_that_waits_is_in_hand_once_before_several_go_at_a_time(tmp_path: Path) -> None:
    async with office(tmp_path, settings(poll={"messages": 2})) as place:
        await place.crash()
        for number in range(5):
            place.mailboxes["help"].put(number)
        await place.start(settings(poll={"messages": 2}))
        for _ in range(3):
            assert place.turns.is_cautious
            await place.look()
        await place.the_monitors.look()
        assert not place.turns.is_cautious
        assert not place.mailboxes["help"].waiting


async def test_a_drain_breaks_off_what_hangs_and_it_is_taken_later(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        box.put(1)
        box.gate = asyncio.Event()
        for _ in range(3):
            await place.the_monitors.look()
            while not box.calls["fetch"]:
                await asyncio.sleep(0)
            assert await place.the_monitors.drain(0.01) == 1
            await place.stop()
            box.calls.clear()
            await place.start(settings())
        box.gate = None
        await place.look()
        assert await place.taken() == {"<m1@example.net>": 1}
        assert place.clock.now() == NOON
