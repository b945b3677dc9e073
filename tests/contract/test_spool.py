"""What every adapter of the port `Spool` has to do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mta.model.delivery import (
    Body,
    OnceKey,
    RecipientResult,
    Settlement,
    Spawned,
    State,
    StoredVariant,
)
from mta.model.envelope import DsnRequest, Notify
from mta.model.queue import QueueFilter
from mta.model.reply import Reply
from mta.ports.spool import LeaseLostError, Spool
from tests.contract.spools import BUSY, EVERYTHING, LARGE, Open, SettableClock, deferred, delivered, lease, queue_ids
from tests.spool_samples import sample_message

# --- accept, settle --------------------------------------------------------------------------------------------------


async def test_an_accepted_message_is_leased_by_who_accepted_it(spool: Spool, clock: SettableClock) -> None:
    message = sample_message(hops=("a", "b"))
    await spool.accept(message)
    (entry,) = await spool.entries(EVERYTHING)
    assert entry.leased
    assert entry.due_at is None
    assert [recipient.address for recipient in entry.recipients] == list(message.envelope.recipients)
    assert await lease(spool, clock.now()) == []


async def test_what_was_accepted_comes_back_as_it_was(spool: Spool, clock: SettableClock) -> None:
    message = sample_message(b"Subject: y\r\n\r\n\x00\xff", due_at=clock.now(), accepted_at=clock.now())
    await spool.accept(message)
    (taken,) = await lease(spool, clock.now())
    assert taken.message == replace(message, due_at=None)
    assert taken.recipients == message.recipients
    assert (taken.next_hop, taken.attempts, taken.variants) == ("default", 0, ())


async def test_what_a_sender_asked_to_be_told_comes_back(spool: Spool, clock: SettableClock) -> None:
    asked = {
        "r0@default.example.net": DsnRequest(Notify.SUCCESS | Notify.DELAY, "rfc822;r+2B0@example.net"),
        "jürgen@xn--bcher-kva.example": DsnRequest(None, "utf-8;j\\x{FC}rgen@b\\x{FC}cher.example"),
        "quiet@example.net": DsnRequest(Notify.NEVER),
    }
    message = sample_message(due_at=clock.now(), accepted_at=clock.now())
    message = replace(message, envelope=replace(message.envelope, envid="QQ+3D1", ret="HDRS", dsn=asked))
    await spool.accept(message)
    (taken,) = await lease(spool, clock.now())
    assert taken.message.envelope == message.envelope


async def test_what_is_overdue_is_taken_whatever_its_next_hop(spool: Spool, clock: SettableClock) -> None:
    start = clock.now()
    ages = [10, 5, 5, 1, 0]
    messages = []
    for age in ages:
        clock.time = start - timedelta(hours=age)
        messages.append(sample_message(hops=("down",), accepted_at=clock.now(), due_at=clock.now()))
        await spool.accept(messages[-1])
    clock.time = start
    await spool.hold(QueueFilter(queue_id=messages[2].queue_id))
    (later,) = (each for each in await lease(spool, start) if each.message.queue_id == messages[3].queue_id)
    for each in messages[:2]:
        await spool.settle(replace(deferred(each, start, "down"), warned=each is messages[0]))

    async def overdue(late: float, expired: float, next_hop: str = "down") -> list[str]:
        since = start - timedelta(hours=late), start - timedelta(hours=expired)
        taken = await spool.lease_overdue(next_hop, start, late_since=since[0], expired_since=since[1], limit=10)
        for each in taken:
            await spool.give_back(each.message.queue_id, each.next_hop, start)
        return [each.message.queue_id for each in taken]

    assert later.attempts == 0
    assert await overdue(4, 48) == [messages[1].queue_id], "warned, held, leased and young ones are left"
    assert sorted(await overdue(4, 8)) == sorted([messages[0].queue_id, messages[1].queue_id])
    assert await overdue(4, 8, "other") == []
    assert await overdue(48, 48) == []


async def test_that_a_sender_was_warned_is_remembered_for_each_delivery(spool: Spool, clock: SettableClock) -> None:
    message = sample_message(hops=("a", "a", "b"), due_at=clock.now(), accepted_at=clock.now())
    await spool.accept(message)
    assert [taken.is_warned for taken in await lease(spool, clock.now())] == [False, False]
    await spool.settle(replace(deferred(message, clock.now(), "a"), warned=True))
    await spool.settle(deferred(message, clock.now(), "b"))
    assert {taken.next_hop: taken.is_warned for taken in await lease(spool, clock.now())} == {"a": True, "b": False}
    await spool.settle(deferred(message, clock.now(), "a"))
    await spool.hold(QueueFilter(recipient="r0@a.example.net"))
    await spool.release(EVERYTHING)
    for _ in range(2):  # what was held and released is a delivery of its own
        (taken,) = [each for each in await lease(spool, clock.now()) if each.next_hop == "a"]
        assert taken.is_warned
        await spool.settle(
            Settlement(message.queue_id, "a", (), {entry.index: State.DELIVERED for entry in taken.recipients})
        )


async def test_a_null_reverse_path_and_our_own_messages_come_back(spool: Spool, clock: SettableClock) -> None:
    message = replace(sample_message(sender=None, due_at=clock.now(), accepted_at=clock.now()), client=None)
    await spool.accept(message)
    (taken,) = await lease(spool, clock.now())
    assert taken.message == replace(message, due_at=None)


async def test_a_settled_message_is_gone_with_its_body(spool: Spool) -> None:
    message = sample_message()
    await spool.accept(message)
    await spool.settle(delivered(message))
    assert await spool.entries(EVERYTHING) == []
    with pytest.raises(KeyError):
        await spool.read_body(message.queue_id)


async def test_a_message_stays_until_its_last_delivery_is_settled(spool: Spool) -> None:
    message = sample_message(hops=("a", "b"))
    await spool.accept(message)
    await spool.settle(delivered(message, "a"))
    (entry,) = await spool.entries(EVERYTHING)
    assert [recipient.next_hop for recipient in entry.recipients] == ["b"]
    await spool.settle(delivered(message, "b"))
    assert await queue_ids(spool) == []


async def test_two_deliveries_settled_at_the_same_moment_take_the_message_along(spool: Spool) -> None:
    message = sample_message(LARGE, hops=("a", "b"))
    await spool.accept(message)
    path = (await spool.read_body(message.queue_id)).path
    await asyncio.gather(spool.settle(delivered(message, "a")), spool.settle(delivered(message, "b")))
    assert await queue_ids(spool) == []
    assert path is not None
    assert not path.exists()


async def test_recipients_that_are_not_settled_are_tried_again_with_the_same_bytes(
    spool: Spool, clock: SettableClock
) -> None:
    message = sample_message(hops=("a", "a", "a"))
    await spool.accept(message)
    due_at = clock.now() + timedelta(minutes=5)
    edits = tuple(StoredVariant(group, ((0, 0, b"X: %d\r\n" % group), (5, 9, b""))) for group in range(3))
    results = [
        RecipientResult(0, message.recipients[0].address, Reply(250, "2.0.0", "Ok")),
        RecipientResult(2, message.recipients[2].address, BUSY, remote_reply="451 4.7.1 greylisted"),
    ]
    await spool.settle(Settlement(message.queue_id, "a", results, {0: State.DELIVERED}, due_at, edits))
    assert await lease(spool, clock.now()) == []
    (taken,) = await lease(spool, due_at)
    assert [(entry.index, entry.last_reply) for entry in taken.recipients] == [(1, ""), (2, "451 4.7.1 greylisted")]
    assert taken.attempts == 1
    assert taken.variants == edits[1:]


async def test_variants_that_are_stored_stay_as_they_are(spool: Spool, clock: SettableClock) -> None:
    message = sample_message()
    await spool.accept(message)
    for text in (b"first", b"second"):
        variant = StoredVariant(0, ((0, 0, text),))
        await spool.settle(replace(deferred(message, clock.now()), variants=(variant,)))
        (taken,) = await lease(spool, clock.now())
    assert taken.attempts == 2
    assert taken.variants == (StoredVariant(0, ((0, 0, b"first"),)),)


async def test_a_settlement_without_a_time_for_those_who_stay_makes_them_due_at_once(
    spool: Spool, clock: SettableClock
) -> None:
    message = sample_message()
    await spool.accept(message)
    await spool.settle(Settlement(message.queue_id, "default", ()))
    assert len(await lease(spool, clock.now())) == 1


async def test_what_follows_from_a_settlement_is_queued_with_it(spool: Spool, clock: SettableClock) -> None:
    message, notice = sample_message(), sample_message(LARGE, sender=None, due_at=clock.now())
    await spool.accept(message)
    final = {0: State.FAILED}
    await spool.settle(Settlement(message.queue_id, "default", (), final, spawned=(notice,)))
    assert await queue_ids(spool) == [notice.queue_id]
    (taken,) = await lease(spool, clock.now())
    assert taken.message.queue_id == notice.queue_id


async def test_a_refused_settlement_queues_nothing(spool: Spool, clock: SettableClock) -> None:
    notice = sample_message(LARGE, due_at=clock.now())
    with pytest.raises(LeaseLostError):
        await spool.settle(Settlement("nobody", "default", (), {0: State.FAILED}, spawned=(notice,)))
    assert await queue_ids(spool) == []


async def test_recipients_that_are_final_already_are_not_stored(spool: Spool) -> None:
    message = sample_message(hops=("a", "a"), states=(State.DROPPED, State.QUEUED))
    await spool.accept(message)
    (entry,) = await spool.entries(EVERYTHING)
    assert [recipient.index for recipient in entry.recipients] == [1]
    await spool.accept(sample_message(states=(State.DROPPED,)))
    assert await queue_ids(spool) == [message.queue_id]


async def test_many_at_once_are_all_there(spool: Spool) -> None:
    messages = [sample_message(bytes([number % 256]) * 100, hops=("a", "b")) for number in range(300)]
    await asyncio.gather(*(spool.accept(message) for message in messages))
    assert set(await queue_ids(spool)) == {message.queue_id for message in messages}
    bodies = await asyncio.gather(*(spool.read_body(message.queue_id) for message in messages))
    assert [body.data for body in bodies] == [message.body.data for message in messages]
    await asyncio.gather(*(spool.settle(delivered(message, hop)) for message in messages for hop in ("a", "b")))
    assert await queue_ids(spool) == []


async def test_a_message_with_a_thousand_recipients_is_kept_whole(spool: Spool, clock: SettableClock) -> None:
    message = sample_message(hops=("a",) * 1000, due_at=clock.now())
    await spool.accept(message)
    (taken,) = await lease(spool, clock.now())
    assert taken.recipients == message.recipients
    final = dict.fromkeys(range(999), State.DELIVERED)
    await spool.settle(Settlement(message.queue_id, "a", (), final, clock.now()))
    ((taken),) = await lease(spool, clock.now())
    assert [entry.index for entry in taken.recipients] == [999]


# --- bodies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 128_000, 128_001, 1_000_000])
async def test_bodies_of_all_sizes_come_back(spool: Spool, size: int) -> None:
    data = (LARGE * (size // len(LARGE) + 1))[:size]
    message = sample_message(data)
    await spool.accept(message)
    assert _bytes(await spool.read_body(message.queue_id)) == data


async def test_a_spilled_body_is_taken_over_where_it_is(spool: Spool, clock: SettableClock) -> None:
    path = spool.spill_path()
    path.write_bytes(LARGE)
    message = sample_message(path=path, due_at=clock.now())
    await spool.accept(message)
    (taken,) = await lease(spool, clock.now())
    assert _bytes(taken.message.body) == LARGE
    await spool.settle(delivered(message))
    assert not path.exists()


def _bytes(body: Body) -> bytes:
    return body.data if body.data is not None else body.path.read_bytes() if body.path else b"neither"


# --- claims, and what is spawned -------------------------------------------------------------------------------------


def keys(*names: str) -> tuple[OnceKey, ...]:
    return tuple(OnceKey(name) for name in names)


async def test_a_key_is_claimed_once(open_spool: Open, clock: SettableClock) -> None:
    one, other = await open_spool(0), await open_spool(1)
    assert (await one.accept(sample_message(claims=keys("track:1", "archive:1")))).claimed == {"track:1", "archive:1"}
    assert (await other.accept(sample_message(claims=keys("track:1", "track:2")))).claimed == {"track:2"}
    both = await asyncio.gather(*(one.accept(sample_message(claims=keys("same"))) for _ in range(5)))
    assert sorted(len(accepted.claimed) for accepted in both) == [0, 0, 0, 0, 1]


async def test_whether_a_key_is_claimed_can_be_asked(open_spool: Open, clock: SettableClock) -> None:
    one, other = await open_spool(0), await open_spool(1)
    assert await one.claimed(["a", "b"]) == frozenset()
    assert await one.claimed([]) == frozenset()
    await one.accept(sample_message(claims=keys("a", "c")))
    assert await other.claimed(["a", "b"]) == {"a"}
    clock.pass_(timedelta(days=8))
    assert await other.claimed(["a"]) == frozenset()


async def test_a_claim_expires(spool: Spool, clock: SettableClock) -> None:
    await spool.accept(sample_message(claims=keys("key")))
    clock.pass_(timedelta(days=6))
    assert (await spool.accept(sample_message(claims=keys("key")))).claimed == frozenset()
    clock.pass_(timedelta(days=2))
    assert (await spool.accept(sample_message(claims=keys("key")))).claimed == {"key"}


async def test_whatever_period_one_looks_at_no_more_than_the_limit_are_granted(
    spool: Spool, clock: SettableClock
) -> None:
    begin = clock.now()
    granted: list[timedelta] = []
    for _ in range(60):
        accepted = await spool.accept(sample_message(claims=(OnceKey("often", 3, timedelta(minutes=10)),)))
        if accepted.claimed:
            granted.append(clock.now() - begin)
        clock.pass_(timedelta(seconds=50))
    assert granted[:3] == [timedelta(), timedelta(seconds=50), timedelta(seconds=100)]
    assert len(granted) >= 12
    assert all(later - sooner >= timedelta(minutes=10) for sooner, later in zip(granted, granted[3:], strict=False))


async def test_claims_outlive_the_process(open_spool: Open, clock: SettableClock) -> None:
    first = await open_spool(0)
    await first.accept(sample_message(claims=keys("kept")))
    await first.close()
    assert not (await (await open_spool(0)).accept(sample_message(claims=keys("kept")))).claimed


def child(*claims: OnceKey, body: Body | None = None, due_at: datetime | None = None) -> Spawned:
    message = sample_message(b"Subject: spawned\r\n\r\n", due_at=due_at or datetime.now(UTC))
    return Spawned(replace(message, body=body) if body is not None else message, claims)


async def test_a_message_brings_what_it_spawned(spool: Spool, clock: SettableClock) -> None:
    spawned = (child(due_at=clock.now()), child(*keys("once"), due_at=clock.now()))
    parent = sample_message(spawned=spawned)
    accepted = await spool.accept(parent)
    assert accepted.spawned == {each.message.queue_id for each in spawned}
    leased = {delivery.message.queue_id: delivery for delivery in await lease(spool, clock.now())}
    assert leased.keys() == accepted.spawned
    assert all(_bytes(delivery.message.body) == b"Subject: spawned\r\n\r\n" for delivery in leased.values())


async def test_what_was_done_for_a_sibling_is_not_done_again(open_spool: Open, clock: SettableClock) -> None:
    workers = [await open_spool(0), await open_spool(1)]
    messages = [sample_message(spawned=(child(*keys("archive")),)) for _ in range(8)]
    done = await asyncio.gather(*(workers[n % 2].accept(message) for n, message in enumerate(messages)))
    assert sorted(len(accepted.spawned) for accepted in done) == [0] * 7 + [1]
    queued = {entry.queue_id for entry in await workers[0].entries(EVERYTHING)}
    assert queued == {message.queue_id for message in messages} | {name for each in done for name in each.spawned}


async def test_who_lacks_one_claim_takes_none(spool: Spool) -> None:
    await spool.accept(sample_message(claims=keys("taken")))
    refused = await spool.accept(sample_message(spawned=(child(*keys("free", "taken")),)))
    assert not refused.spawned
    assert (await spool.accept(sample_message(claims=keys("free")))).claimed == {"free"}


async def test_a_limit_is_counted_within_one_message_too(spool: Spool) -> None:
    cap = OnceKey("cap", 2)
    accepted = await spool.accept(sample_message(spawned=tuple(child(cap) for _ in range(5))))
    assert len(accepted.spawned) == 2


async def test_a_spawned_message_may_share_its_parents_file(spool: Spool, clock: SettableClock) -> None:
    path = spool.spill_path()
    path.write_bytes(LARGE)
    parent = sample_message(path=path)
    first, second = child(body=parent.body), child(*keys("x"), body=parent.body)
    await spool.accept(replace(parent, spawned=(first, second)))
    await spool.settle(delivered(parent))
    assert not path.exists()
    for taken in await lease(spool, clock.now() + timedelta(minutes=1)):
        assert _bytes(taken.message.body) == LARGE
        await spool.settle(delivered(taken.message))
        assert taken.message.body.path is not None
        assert not taken.message.body.path.exists()


async def test_a_message_that_nobody_gets_still_brings_what_it_spawned(spool: Spool, clock: SettableClock) -> None:
    path = spool.spill_path()
    path.write_bytes(LARGE)
    spawned = child(due_at=clock.now())
    accepted = await spool.accept(sample_message(path=path, states=(State.DROPPED,), spawned=(spawned,)))
    assert accepted.spawned == {spawned.message.queue_id}
    assert not path.exists()
    assert [entry.queue_id for entry in await spool.entries(EVERYTHING)] == [spawned.message.queue_id]


async def test_the_body_of_what_is_not_queued_leaves_no_file(spool: Spool, clock: SettableClock) -> None:
    await spool.accept(sample_message(claims=keys("had")))
    spill = spool.spill_path()
    spill.write_bytes(LARGE)
    parent = sample_message(path=spill)
    spawned = (child(*keys("had"), body=parent.body), child(*keys("had"), body=Body.of(LARGE)))
    await spool.accept(replace(parent, spawned=spawned))
    assert [path for path in spill.parent.parent.rglob("*") if path.is_file()] == [spill]


# --- leases ----------------------------------------------------------------------------------------------------------


async def test_the_oldest_due_come_first_and_no_more_than_the_limit(spool: Spool, clock: SettableClock) -> None:
    now = clock.now()
    messages = [sample_message(hops=(f"h{n % 3}",), due_at=now - timedelta(seconds=(n * 7) % 20)) for n in range(20)]
    for message in messages:
        await spool.accept(message)
    expected = sorted(messages, key=lambda message: message.due_at or now)
    taken = await spool.lease_due(now, limit=8)
    assert [delivery.message.queue_id for delivery in taken] == [message.queue_id for message in expected[:8]]
    rest = await lease(spool, now)
    assert len(rest) == 12


async def test_no_next_hop_starves_another_and_blocked_ones_are_passed_over(spool: Spool, clock: SettableClock) -> None:
    now = clock.now()
    for number in range(30):
        await spool.accept(sample_message(hops=("slow",), due_at=now - timedelta(hours=2, seconds=number)))
        await spool.accept(sample_message(hops=("dead",), due_at=now - timedelta(hours=3, seconds=number)))
    await spool.accept(sample_message(hops=("quick",), due_at=now))
    taken = await spool.lease_due(now, limit=20, blocked={"dead"}, per_next_hop=5)
    assert [delivery.next_hop for delivery in taken] == ["slow"] * 5 + ["quick"]


async def test_senders_take_turns_where_more_is_due_than_is_taken(spool: Spool, clock: SettableClock) -> None:
    now = clock.now()
    for number in range(40):
        await spool.accept(sample_message(sender="bulk@example.com", due_at=now - timedelta(hours=2, seconds=number)))
    for number in range(3):
        await spool.accept(sample_message(sender="jane@example.com", due_at=now - timedelta(minutes=number)))
    await spool.accept(sample_message(sender=None, due_at=now))
    taken = [await spool.lease_due(now, limit=10, per_next_hop=5) for _ in range(2)]
    senders = [[str(delivery.message.envelope.reverse_path or "") for delivery in each] for each in taken]
    assert [sorted(set(each)) for each in senders] == [
        ["", "bulk@example.com", "jane@example.com"],
        ["bulk@example.com", "jane@example.com"],
    ]


async def test_a_leased_delivery_is_nobody_elses(open_spool: Open, clock: SettableClock) -> None:
    one, other = await open_spool(0), await open_spool(1)
    for _ in range(20):
        await one.accept(sample_message(due_at=clock.now()))
    taken = await asyncio.gather(lease(one, clock.now()), lease(other, clock.now()))
    ids = [delivery.message.queue_id for deliveries in taken for delivery in deliveries]
    assert len(ids) == len(set(ids)) == 20


async def test_a_lease_that_ran_out_is_due_and_its_holder_has_lost_it(open_spool: Open, clock: SettableClock) -> None:
    slow, other = await open_spool(0), await open_spool(1)
    message = sample_message()
    await slow.accept(message)
    later = clock.pass_(timedelta(minutes=11))
    (taken,) = await lease(other, later)
    assert taken.attempts == 0
    with pytest.raises(LeaseLostError):
        await slow.settle(delivered(message))
    assert await queue_ids(slow) == [message.queue_id]
    await other.settle(delivered(message))
    assert await queue_ids(slow) == []


async def test_a_lease_that_ran_out_still_holds_until_somebody_takes_it(spool: Spool, clock: SettableClock) -> None:
    message = sample_message()
    await spool.accept(message)
    clock.pass_(timedelta(minutes=11))
    await spool.settle(delivered(message))
    assert await queue_ids(spool) == []


async def test_renewing_prolongs_the_leases(open_spool: Open, clock: SettableClock) -> None:
    one, other = await open_spool(0), await open_spool(1)
    await one.accept(sample_message())
    clock.pass_(timedelta(minutes=9))
    await one.renew()
    assert await lease(other, clock.pass_(timedelta(minutes=9))) == []
    assert len(await lease(other, clock.pass_(timedelta(minutes=2)))) == 1


async def test_a_lease_given_back_is_due_when_asked_and_counts_no_attempt(spool: Spool, clock: SettableClock) -> None:
    message = sample_message()
    await spool.accept(message)
    due_at = clock.now() + timedelta(seconds=30)
    await spool.give_back(message.queue_id, "default", due_at)
    assert await lease(spool, clock.now()) == []
    (taken,) = await lease(spool, due_at)
    assert taken.attempts == 0


async def test_a_lease_that_is_lost_cannot_be_given_back(open_spool: Open, clock: SettableClock) -> None:
    one, other = await open_spool(0), await open_spool(1)
    message = sample_message()
    await one.accept(message)
    later = clock.pass_(timedelta(minutes=11))
    await lease(other, later)
    await one.give_back(message.queue_id, "default", later)
    assert await lease(one, later) == []


async def test_a_settlement_is_taken_once(spool: Spool) -> None:
    message = sample_message()
    await spool.accept(message)
    outcomes = await asyncio.gather(*(spool.settle(delivered(message)) for _ in range(2)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), LeaseLostError]


async def test_what_a_worker_had_leased_is_due_at_once_when_it_starts_again(
    open_spool: Open, clock: SettableClock
) -> None:
    one, other = await open_spool(0), await open_spool(1)
    mine, theirs = sample_message(), sample_message()
    await one.accept(mine)
    await other.accept(theirs)
    await one.close()
    again = await open_spool(0)
    assert [delivery.message.queue_id for delivery in await lease(again, clock.now())] == [mine.queue_id]
    await other.settle(delivered(theirs))


async def test_what_a_worker_that_is_gone_for_good_had_leased_is_due_too(
    open_spool: Open, clock: SettableClock
) -> None:
    gone = await open_spool(3)
    message = sample_message()
    await gone.accept(message)
    await gone.close()
    assert len(await lease(await open_spool(0), clock.now())) == 1
