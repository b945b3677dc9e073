"""Whatever the replies: nobody is lost or counted twice, who failed is told of once, and the DSN is always readable."""

from __future__ import annotations

import email
import email.policy
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.model.address import parse_address
from mta.model.delivery import RecipientResult, State
from mta.model.reply import Reply
from mta.relay.deliver.dsn import DsnWriter
from mta.relay.deliver.routing import RetryTable
from mta.relay.deliver.settle import Settler
from tests.unit.relay.deliver.samples import NOON, ORIGINAL, RETRY, in_ten_minutes, leased, message, next_hop_of

WRITER = DsnWriter("relay.example.com", "postmaster", next_hop_of)

code = st.one_of(st.integers(200, 299), st.integers(400, 499), st.integers(500, 599))
status = st.sampled_from(["", "2.0.0", "4.4.1", "5.1.1", "5.7.1"])
words = st.text(max_size=200)
result = st.none() | st.tuples(st.builds(Reply, code, status, words), words, st.sampled_from(["", "mx[192.0.2.1]:25"]))


@settings(max_examples=150, deadline=None)
@given(
    outcomes=st.lists(result, min_size=1, max_size=8),
    dropped=st.sets(st.integers(0, 7)),
    days=st.integers(0, 4),
    attempts=st.integers(0, 40),
)
def test_every_recipient_is_accounted_for(
    outcomes: list[tuple[Reply, str, str] | None], dropped: set[int], days: int, attempts: int
) -> None:
    of = message([f"r{i}@example.org" for i in range(len(outcomes))])
    dropped = {i for i in dropped if i < len(outcomes)}
    results = [
        RecipientResult(i, of.recipients[i].address, outcome[0], outcome[2], outcome[1])
        for i, outcome in enumerate(outcomes)
        if outcome is not None and i not in dropped
    ]
    settler = Settler(
        RetryTable(RETRY),
        in_ten_minutes,
        lambda about, reports, now: WRITER.write(about, reports, now, ORIGINAL),
        frozenset(),
    )
    settlement = settler.settlement(leased(of, attempts), results, NOON + timedelta(days=days), dropped=dropped)

    failed = {i for i, state in settlement.final.items() if state is State.FAILED}
    replies = {each.index: each.reply for each in results}
    assert {i for i, state in settlement.final.items() if state is State.DROPPED} == dropped
    assert {i for i, state in settlement.final.items() if state is State.DELIVERED} == {
        i for i, reply in replies.items() if reply.is_success
    }
    assert {i for i, reply in replies.items() if reply.is_permanent} <= failed
    assert not any(replies[i].is_success for i in failed)
    assert (settlement.due_at is None) == (len(settlement.final) == len(outcomes))
    assert len(settlement.spawned) == bool(failed)
    for dsn in settlement.spawned:
        assert dsn.body.data is not None
        parsed = email.message_from_bytes(dsn.body.data, policy=email.policy.default)
        blocks = [str(part["Final-Recipient"]) for part in parsed.walk() if "Final-Recipient" in part]
        assert blocks == [f"rfc822; r{i}@example.org" for i in sorted(failed)]
        assert len(list(parsed.iter_parts())) == 3
        assert dsn.body.data.isascii()
        assert dsn.envelope.recipients == (parse_address("jane@example.com"),)
