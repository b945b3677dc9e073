"""What every adapter of the port `Spool` has to do for administrators."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from mta.model.address import Address
from mta.model.delivery import OF_DOMAIN, VERIFIED_TLS, AcceptedMessage, RecipientResult, Settlement, State
from mta.model.queue import Breakdown, Draining, FrozenHop, QueueCount, QueueFilter
from mta.ports.spool import Spool
from tests.contract.spools import BUSY, EVERYTHING, LARGE, Open, SettableClock, deferred, delivered, lease, queue_ids
from tests.spool_samples import sample_message


def message_for(next_hop: str, clock: SettableClock) -> AcceptedMessage:
    """A message that is due for one next hop, whatever its name."""
    message = sample_message(due_at=clock.now())
    return replace(message, recipients=(replace(message.recipients[0], next_hop=next_hop),))


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        (EVERYTHING, [0, 1, 2]),
        (QueueFilter(sender="JANE@example.com"), [0, 2]),
        (QueueFilter(sender="<>"), [1]),
        (QueueFilter(sender="*@example.com"), [0, 2]),
        (QueueFilter(sender="jan_@example.com"), []),
        (QueueFilter(recipient="r1@b.example.net"), [2]),
        (QueueFilter(recipient="*@b.*"), [1, 2]),
        (QueueFilter(next_hop="a"), [0, 2]),
        (QueueFilter(state=State.HELD), [2]),
        (QueueFilter(state=State.QUEUED), [0, 1]),
        (QueueFilter(state=State.DELIVERED), []),
        (QueueFilter(older_than_s=3600), [0]),
        (QueueFilter(sender="*@example.com", next_hop="b"), [2]),
        (QueueFilter(queue_id="none"), []),
    ],
)
async def test_filters(open_spool: Open, clock: SettableClock, which: QueueFilter, numbers: list[int]) -> None:
    spool = await open_spool(0)
    messages = [
        sample_message(hops=("a",), accepted_at=clock.now() - timedelta(hours=2)),
        sample_message(hops=("b",), sender=None, accepted_at=clock.now()),
        sample_message(hops=("a", "b"), states=(State.HELD, State.HELD), accepted_at=clock.now()),
    ]
    for message in messages:
        await spool.accept(message)
    administrator = await open_spool(None)
    assert await queue_ids(administrator, which) == [messages[number].queue_id for number in numbers]


async def test_a_next_hops_mail_is_also_what_goes_there_over_tls_alone(open_spool: Open, clock: SettableClock) -> None:
    spool = await open_spool(0)
    message = sample_message(hops=("a", "ab"), accepted_at=clock.now(), due_at=clock.now())
    first, second = message.recipients
    message = replace(message, recipients=(replace(first, next_hop="a" + VERIFIED_TLS), second))
    await spool.accept(message)
    administrator = await open_spool(None)
    assert await queue_ids(administrator, QueueFilter(next_hop="a")) == [message.queue_id]
    assert await administrator.hold(QueueFilter(next_hop="a")) == 1


async def test_listing_shows_attempts_times_and_replies(open_spool: Open, clock: SettableClock) -> None:
    spool = await open_spool(0)
    message = sample_message(b"12345", accepted_at=clock.now())
    await spool.accept(message)
    due_at = clock.now() + timedelta(minutes=5)
    await spool.settle(deferred(message, due_at))
    (entry,) = await (await open_spool(None)).entries(QueueFilter(queue_id=message.queue_id))
    assert (entry.attempts, entry.due_at, entry.leased, entry.size_octets) == (1, due_at, False, 5)
    assert (entry.reverse_path, entry.message_id) == ("jane@example.com", "<a1@example.com>")
    assert entry.accepted_at == clock.now()
    assert entry.recipients[0].last_reply == str(BUSY)


async def test_listing_stops_at_its_limit(spool: Spool) -> None:
    for _ in range(5):
        await spool.accept(sample_message())
    assert len(await spool.entries(EVERYTHING, limit=3)) == 3


async def test_loading_a_message_leases_nothing(open_spool: Open, clock: SettableClock) -> None:
    spool, administrator = await open_spool(0), await open_spool(None)
    message = sample_message(hops=("a", "b"), due_at=clock.now(), accepted_at=clock.now())
    await spool.accept(message)
    loaded = await administrator.load(message.queue_id)
    assert loaded is not None
    assert loaded.message == replace(message, due_at=None)
    assert loaded.recipients == message.recipients
    assert len(await lease(spool, clock.now())) == 2
    assert await administrator.load("none") is None


async def test_retrying_makes_due_what_waits_and_leaves_alone_what_is_leased(
    open_spool: Open, clock: SettableClock
) -> None:
    spool, administrator = await open_spool(0), await open_spool(None)
    waits, leased = sample_message(due_at=clock.now() + timedelta(hours=1)), sample_message()
    await spool.accept(waits)
    await spool.accept(leased)
    assert await administrator.retry_now(EVERYTHING) == 1
    (taken,) = await lease(spool, clock.now())
    assert taken.message.queue_id == waits.queue_id
    await spool.settle(delivered(leased))


async def test_holding_and_releasing(open_spool: Open, clock: SettableClock) -> None:
    spool, administrator = await open_spool(0), await open_spool(None)
    await spool.accept(sample_message(due_at=clock.now()))
    assert await administrator.hold(EVERYTHING) == 1
    assert await administrator.hold(EVERYTHING) == 0
    assert await administrator.retry_now(EVERYTHING) == 0
    assert await lease(spool, clock.now()) == []
    assert await administrator.release(EVERYTHING) == 1
    assert len(await lease(spool, clock.now())) == 1


async def test_holding_until_a_time(open_spool: Open, clock: SettableClock) -> None:
    spool = await open_spool(0)
    await spool.accept(sample_message(due_at=clock.now()))
    until = clock.now() + timedelta(hours=1)
    await spool.hold(EVERYTHING, until)
    assert await lease(spool, until - timedelta(seconds=1)) == []
    assert len(await lease(spool, until)) == 1


async def test_one_recipient_can_be_held_and_released_alone(open_spool: Open, clock: SettableClock) -> None:
    spool, administrator = await open_spool(0), await open_spool(None)
    message = sample_message(hops=("a", "a", "a"), due_at=clock.now())
    await spool.accept(message)
    one = QueueFilter(recipient=str(message.recipients[1].address))
    assert await administrator.hold(one) == 1
    (taken,) = await lease(spool, clock.now())
    assert [entry.index for entry in taken.recipients] == [0, 2]
    await spool.settle(delivered(message, "a"))
    assert await administrator.release(one) == 1
    (taken,) = await lease(spool, clock.now())
    assert [entry.index for entry in taken.recipients] == [1]


async def test_retrying_one_recipient_counts_its_delivery_once(open_spool: Open, clock: SettableClock) -> None:
    spool = await open_spool(0)
    message = sample_message(hops=("a", "a"), due_at=clock.now() + timedelta(hours=1))
    await spool.accept(message)
    assert await spool.retry_now(QueueFilter(recipient=str(message.recipients[0].address))) == 1
    (taken,) = await lease(spool, clock.now())
    assert len(taken.recipients) == 2


async def test_deleting_takes_messages_with_their_bodies(open_spool: Open, clock: SettableClock) -> None:
    spool, administrator = await open_spool(0), await open_spool(None)
    message, leased = sample_message(LARGE, due_at=clock.now()), sample_message()
    await spool.accept(message)
    await spool.accept(leased)
    path = (await spool.read_body(message.queue_id)).path
    assert await administrator.delete(EVERYTHING) == 1
    assert await queue_ids(spool) == [leased.queue_id]
    assert path is not None
    assert not path.exists()


async def test_deleting_one_recipient_leaves_the_others(open_spool: Open, clock: SettableClock) -> None:
    spool = await open_spool(0)
    message = sample_message(hops=("a", "a", "b"), due_at=clock.now())
    await spool.accept(message)
    assert await spool.delete(QueueFilter(recipient=str(message.recipients[0].address))) == 1
    (entry,) = await spool.entries(EVERYTHING)
    assert [recipient.index for recipient in entry.recipients] == [1, 2]


async def test_a_long_queue_is_worked_whole(open_spool: Open, clock: SettableClock) -> None:
    spool = await open_spool(0)
    await asyncio.gather(*(spool.accept(sample_message(due_at=clock.now())) for _ in range(450)))
    assert await spool.hold(EVERYTHING) == 450
    assert await spool.release(EVERYTHING) == 450
    assert await spool.delete(EVERYTHING) == 450
    assert await queue_ids(spool) == []


async def test_each_transaction_tells_which_messages_it_changed(open_spool: Open, clock: SettableClock) -> None:
    spool = await open_spool(0)
    messages = [sample_message(hops=("a", "b"), due_at=clock.now()) for _ in range(150)]
    await asyncio.gather(*map(spool.accept, messages))
    told: list[str] = []
    sizes: list[int] = []

    def tell(some: object) -> None:
        assert isinstance(some, tuple)
        told.extend(some)
        sizes.append(len(some))

    assert await spool.hold(EVERYTHING, tell=tell) == 300
    assert set(told) == {message.queue_id for message in messages}
    assert len(sizes) > 1


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        (QueueFilter(younger_than_s=3600), [1]),
        (QueueFilter(larger_than=100), [1]),
        (QueueFilter(smaller_than=100), [0]),
        (QueueFilter(message_id="<one@example.com>"), [0]),
        (QueueFilter(message_id="*@EXAMPLE.com>"), [0, 1]),
        (QueueFilter(reply="4.3.2"), [0]),
        (QueueFilter(reply="TRY LATER"), [0]),
        (QueueFilter(reply="%"), []),
        (QueueFilter(reply="4.3.2", recipient="r0@*"), [0]),
        (QueueFilter(reply="4.3.2", recipient="r1@*"), []),
    ],
)
async def test_more_filters(open_spool: Open, clock: SettableClock, which: QueueFilter, numbers: list[int]) -> None:
    spool = await open_spool(0)
    old, new = clock.now() - timedelta(hours=2), clock.now()
    messages = [
        replace(sample_message(b"1", hops=("a", "a"), accepted_at=old), message_id="<one@example.com>"),
        replace(sample_message(b"2" * 101, accepted_at=new), message_id="<two@example.com>"),
    ]
    for message in messages:
        await spool.accept(message)
    result = RecipientResult(0, messages[0].recipients[0].address, BUSY)
    await spool.settle(Settlement(messages[0].queue_id, "a", (result,), due_at=clock.now()))
    assert await queue_ids(spool, which) == [messages[number].queue_id for number in numbers]


async def test_what_came_since_an_order_was_given_is_not_meant_by_it(open_spool: Open, clock: SettableClock) -> None:
    spool = await open_spool(0)
    await spool.accept(sample_message(accepted_at=clock.now(), due_at=clock.now()))
    order = QueueFilter(accepted_by=clock.now())
    clock.pass_(timedelta(seconds=1))
    await spool.accept(sample_message(accepted_at=clock.now(), due_at=clock.now()))
    assert await spool.hold(order) == 1
    assert await spool.hold(replace(order, older_than_s=10)) == 0


async def test_a_domain_behind_an_mx_hop_is_found_by_the_hops_name(open_spool: Open, clock: SettableClock) -> None:
    spool = await open_spool(0)
    names = ("direct/example.net", "direct/example.org+tls", "directory", "direct")
    for name in names:
        await spool.accept(message_for(name, clock))
    assert len(await queue_ids(spool, QueueFilter(next_hop="direct"))) == 3
    assert len(await queue_ids(spool, QueueFilter(next_hop="direct/example.org"))) == 1
    assert len(await queue_ids(spool, QueueFilter(next_hop="direct/example"))) == 0


async def test_counting(open_spool: Open, clock: SettableClock) -> None:
    spool = await open_spool(0)
    await spool.accept(sample_message(b"12345", hops=("a", "a", "b"), due_at=clock.now()))
    await spool.accept(sample_message(b"123", hops=("a",)))
    assert await spool.count(EVERYTHING) == QueueCount(messages=2, deliveries=3, recipients=4, octets=8, leased=1)
    one = QueueFilter(recipient="r0@*", next_hop="a")
    assert await spool.count(one) == QueueCount(messages=2, deliveries=2, recipients=2, octets=8, leased=1)
    assert await spool.count(QueueFilter(queue_id="none")) == QueueCount()


async def test_a_summary_has_a_row_for_each_next_hop_with_ages(open_spool: Open, clock: SettableClock) -> None:
    spool = await open_spool(0)
    old = clock.now() - timedelta(days=2)
    await spool.accept(sample_message(b"12345", hops=("a", "a", "b"), due_at=clock.now(), accepted_at=old))
    await spool.accept(sample_message(b"1", hops=("a",), accepted_at=clock.now()))
    await spool.accept(sample_message(b"1", hops=("b",), states=(State.HELD,), accepted_at=clock.now()))
    first, second = await spool.summary(EVERYTHING, Breakdown.NEXT_HOP)
    assert (first.key, first.recipients, first.messages, first.octets) == ("a", 3, 2, 6)
    assert (first.held, first.leased, first.oldest_at) == (0, 1, old)
    assert (first.ages[0], first.ages[-1], sum(first.ages)) == (1, 2, 3)
    assert (second.key, second.recipients, second.held) == ("b", 2, 1)


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        (Breakdown.DOMAIN, {"a.example.net": 1, "b.example.net": 2}),
        (Breakdown.SENDER, {"jane@example.com": 2, "<>": 1}),
        (Breakdown.SENDER_DOMAIN, {"example.com": 2, "<>": 1}),
        (Breakdown.STATE, {"queued": 2, "held": 1}),
        (Breakdown.REPLY, {"-": 2, "4.3.2": 1}),
    ],
)
async def test_summaries(open_spool: Open, clock: SettableClock, by: Breakdown, keys: dict[str, int]) -> None:
    spool = await open_spool(0)
    await spool.accept(sample_message(hops=("a", "b"), states=(State.QUEUED, State.HELD)))
    await spool.accept(sample_message(hops=("b",), sender=None, due_at=clock.now()))
    (taken,) = await lease(spool, clock.now())
    await spool.settle(deferred(taken.message, clock.now(), "b"))
    assert {row.key: row.recipients for row in await spool.summary(EVERYTHING, by)} == keys


# --- held ------------------------------------------------------------------------------------------------------------


async def test_held_recipients_wait_apart_from_queued_ones(spool: Spool, clock: SettableClock) -> None:
    message = sample_message(hops=("a", "a"), states=(State.QUEUED, State.HELD))
    await spool.accept(message)
    await spool.settle(Settlement(message.queue_id, "a", (), {0: State.DELIVERED}))
    assert await lease(spool, clock.now()) == []
    (entry,) = await spool.entries(QueueFilter(state=State.HELD))
    assert [(r.index, r.state) for r in entry.recipients] == [(1, State.HELD)]
    assert await spool.release(EVERYTHING) == 1
    (taken,) = await lease(spool, clock.now())
    assert [(r.index, r.state) for r in taken.recipients] == [(1, State.QUEUED)]


async def test_a_hold_that_ran_out_is_due_as_held(spool: Spool, clock: SettableClock) -> None:
    await spool.accept(sample_message(states=(State.HELD,), accepted_at=clock.now()))
    clock.pass_(timedelta(days=6))
    assert await lease(spool, clock.now()) == []
    (taken,) = await lease(spool, clock.pass_(timedelta(days=1)))
    assert [recipient.state for recipient in taken.recipients] == [State.HELD]


async def test_two_deliveries_of_one_message_for_one_next_hop_are_never_leased_together(
    spool: Spool, clock: SettableClock
) -> None:
    message = sample_message(hops=("a", "a"), states=(State.QUEUED, State.HELD))
    await spool.accept(message)
    assert await spool.release(EVERYTHING) == 1
    assert await lease(spool, clock.now()) == []
    await spool.settle(deferred(message, clock.now(), "a"))
    first = await lease(spool, clock.now())
    assert len(first) == 1
    await spool.settle(Settlement(message.queue_id, "a", (), {first[0].recipients[0].index: State.DELIVERED}))
    (second,) = await lease(spool, clock.now())
    assert {first[0].recipients[0].index, second.recipients[0].index} == {0, 1}


# --- another way -----------------------------------------------------------------------------------------------------


async def test_what_is_rerouted_starts_anew_and_what_is_held_stays_so(open_spool: Open, clock: SettableClock) -> None:
    spool, administrator = await open_spool(0), await open_spool(None)
    message = sample_message(hops=("a", "b", "a"), states=(State.QUEUED, State.QUEUED, State.HELD))
    await spool.accept(message)
    await spool.settle(Settlement(message.queue_id, "a", (), due_at=clock.now() + timedelta(hours=1)))
    assert await administrator.reroute(QueueFilter(next_hop="a"), lambda recipient: "c") == 2
    assert await administrator.reroute(QueueFilter(), lambda recipient: "c") == 0, "b is leased, c goes there already"
    (taken,) = await lease(spool, clock.now())
    assert (taken.next_hop, taken.attempts, [entry.index for entry in taken.recipients]) == ("c", 0, [0])
    assert await administrator.release(EVERYTHING) == 1
    await spool.settle(Settlement(message.queue_id, "c", (), {0: State.DELIVERED}))
    (released,) = await lease(spool, clock.now())
    assert (released.next_hop, released.recipients[0].index) == ("c", 2)


async def test_recipients_of_several_domains_part_where_the_new_hop_delivers_by_domain(
    open_spool: Open, clock: SettableClock
) -> None:
    spool = await open_spool(0)
    message = sample_message(hops=("a", "a", "a"), due_at=clock.now())
    others = (replace(message.recipients[0], address=Address("x", "example.org")), *message.recipients[1:])
    await spool.accept(replace(message, recipients=others))
    assert await spool.reroute(EVERYTHING, lambda recipient: f"mx{OF_DOMAIN}{recipient.domain_key}") == 1
    found = {taken.next_hop: [e.index for e in taken.recipients] for taken in await lease(spool, clock.now())}
    assert found == {"mx/example.org": [0], "mx/a.example.net": [1, 2]}


async def test_what_needs_verified_tls_keeps_needing_it_by_another_way(open_spool: Open, clock: SettableClock) -> None:
    spool = await open_spool(0)
    for name in ("a", "a" + VERIFIED_TLS):
        await spool.accept(message_for(name, clock))
    assert await spool.reroute(EVERYTHING, lambda recipient: "c") == 2
    assert {taken.next_hop for taken in await lease(spool, clock.now())} == {"c", "c" + VERIFIED_TLS}


# --- taken out to be settled -----------------------------------------------------------------------------------------


async def test_an_administrator_takes_what_is_not_due_and_what_is_held(open_spool: Open, clock: SettableClock) -> None:
    spool, administrator = await open_spool(0), await open_spool(None)
    later = clock.now() + timedelta(minutes=5)
    message = sample_message(hops=("a", "b"), states=(State.QUEUED, State.HELD), due_at=later)
    await spool.accept(message)
    taken = await administrator.lease(EVERYTHING, limit=10)
    assert {(each.next_hop, each.recipients[0].state) for each in taken} == {("a", State.QUEUED), ("b", State.HELD)}
    assert await lease(spool, later) == []
    (entry,) = await spool.entries(EVERYTHING)
    assert {delivery.leased_by for delivery in entry.deliveries} == {"admin"}
    for each in taken:
        await administrator.settle(delivered(message, each.next_hop))
    assert await queue_ids(spool) == []


async def test_one_of_two_parts_for_one_next_hop_is_taken_at_a_time(open_spool: Open, clock: SettableClock) -> None:
    spool, administrator = await open_spool(0), await open_spool(None)
    message = sample_message(hops=("a", "a"), states=(State.QUEUED, State.HELD), due_at=clock.now())
    await spool.accept(message)
    (first,) = await administrator.lease(EVERYTHING, limit=10)
    assert await administrator.lease(EVERYTHING, limit=10) == []
    await administrator.settle(Settlement(message.queue_id, "a", (), {first.recipients[0].index: State.FAILED}))
    (second,) = await administrator.lease(EVERYTHING, limit=10)
    assert {first.recipients[0].index, second.recipients[0].index} == {0, 1}


async def test_a_filters_recipient_is_taken_alone(open_spool: Open, clock: SettableClock) -> None:
    spool, administrator = await open_spool(0), await open_spool(None)
    message = sample_message(hops=("a", "a"), due_at=clock.now())
    await spool.accept(message)
    (taken,) = await administrator.lease(QueueFilter(recipient="r1@*"), limit=10)
    assert [entry.index for entry in taken.recipients] == [1]
    await administrator.settle(Settlement(message.queue_id, "a", (), {1: State.FAILED}))
    (left,) = await lease(spool, clock.now())
    assert [entry.index for entry in left.recipients] == [0]


async def test_what_a_worker_has_in_hand_is_not_taken(open_spool: Open, clock: SettableClock) -> None:
    spool, administrator = await open_spool(0), await open_spool(None)
    await spool.accept(sample_message())
    assert await administrator.lease(EVERYTHING, limit=10) == []


# --- frozen next hops ------------------------------------------------------------------------------------------------


def hop(name: str, clock: SettableClock) -> FrozenHop:
    return FrozenHop(name, clock.now(), "jane", "maintenance")


async def test_a_frozen_next_hop_is_left_alone_by_all_until_it_is_thawed(
    open_spool: Open, clock: SettableClock
) -> None:
    first, second, administrator = await open_spool(0), await open_spool(1), await open_spool(None)
    for name in ("a", "b"):
        await first.accept(message_for(name, clock))
    assert await administrator.freeze(hop("a", clock))
    assert not await administrator.freeze(hop("a", clock))
    assert list(await second.frozen()) == [hop("a", clock)]
    assert [taken.next_hop for taken in await lease(second, clock.now())] == ["b"]
    assert await lease(first, clock.now()) == []
    assert await administrator.thaw("a")
    assert not await administrator.thaw("a")
    assert [taken.next_hop for taken in await lease(first, clock.now())] == ["a"]


async def test_freezing_outlives_those_who_had_the_store_open(open_spool: Open, clock: SettableClock) -> None:
    spool = await open_spool(0)
    await spool.freeze(hop("a", clock))
    await spool.close()
    assert [each.next_hop for each in await (await open_spool(0)).frozen()] == ["a"]


@pytest.mark.parametrize(
    ("frozen", "left"),
    [
        ("direct", ["directory"]),
        ("direct/example.net", ["direct/example.org", "directory"]),
        ("directory", ["direct/example.net", "direct/example.net+tls", "direct/example.org"]),
    ],
)
async def test_freezing_covers_what_stands_behind_a_name(
    open_spool: Open, clock: SettableClock, frozen: str, left: list[str]
) -> None:
    spool = await open_spool(0)
    for name in ("direct/example.net", "direct/example.net+tls", "direct/example.org", "directory"):
        await spool.accept(message_for(name, clock))
    await spool.freeze(hop(frozen, clock))
    assert sorted(taken.next_hop for taken in await lease(spool, clock.now())) == left


async def test_the_order_to_take_no_mail_stands_until_it_is_taken_back(open_spool: Open, clock: SettableClock) -> None:
    worker, administrator = await open_spool(0), await open_spool(None)
    order = Draining(clock.now(), "jane", "new memory")
    assert await worker.draining() is None
    assert await administrator.drain(order)
    assert not await administrator.drain(order)
    await worker.close()
    assert await (await open_spool(0)).draining() == order
    assert await administrator.undrain()
    assert not await administrator.undrain()
    assert await administrator.draining() is None
