"""The port `Spool`: copies for processing mailboxes, queued with the settlement that they follow from, once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mta.model.delivery import AcceptedMessage, Body, OnceKey, Settlement, Spawned, State
from mta.ports.spool import LeaseLostError, Spool
from tests.contract.spools import EVERYTHING, LARGE, Open, SettableClock, deferred, delivered, lease, queue_ids
from tests.spool_samples import sample_message

HOPS = ("a", "b")


def copy_of(original: AcceptedMessage, data: bytes = b"a copy", *, key: str = "copy:1") -> Spawned:
    copy = replace(sample_message(data), queue_id=f"{original.queue_id}c", due_at=original.accepted_at)
    return Spawned(copy, (OnceKey(key, period=timedelta(days=30)),))


def files(tmp_path: Path) -> int:
    return len([path for path in (tmp_path / "spool" / "bodies").rglob("*") if path.is_file()])


async def test_a_copy_is_queued_once_for_an_original(spool: Spool, clock: SettableClock, tmp_path: Path) -> None:
    message = sample_message(b"x", hops=HOPS)
    await spool.accept(message)
    for hop in HOPS:
        copy = copy_of(message, LARGE)
        copy = replace(copy, message=replace(copy.message, queue_id=f"copy{hop}"))
        await spool.settle(replace(delivered(message, hop), copies=(copy,)))
    assert await queue_ids(spool) == ["copya"]
    assert files(tmp_path) == 1, "that of the other is gone"
    (leased,) = await lease(spool, clock.pass_(timedelta(minutes=1)))
    assert leased.message.body.path is not None
    assert leased.message.body.path.read_bytes() == LARGE


async def test_siblings_settled_in_one_commit_make_one_copy(spool: Spool) -> None:

    messages = [sample_message(b"x") for _ in range(8)]
    for message in messages:
        await spool.accept(message)
    await asyncio.gather(
        *(spool.settle(replace(delivered(message), copies=(copy_of(message),))) for message in messages)
    )
    assert len(await queue_ids(spool)) == 1


async def test_a_deferred_delivery_may_bring_it_too(spool: Spool, clock: SettableClock) -> None:
    message = sample_message(b"x")
    await spool.accept(message)
    later = clock.now() + timedelta(minutes=5)
    await spool.settle(replace(deferred(message, later), copies=(copy_of(message),)))
    await spool.renew()
    assert sorted(await queue_ids(spool)) == sorted([message.queue_id, f"{message.queue_id}c"])


async def test_who_has_lost_the_lease_leaves_no_copy(spool: Spool, open_spool: Open, tmp_path: Path) -> None:
    message = sample_message(b"x")
    await spool.accept(message)
    other = await open_spool(1)
    with pytest.raises(LeaseLostError):
        await other.settle(replace(delivered(message), copies=(copy_of(message, LARGE),)))
    assert await queue_ids(spool) == [message.queue_id]
    assert files(tmp_path) == 0
    await spool.settle(replace(delivered(message), copies=(copy_of(message),)))
    assert (await spool.count(EVERYTHING)).messages == 1, "its claim is still to be had"


async def test_a_copy_that_was_written_by_the_caller_is_taken_over(spool: Spool, tmp_path: Path) -> None:
    message = sample_message(b"x")
    await spool.accept(message)
    path = spool.spill_path()
    path.write_bytes(LARGE)
    copy = copy_of(message)
    copy = replace(copy, message=replace(copy.message, body=Body(None, path, len(LARGE))))
    await spool.settle(replace(delivered(message), copies=(copy,)))
    body = await spool.read_body(copy.message.queue_id)
    assert body.path is not None
    assert body.path.read_bytes() == LARGE
    final = {0: State.DELIVERED}
    assert await lease_and_settle(spool, copy.message.queue_id, final) == 0
    assert files(tmp_path) == 0


async def lease_and_settle(spool: Spool, queue_id: str, final: dict[int, State]) -> int:
    leased = await spool.lease_due(sample_message(b"").accepted_at + timedelta(days=1), limit=10)
    for delivery in leased:
        await spool.settle(Settlement(queue_id, delivery.next_hop, (), final))
    return (await spool.count(EVERYTHING)).messages
