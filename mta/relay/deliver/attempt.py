"""One attempt: the copies of one message that go to one next hop."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from mta import events
from mta.model.delivery import RecipientEntry, RecipientResult
from mta.model.envelope import Envelope
from mta.model.reply import INTERNAL_ERROR
from mta.ports.transport import Segments, Transport

COPIES_AT_ONCE = 4
"""Of one message: a message with many variants must not take all of a next hop's connections."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One group's bytes (CRLF line ends, not dot-stuffed) and who gets them."""

    group: int
    content: Segments
    recipients: tuple[RecipientEntry, ...]
    envelope: Envelope | None = None
    """Where a rule has put another reverse-path into it; None: the message's."""


async def attempt(
    transport: Transport, envelope: Envelope, copies: Sequence[Copy], *, deadline_s: float, queue_id: str = ""
) -> list[RecipientResult]:
    """Deliver every copy and give exactly one result for each of their recipients.

    An error of the transport's own defers that copy's recipients (451 4.3.0) and is logged; the other copies' results
    stand, so that nobody gets a copy twice for it.
    """

    async def one(copy: Copy) -> list[RecipientResult]:
        try:
            results = await transport.deliver(
                copy.envelope or envelope, copy.recipients, copy.content, deadline_s=deadline_s
            )
        except Exception as exc:  # noqa: BLE001 - whatever befalls one copy, the others' results stand
            _log(exc, queue_id)
            results = ()
        return _one_for_each(copy, results)

    if len(copies) == 1:  # the usual case needs no task of its own
        return await one(copies[0])
    limit = asyncio.Semaphore(COPIES_AT_ONCE)

    async def in_turn(copy: Copy) -> list[RecipientResult]:
        async with limit:
            return await one(copy)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(in_turn(copy)) for copy in copies]
    return [result for task in tasks for result in task.result()]


def _one_for_each(copy: Copy, results: Sequence[RecipientResult]) -> list[RecipientResult]:
    by_index = {result.index: result for result in results}
    return [
        by_index.get(entry.index) or RecipientResult(entry.index, entry.address, INTERNAL_ERROR)
        for entry in copy.recipients
    ]


def _log(error: Exception, queue_id: str) -> None:
    trace = "".join(traceback.format_exception(error))
    events.internal_error("deliver", error=repr(error), queue_id=queue_id, traceback=trace)
