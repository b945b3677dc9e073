from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

import pytest

from mta.model.delivery import Misfit, RecipientEntry, RecipientResult
from mta.model.envelope import Envelope
from mta.model.reply import INTERNAL_ERROR, Reply
from mta.ports.transport import Segments, Stopped
from mta.relay.deliver.attempt import COPIES_AT_ONCE, Copy, attempt
from tests.unit.relay.deliver.samples import message

OK = Reply(250, "2.0.0", "taken")
MESSAGE = message(tuple(f"r{i}@example.org" for i in range(20)))


class Way:
    """Delivers all but the groups and recipients that it is told to fail."""

    def __init__(self, broken_content: bytes = b"", forgets: int = -1) -> None:
        self._broken_content = broken_content
        self._forgets = forgets
        self.delivered: list[tuple[bytes, list[int]]] = []
        self.at_once = self.most_at_once = 0

    async def deliver(
        self,
        envelope: Envelope,
        recipients: Sequence[RecipientEntry],
        content: Segments,
        *,
        deadline_s: float,
        overlook: Collection[Misfit] = (),
    ) -> Sequence[RecipientResult]:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        data = b"".join(content)
        if data == self._broken_content:
            raise ZeroDivisionError("a bug")
        self.delivered.append((data, [entry.index for entry in recipients]))
        return [RecipientResult(e.index, e.address, OK) for e in recipients if e.index != self._forgets]

    def is_blocked(self, domain: str) -> bool:
        return False

    def blocked(self) -> Collection[str]:
        return ()

    def stopped(self) -> Mapping[str, Stopped]:
        return {}

    async def close(self) -> None:
        raise NotImplementedError


def copies(count: int) -> list[Copy]:
    return [Copy(i, (b"copy %d" % i,), (MESSAGE.recipients[i],)) for i in range(count)]


async def test_every_copy_goes_to_its_own_recipients() -> None:
    way = Way()
    results = await attempt(way, MESSAGE.envelope, copies(3), deadline_s=60)
    assert [(r.index, r.reply) for r in results] == [(0, OK), (1, OK), (2, OK)]
    assert way.delivered == [(b"copy 0", [0]), (b"copy 1", [1]), (b"copy 2", [2])]


async def test_an_error_in_the_only_copy_defers_its_recipients() -> None:
    results = await attempt(Way(broken_content=b"copy 0"), MESSAGE.envelope, copies(1), deadline_s=60)
    assert [(r.index, r.reply) for r in results] == [(0, INTERNAL_ERROR)]


async def test_an_error_in_one_copy_leaves_the_others_delivered() -> None:
    results = await attempt(Way(broken_content=b"copy 1"), MESSAGE.envelope, copies(3), deadline_s=60)
    assert [r.reply for r in results] == [OK, INTERNAL_ERROR, OK]


async def test_a_recipient_without_a_result_is_deferred() -> None:
    copy = Copy(0, (b"x",), MESSAGE.recipients[:3])
    results = await attempt(Way(forgets=1), MESSAGE.envelope, [copy], deadline_s=60)
    assert [(r.index, r.reply) for r in results] == [(0, OK), (1, INTERNAL_ERROR), (2, OK)]


async def test_many_copies_do_not_go_all_at_once() -> None:
    way = Way()
    await attempt(way, MESSAGE.envelope, copies(20), deadline_s=60)
    assert way.most_at_once == COPIES_AT_ONCE
    assert len(way.delivered) == 20


async def test_an_attempt_can_be_cancelled() -> None:
    started = asyncio.Event()

    class Stuck(Way):
        async def deliver(
            self,
            envelope: Envelope,
            recipients: Sequence[RecipientEntry],
            content: Segments,
            *,
            deadline_s: float,
            overlook: Collection[Misfit] = (),
        ) -> Sequence[RecipientResult]:
            started.set()
            await asyncio.Event().wait()
            return []

    task = asyncio.create_task(attempt(Stuck(), MESSAGE.envelope, copies(2), deadline_s=60))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
