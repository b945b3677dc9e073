"""One attempt: the copies of one message that go to one next hop, in another form where it can't take the first."""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from mta import events
from mta.model.delivery import Misfit, RecipientEntry, RecipientResult
from mta.model.envelope import Envelope
from mta.model.reply import INTERNAL_ERROR, Reply
from mta.ports.transport import Segments, Transport

COPIES_AT_ONCE = 4
"""Of one message: a message with many variants must not take all of a next hop's connections."""
# Exim: "maximum allowed line length is 998 octets, got 1200"; others: "line too long", "lines longer than 998".
_LINE_TOO_LONG = re.compile(r"line length|lines?\b.{0,20}\b(?:too long|longer than)|too long\b.{0,20}\blines?\b", re.I)


@dataclass(frozen=True, slots=True)
class Copy:
    """One group's bytes (CRLF line ends, not dot-stuffed) and who gets them."""

    group: int
    content: Segments
    recipients: tuple[RecipientEntry, ...]
    envelope: Envelope | None = None
    """Where a rule has put another reverse-path into it; None: the message's."""
    fits: frozenset[Misfit] = frozenset()
    """What this form was made for: nothing of that is wrong with it any more."""
    breaks: int = 0
    """How many DKIM signatures of others this form may have broken."""


@dataclass(frozen=True, slots=True)
class NoForm:
    """There is no form of a copy that fits; `reply` takes the place of the next hop's own where a rule wants that."""

    why: str
    reply: Reply | None = None


AnotherForm = Callable[[Copy, frozenset[Misfit]], Awaitable[Copy | NoForm]]
"""(a copy, all that is wrong with the form as it was first) → the same for the same recipients in a form that fits."""


async def attempt(
    transport: Transport,
    envelope: Envelope,
    copies: Sequence[Copy],
    *,
    deadline_s: float,
    queue_id: str = "",
    next_hop: str = "",
    another_form: AnotherForm | None = None,
    on_top: bytes = b"",
) -> list[RecipientResult]:
    """Deliver every copy and give exactly one result for each of their recipients.

    An error of the transport's own defers that copy's recipients (451 4.3.0) and is logged; the other copies' results
    stand, so that nobody gets a copy twice for it. Who can't be given a copy as it is gets another form of it at once.
    `on_top` is a header line, with its CRLF, that every copy begins with at this next hop.
    """
    work = _Attempt(transport, envelope, deadline_s, queue_id, next_hop, another_form, on_top)
    if len(copies) == 1:  # the usual case needs no task of its own
        return await work.deliver(copies[0])
    limit = asyncio.Semaphore(COPIES_AT_ONCE)

    async def in_turn(copy: Copy) -> list[RecipientResult]:
        async with limit:
            return await work.deliver(copy)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(in_turn(copy)) for copy in copies]
    return [result for task in tasks for result in task.result()]


@dataclass(frozen=True, slots=True)
class _Attempt:
    transport: Transport
    envelope: Envelope
    deadline_s: float
    queue_id: str
    next_hop: str
    another_form: AnotherForm | None
    on_top: bytes

    async def deliver(self, copy: Copy) -> list[RecipientResult]:
        """One copy, in other forms where it has to be."""
        results = _one_for_each(copy, await self._send(copy))
        if self.another_form is None or all(result.reply.is_success for result in results):
            return results
        wrong = {misfit for result in results if (misfit := _misfit(result)) is not None} - copy.fits
        for misfit in sorted(wrong, key=lambda each: each.value):
            results = await self._otherwise(copy, misfit, results, self.another_form)
        return results

    async def _send(self, copy: Copy) -> Sequence[RecipientResult]:
        content = (self.on_top, *copy.content) if self.on_top else copy.content
        try:
            return await self.transport.deliver(
                copy.envelope or self.envelope, copy.recipients, content, deadline_s=self.deadline_s,
                overlook=copy.fits - {Misfit.SIZE},
            )  # fmt: skip
        except Exception as exc:  # noqa: BLE001 - whatever befalls one copy, the others' results stand
            _log(exc, self.queue_id)
            return ()

    async def _otherwise(
        self, copy: Copy, misfit: Misfit, results: list[RecipientResult], another_form: AnotherForm
    ) -> list[RecipientResult]:
        """The results, with those of another form in the place of those that the misfit caused."""
        concerned = {result.index for result in results if _misfit(result) is misfit}
        recipients = tuple(entry for entry in copy.recipients if entry.index in concerned)
        made = await another_form(replace(copy, recipients=recipients), copy.fits | {misfit})
        if isinstance(made, NoForm):
            events.no_other_form(
                self.queue_id, group=copy.group, reason=misfit.value, next_hop=self.next_hop, why=made.why
            )
            return [_replied(result, made.reply) if result.index in concerned else result for result in results]
        anew = {result.index: result for result in await self.deliver(made)}
        served = sum(result.reply.is_success for result in anew.values())
        if any(_misfit(result) in made.fits for result in anew.values()):
            events.no_other_form(
                self.queue_id, group=copy.group, reason=misfit.value, next_hop=self.next_hop,
                why="it does not take the other form either",
            )  # fmt: skip
        if served:
            events.sent_otherwise(
                self.queue_id, is_unstamped=misfit is Misfit.SIZE, group=copy.group, reason=misfit.value,
                next_hop=self.next_hop, recipients=served, breaks=made.breaks,
            )  # fmt: skip
        return [anew.get(result.index, result) for result in results]


def _misfit(result: RecipientResult) -> Misfit | None:
    if result.misfit is None and result.reply.is_permanent and _LINE_TOO_LONG.search(result.remote_reply[:500]):
        return Misfit.LONG_LINE
    return result.misfit


def _replied(result: RecipientResult, reply: Reply | None) -> RecipientResult:
    return result if reply is None else replace(result, reply=reply, misfit=None)


def _one_for_each(copy: Copy, results: Sequence[RecipientResult]) -> list[RecipientResult]:
    by_index = {result.index: result for result in results}
    return [
        by_index.get(entry.index) or RecipientResult(entry.index, entry.address, INTERNAL_ERROR)
        for entry in copy.recipients
    ]


def _log(error: Exception, queue_id: str) -> None:
    trace = "".join(traceback.format_exception(error))
    events.internal_error("deliver", error=repr(error), queue_id=queue_id, traceback=trace)
