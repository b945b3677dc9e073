"""The copy of a tracked message for the processing mailbox: a message of our own, queued with a settlement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from mta.message.edit import Edit
from mta.message.parse import Message
from mta.message.tracking_copy import (
    Direction,
    Letterhead,
    Segments,
    TrackingCopy,
    digest_of,
    inner_message,
    write_copy,
)
from mta.model import decision as decided
from mta.model.address import Address, parse_address
from mta.model.delivery import AcceptedMessage, Body, RecipientEntry, RecipientResult, Spawned
from mta.model.envelope import Envelope
from mta.model.next_hop import NextHopOf
from mta.model.queue_id import new_queue_id
from mta.model.reply import Reply
from mta.model.transaction import Tracked
from mta.relay.track.carried import recipients_named
from mta.relay.track.original import copy_claim
from mta.relay.track.settings import Tracking

_SUBJECT_MAX = 200
COPY = "copy"
"""`Tracked.by` of a copy itself."""


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """Of what, and in whose name."""

    message: AcceptedMessage
    parsed: Message
    tracked: Tracked
    tracking: Tracking
    edits: Sequence[Edit]
    """What makes the message as it was sent out of the received bytes; none for one that was received."""
    hostname: str
    postmaster: Address
    route: NextHopOf
    accepted_domains: frozenset[str]
    """Of the organisation, as domain keys."""


def direction_of(decision: decided.Decision) -> Direction:
    """Seen from the organisation; mail of ours that somebody outside gets was sent."""
    directions = {entry.direction for entry in decision.recipients}
    if decided.Direction.OUTBOUND in directions:
        return "sent"
    return "internal" if decided.Direction.INTERNAL in directions else "received"


def make_copy(plan: CopyPlan, now: datetime, spill: Path | None) -> Spawned:
    """The copy, in memory, or written to a file of its own (`spill`). Raises OSError; then no file is left."""
    message, tracking, queue_id = plan.message, plan.tracking, new_queue_id()
    inner = inner_message(plan.parsed, plan.edits)
    copy = TrackingCopy(
        plan.tracked.transaction,
        direction_of(message.decision),
        str(message.envelope.reverse_path or ""),
        tuple(recipients_named(message.decision)),
        plan.tracked.rule,
        message.queue_id,
        message.message_id,
        digest_of(inner),
        message.accepted_at,
        plan.tracked.is_authenticated,
        message.decision.organisation,
        by=plan.tracked.by,
    )
    address = parse_address(plan.tracked.copy_to)
    head = Letterhead(plan.postmaster, address, f"<{queue_id}@{plan.hostname}>", now, _subject(plan))
    segments = write_copy(copy, tracking.keys[0], inner, head, smtputf8=message.envelope.smtputf8)
    body = Body.of(b"".join(segments)) if spill is None else _spilled(segments, spill)
    hop = plan.route(address, body.size_octets, plan.tracked.next_hop)
    is_inside = address.domain_key in plan.accepted_domains
    entry = decided.RecipientDecision(
        address,
        decided.Direction.INTERNAL if is_inside else decided.Direction.OUTBOUND,
        decided.Role.HIDDEN,
        (),
        0,
        hop,
    )
    spawned = AcceptedMessage(
        queue_id=queue_id,
        accepted_at=now,
        # Nobody answers it, and its failure is nobody's bounce. Its own header needs no SMTPUTF8.
        envelope=Envelope(None, (address,), body_8bit=True),
        client=None,
        body=body,
        decision=decided.Decision((entry,), message.decision.organisation, tracked=_named(plan.tracked)),
        recipients=(RecipientEntry(0, address, 0, hop),),
        message_id=head.message_id,
        snapshot=message.snapshot,
        due_at=now,
    )
    return Spawned(spawned, (copy_claim(message.decision.organisation, plan.tracked.key),))


def _named(tracked: Tracked) -> Tracked:
    return Tracked(tracked.transaction, tracked.rule, COPY)


def is_copy(message: AcceptedMessage) -> bool:
    """Whether it is such a copy."""
    tracked = message.decision.tracked
    return message.client is None and tracked is not None and tracked.by == COPY


def waiting(results: Sequence[RecipientResult]) -> list[RecipientResult]:
    """What a copy's attempt comes to: a mailbox that is full or was renamed loses nothing, the copy waits until an
    administrator has seen to it, or until it is too old."""
    return [
        replace(result, reply=_for_now(result.reply)) if result.reply.is_permanent else result for result in results
    ]


def _for_now(reply: Reply) -> Reply:
    return Reply(451, f"4{reply.status[1:]}" if reply.status else "", reply.text)


def _subject(plan: CopyPlan) -> str:
    about = str(plan.tracked.transaction) if plan.tracked.transaction is not None else "mail"
    return f"Copy of {about}: {plan.parsed.subject[:_SUBJECT_MAX]}"


def _spilled(segments: Segments, path: Path) -> Body:
    """Written; who commits it syncs it."""
    try:
        with path.open("xb") as file:
            for segment in segments:
                file.write(segment)
            size = file.tell()
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return Body(None, path, size)
