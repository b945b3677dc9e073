"""The process that test_store_crash kills: producers accept and settle, and say what they were told.

Arguments: the spool's folder, the slot. Runs until it is killed, for STOP_AFTER_S seconds, or for STOP_AFTER messages.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from mta.adapters.store.sqlite import SqliteSpool
from mta.model.delivery import (
    AcceptedMessage,
    OnceKey,
    RecipientResult,
    Settlement,
    Spawned,
    State,
    StoredVariant,
)
from mta.model.reply import Reply
from tests.spool_samples import sample_message

PRODUCERS = 10
SPAWNS = "<spawns@example.com>"
"""The Message-ID of those that bring another for certain."""
BUSY = Reply(451, "4.3.2", "Try later")


def say(*words: str) -> None:
    """One line in one write, so that a kill cuts none in half."""
    os.write(sys.stdout.fileno(), (" ".join(words) + "\n").encode())


async def produce(spool: SqliteSpool, number: int, until: float, messages: int) -> None:
    chance = random.Random(number)
    for _ in range(messages):
        if time.monotonic() > until:
            return
        data = chance.randbytes(chance.choice((10, 5_000, 150_000, 300_000)))
        message = sample_message(data)
        if len(data) > 200_000:
            path = spool.spill_path()
            path.write_bytes(data)
            message = replace(message, body=replace(message.body, data=None, path=path))
        if chance.random() < 0.3:
            message = with_child(message, once=chance.choice(("a", "b", "")))
        accepted = await spool.accept(message)
        for queue_id in (message.queue_id, *accepted.spawned):
            say("accepted", queue_id, hashlib.sha256(data).hexdigest())
        settlement = Settlement(message.queue_id, "default", (), {0: State.DELIVERED})
        outcome = chance.random()
        if outcome < 0.1:
            result = RecipientResult(0, message.recipients[0].address, BUSY)
            due_at = message.accepted_at + timedelta(seconds=1)
            variants = (StoredVariant(0, ((0, 0, b"X: y\r\n"),)),)
            say("deferring", message.queue_id)
            await spool.settle(Settlement(message.queue_id, "default", [result], {}, due_at, variants))
            say("deferred", message.queue_id)
        elif outcome < 0.3:
            report = sample_message(data[:100_000] * 2)
            report = replace(report, message_id=f"<report-{message.queue_id}>")
            say("reporting", message.queue_id)
            failed = {0: State.FAILED}
            await spool.settle(Settlement(message.queue_id, "default", (), failed, spawned=(report,)))
            say("settled", message.queue_id)
        elif outcome < 0.9:
            say("settling", message.queue_id)
            await spool.settle(settlement)
            say("settled", message.queue_id)


def with_child(message: AcceptedMessage, *, once: str) -> AcceptedMessage:
    """A message that brings another with the same body, which nobody settles; `once` is a claim, "" for none."""
    child = sample_message(due_at=message.accepted_at)
    child = replace(child, body=message.body, message_id=f"<of-{message.queue_id}>")
    claims = (OnceKey(once),) if once else ()
    message_id = message.message_id if once else SPAWNS
    return replace(message, message_id=message_id, spawned=(Spawned(child, claims),))


async def main() -> None:
    spool = await SqliteSpool.open(Path(sys.argv[1]), slot=int(sys.argv[2]), reserve=0)
    until = time.monotonic() + float(os.environ.get("STOP_AFTER_S", "60"))
    each = int(os.environ.get("STOP_AFTER", "1000000")) // PRODUCERS
    await asyncio.gather(*(produce(spool, number, until, each) for number in range(PRODUCERS)))
    await spool.close()


if __name__ == "__main__":
    asyncio.run(main())
