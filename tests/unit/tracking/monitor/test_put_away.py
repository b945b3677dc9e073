"""What was taken is put away together where the server can do that: in few requests, and never before it was taken."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mta.ports import mailbox as port
from tests.unit.tracking.monitor.office import Mailbox, Office, office, settings


def many(count: int) -> Mailbox:
    mailbox = Mailbox(puts_away_together=True)
    for number in range(count):
        mailbox.put(number)
    return mailbox


async def ended(place: Office) -> list[Any]:
    """How the polls in hand ended."""
    return await asyncio.gather(*place.the_monitors.in_hand, return_exceptions=True)


def ids(count: int) -> dict[str, int]:
    return {f"<m{number}@example.net>": 1 for number in range(count)}


@pytest.mark.parametrize(
    ("after", "is_left"), [({"do": "move"}, False), ({"do": "delete"}, False), ({"do": "mark-read"}, True)]
)
async def test_many_take_few_requests(tmp_path: Path, after: dict[str, Any], is_left: bool) -> None:
    async with office(tmp_path) as place:
        box = place.mailboxes["help"] = many(120)
        place.equip(settings(poll={"messages": 500}, after=after))
        await place.looks(2)
        assert await place.taken() == ids(120)
        assert box.calls["put_away"] <= 2 + 2  # a machine that hangs for seconds sends them earlier
        assert len(box.read if is_left else box.folders.get("StamplineProcessed", ())) == (
            0 if after["do"] == "delete" else 120
        )
        assert not set(box.waiting) - box.read


async def test_what_is_refused_together_is_done_one_by_one_and_only_the_one_stays(tmp_path: Path) -> None:
    async with office(tmp_path) as place:
        box = place.mailboxes["help"] = many(5)
        box.faults["put_away"] = port.RefusedError("no", "not so")
        box.faults["move"] = [None, None, port.RefusedError("no", "not this one")]
        place.equip(settings(after={"do": "move"}))
        await place.look()
        assert set(box.waiting) == {"u00002"}
        assert place.mailbox_log.count("mailbox-message-stays") == 1
        assert await place.taken() == ids(5)


@pytest.mark.parametrize("do", ["move", "delete", "mark-read"])
async def test_when_the_session_breaks_nothing_is_fetched_again(tmp_path: Path, do: str) -> None:
    async with office(tmp_path) as place:
        box = place.mailboxes["help"] = many(5)
        box.faults["put_away"] = [port.EndpointDownError("closed", "it went away")]
        place.equip(settings(after={"do": do}))
        await place.look()
        assert place.mailbox_log.count("mailbox-poll-failed") == 1
        box.put(5)
        place.clock.go(minutes=5)
        await place.looks(2)
        assert box.calls["fetch"] == 6
        assert await place.taken() == ids(6)
        assert not set(box.waiting) - box.read


async def test_after_a_crash_between_they_are_known_and_put_away(tmp_path: Path) -> None:
    async with office(tmp_path) as place:
        box = place.mailboxes["help"] = many(7)
        taken, place_take = 0, place.take

        async def take(*given: Any) -> Any:
            nonlocal taken
            taken += 1
            if taken == 5:
                raise Killed
            return await place_take(*given)

        place.take = take
        place.equip(settings(after={"do": "move"}))
        await place.the_monitors.look()
        assert any(isinstance(each, Killed) for each in await ended(place))
        assert len(box.waiting) == 7
        await place.crash()
        await place.start(settings(after={"do": "move"}))
        await place.looks(2)
        assert await place.taken() == ids(7)
        assert len(box.folders["StamplineProcessed"]) == 7


class Killed(BaseException):
    """As by SIGKILL."""
