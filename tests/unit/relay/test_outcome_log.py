"""What the log tells of one settlement, and in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mta import events
from mta.model.delivery import LeasedDelivery, RecipientResult, Settlement, Spawned, State
from mta.model.reply import Reply
from mta.relay.outcome_log import log_settlement
from tests.spool_samples import sample_message


class Lines:
    def __init__(self) -> None:
        self.actions: list[str] = []

    def write(self, level: events.Level, action: str, line: str, day: str) -> None:
        self.actions.append(action)


@pytest.fixture
def lines() -> Lines:
    return Lines()


def test_what_follows_is_told_before_the_end(lines: Lines) -> None:
    """Whoever waits for a message's end, and then looks what became of it, finds all of it."""
    message = sample_message(hops=("default", "default"))
    first, second = message.recipients
    settlement = Settlement(
        message.queue_id, "default",
        (
            RecipientResult(first.index, first.address, Reply(250, "2.0.0", "Ok")),
            RecipientResult(second.index, second.address, Reply(550, "5.1.1", "Nobody")),
        ),
        {first.index: State.DELIVERED, second.index: State.FAILED},
        spawned=(sample_message(sender=None),), copies=(Spawned(replace(sample_message(), client=None), ()),),
    )  # fmt: skip
    events.configure([lines])
    try:
        log_settlement(
            LeasedDelivery(message, "default", message.recipients, 0), settlement, datetime.now(UTC), attempt_s=0
        )
    finally:
        events.configure([])
    assert lines.actions == ["dsn-queued", "tracking-copy", "delivered", "failed"]
