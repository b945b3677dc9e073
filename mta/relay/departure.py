"""After the reply: open, split, stamp, sign, deliver, settle.

The bytes are at hand (from acceptance, or read from the spool again), and the decision is the committed one; nothing
here decides. Each delivery ends in exactly one settlement, or its lease runs out and it is attempted again: at worst a
copy is sent twice, none is lost.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mta import events
from mta.crash import crash_point
from mta.message.classify import Classification, classify
from mta.message.edit import Edit, apply
from mta.message.parse import Buffer, LimitExceededError, Message, parse
from mta.model.actions import Stamp, StripAttachments
from mta.model.delivery import (
    AcceptedMessage,
    LeasedDelivery,
    Misfit,
    RecipientResult,
    Settlement,
    State,
    StoredVariant,
)
from mta.model.person import Person
from mta.model.queue import is_frozen
from mta.model.reply import INTERNAL_ERROR, MailError, Reply
from mta.off_the_loop import off_the_loop
from mta.ports.spool import LeaseLostError
from mta.relay.book import Book, people_of
from mta.relay.conversing import with_tracking_copy
from mta.relay.copies import Original, finished, stamped
from mta.relay.deliver.attempt import Copy, NoForm, attempt
from mta.relay.deliver.settle import Settler, set_aside
from mta.relay.envelopes import envelopes
from mta.relay.equipment import Equipment, Rulebook
from mta.relay.in_hand import Hold
from mta.relay.kept_files import keep_file
from mta.relay.octets import buffer_of
from mta.relay.organisations import book_for
from mta.relay.other_forms import OtherForms
from mta.relay.outcome_log import log_settlement
from mta.relay.sent_items import Outgoing, changes_what_is_read, sent_copies
from mta.relay.split.variants import Variant, variants
from mta.relay.track import is_copy, waiting

SLOWEST_OCTETS_PER_S = 20_000
"""How slowly a next hop may take a message before we give up the attempt."""
HELD_ON = timedelta(minutes=15)
"""A hold that has run out by a clock that is in doubt lasts so much longer."""
SETTLE_AGAIN_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits between tries when the store can't take a settlement; the last one repeats."""


@dataclass(slots=True)
class Departure:
    """One message on its way out; each stage adds what it makes."""

    deliveries: Sequence[LeasedDelivery]
    """Of the same message, one for each next hop."""
    rulebook: Rulebook
    data: Buffer = b""
    parsed: Message | None = None
    classification: Classification | None = None
    people: Mapping[str, Person] = field(default_factory=dict)
    variants: Sequence[Variant] = ()
    stored: frozenset[int] = frozenset()
    """Groups whose finished copy an earlier attempt stored."""
    edits: dict[int, tuple[Edit, ...]] = field(default_factory=dict)
    """Group → its copy as edits over the received bytes."""
    changed: set[int] = field(default_factory=set)
    """Groups whose text or subject rules have changed; kept where the organisation fills Sent Items."""
    unstamped: set[int] = field(default_factory=set)
    """Recipients for whom a form without the stamps was made, because their next hop took no larger one."""
    refused: dict[int, Reply] = field(default_factory=dict)
    """Group → why its copy is not made."""
    hold: Hold | None = None
    """What it takes up of the worker's memory."""

    @property
    def message(self) -> AcceptedMessage:
        return self.deliveries[0].message

    @property
    def book(self) -> Book:
        """Of the organisation that decided; the first one's where that is gone, and for messages of our own."""
        snapshot = self.rulebook.snapshot
        return book_for(snapshot, self.message.decision) or snapshot.books[0]

    @property
    def is_orphaned(self) -> bool:
        """The organisation that decided is gone: its copies go without what only it has."""
        message = self.message
        return message.client is not None and book_for(self.rulebook.snapshot, message.decision) is None

    @property
    def original(self) -> Original:
        return Original(
            self.message, self.data, self.parsed, self.classification, self.book, is_orphaned=self.is_orphaned
        )

    async def another_form(self, copy: Copy, misfits: frozenset[Misfit]) -> Copy | NoForm:
        """The same copy for a next hop that can't take it as it is."""
        by_group = {variant.group: variant for variant in self.variants}
        made = await OtherForms(self.original, self.rulebook.limits, self.edits, by_group).make(copy, misfits)
        if Misfit.SIZE in misfits:
            self.unstamped.update(entry.index for entry in copy.recipients)
        return made


async def leave_frozen(equipment: Equipment, departure: Departure) -> None:
    """What is for a frozen next hop goes back into the queue, as if nobody had taken it."""
    if not equipment.frozen:
        return
    others = []
    for delivery in departure.deliveries:
        if not is_frozen(delivery.next_hop, equipment.frozen):
            others.append(delivery)
            continue
        queue_id = delivery.message.queue_id
        await equipment.spool.give_back(queue_id, delivery.next_hop, equipment.clock.now())
        events.left_alone(queue_id, next_hop=delivery.next_hop, reason="frozen")
    departure.deliveries = others


async def open_message(equipment: Equipment, departure: Departure) -> None:
    """Get at the bytes, and parse them, unless acceptance left both at hand."""
    if not departure.data:
        departure.data = buffer_of(departure.message.body)
    if departure.parsed is None:
        try:
            departure.parsed = await off_the_loop(len(departure.data), parse, departure.data, departure.rulebook.limits)
        except LimitExceededError:
            return  # accepted under `above: pass-unstamped`
    if departure.classification is None:
        client, is_null = departure.message.client, departure.message.envelope.reverse_path is None
        departure.classification = await off_the_loop(
            len(departure.data), classify, departure.parsed, is_null, is_trusted=client is None or client.is_trusted
        )


async def split(equipment: Equipment, departure: Departure) -> None:
    """One variant per group; copies that an earlier attempt stored are taken as they are."""
    entries = [entry for delivery in departure.deliveries for entry in delivery.recipients]
    recipients = [entry for entry in entries if entry.state is State.QUEUED]
    departure.variants = variants(departure.message.decision, recipients)
    for delivery in departure.deliveries:
        for stored in delivery.variants:
            departure.edits[stored.group] = tuple(Edit(*edit) for edit in stored.edits)
            if stored.is_changed:
                departure.changed.add(stored.group)
    departure.stored = frozenset(departure.edits)


async def stamp(equipment: Equipment, departure: Departure) -> None:
    """Carry out the content actions of each group."""
    wanted = [v for v in departure.variants if v.actions and v.group not in departure.stored]
    if not wanted or equipment.bypass.is_on(equipment.clock.now()):
        return
    if not departure.people and not departure.is_orphaned:
        departure.people = await people_of(departure.book.directory, _people_named(departure.message))
    fills_sent_items = departure.book.settings.sent_items is not None
    for variant in wanted:
        # Keeping files syncs them, which nothing on the loop may wait for.
        keeps = any(isinstance(action, StripAttachments) and action.folder for action in variant.actions)
        octets = sys.maxsize if keeps else len(departure.data)
        made = await off_the_loop(octets, stamped, departure.original, variant, departure.people, keep_file)
        departure.edits[variant.group] = made.edits
        if fills_sent_items and departure.parsed is not None and changes_what_is_read(departure.parsed, made.edits):
            departure.changed.add(variant.group)
        if made.refused is not None:
            departure.refused[variant.group] = made.refused


async def sign(equipment: Equipment, departure: Departure) -> None:
    """Put DKIM signature, mark and trace on top of each new copy."""
    for variant in departure.variants:
        if variant.group not in departure.stored and variant.group not in departure.refused:
            content = departure.edits.get(variant.group, ())
            departure.edits[variant.group] = await off_the_loop(
                len(departure.data), finished, departure.original, variant, content
            )


async def deliver_and_settle(equipment: Equipment, departure: Departure) -> None:
    """Each next hop by itself, so that a slow one keeps no other waiting."""
    if len(departure.deliveries) == 1:
        await _deliver_one(equipment, departure, departure.deliveries[0])
    else:
        await asyncio.gather(*(_deliver_beside(equipment, departure, delivery) for delivery in departure.deliveries))


async def _deliver_beside(equipment: Equipment, departure: Departure, delivery: LeasedDelivery) -> None:
    """One of several; what it took up for its next hop is free as soon as it is done."""
    await _deliver_one(equipment, departure, delivery)
    if departure.hold is not None:
        equipment.in_hand.done(departure.hold, delivery.next_hop)


async def put_off(equipment: Equipment, settler: Settler, delivery: LeasedDelivery, reply: Reply) -> None:
    """Without an attempt: everybody waits, as after one that ended with this reply, and is told of as after one.

    But for those on whom a rule has decided, who never wait.
    """
    aside = set_aside(delivery)
    results = [*aside.results, *(RecipientResult(entry.index, entry.address, reply) for entry in aside.deliver)]
    by_age = _ends_by_age(equipment, delivery)
    settlement = settler.settlement(delivery, results, equipment.clock.now(), dropped=aside.dropped, by_age=by_age)
    await _conclude(equipment, delivery, settlement, time.perf_counter())


def _ends_by_age(equipment: Equipment, delivery: LeasedDelivery) -> bool:
    """A copy for the processing mailbox is a conversation's only way there, and nobody would be told of its end."""
    return not equipment.clock_watch.is_in_doubt and not is_copy(delivery.message)


async def defer_for_error(equipment: Equipment, departure: Departure, delivery: LeasedDelivery) -> None:
    """After an error of our own: everybody waits for the next attempt."""
    await put_off(equipment, departure.rulebook.settler, delivery, INTERNAL_ERROR)


def _people_named(message: AcceptedMessage) -> set[str]:
    """Whom templates may speak of: the sender, and recipients whose copy depends on them."""
    named = {message.decision.sender} - {""}
    for entry in message.decision.recipients:
        named.update(action.recipient for action in entry.actions if isinstance(action, Stamp) and action.recipient)
    return named


async def _deliver_one(equipment: Equipment, departure: Departure, delivery: LeasedDelivery) -> None:
    began, settler = time.perf_counter(), departure.rulebook.settler
    if any(entry.state is State.HELD for entry in delivery.recipients):
        if equipment.clock_watch.is_in_doubt:
            later = equipment.clock.now() + HELD_ON
            await equipment.spool.give_back(delivery.message.queue_id, delivery.next_hop, later)
            return
        # Held deliveries are due only when nobody has released them in time.
        await _conclude(equipment, delivery, settler.hold_expired(delivery, equipment.clock.now()), began)
        return
    aside = set_aside(delivery)
    results = list(aside.results)
    served = {entry.index for entry in aside.deliver}
    copies, by_policy = [], set[int]()
    for variant in departure.variants:
        recipients = tuple(entry for entry in variant.recipients if entry.index in served)
        refusal = departure.refused.get(variant.group)
        if refusal is not None:
            by_policy.update(entry.index for entry in recipients)
            results += [RecipientResult(entry.index, entry.address, refusal) for entry in recipients]
        elif recipients:
            content = apply(departure.data, departure.edits[variant.group])
            copies += [
                Copy(variant.group, content, served, envelope)
                for envelope, served in envelopes(delivery.message, variant, recipients, settler.postmaster)
            ]
    if copies:
        transport = equipment.next_hops.transport(delivery.next_hop)
        deadline_s = 600 + len(departure.data) / SLOWEST_OCTETS_PER_S
        envelope = delivery.message.envelope
        results += await attempt(
            transport, envelope, copies, deadline_s=deadline_s, queue_id=delivery.message.queue_id,
            next_hop=delivery.next_hop, another_form=departure.another_form,
            on_top=b"" if equipment.next_hops.is_direct(delivery.next_hop) else departure.book.token_field,
        )  # fmt: skip
        is_reached = any(result.reply.is_success or result.remote_reply for result in results)
        equipment.in_hand.note_reached(delivery.next_hop, is_reached=is_reached)
        if is_copy(delivery.message):
            results = waiting(results)
    crash_point("after-delivery")
    now = equipment.clock.now()
    settlement = settler.settlement(
        delivery,
        results,
        now,
        dropped=aside.dropped,
        by_policy=by_policy,
        variants=_to_store(departure),
        by_age=_ends_by_age(equipment, delivery),
    )
    if departure.changed and equipment.makes_sent_items:
        settlement = _with_sent_copies(departure, delivery, settlement, now)
    if delivery.message.decision.tracked is not None:
        settlement = await with_tracking_copy(equipment, departure.original, departure.edits, settlement, now)
        crash_point("tracking-copy-made")
    await _conclude(equipment, delivery, settlement, began)


async def _conclude(equipment: Equipment, delivery: LeasedDelivery, settlement: Settlement, began: float) -> None:
    if await _settle(equipment, settlement):
        attempt_s = time.perf_counter() - began
        log_settlement(delivery, settlement, equipment.clock.now(), attempt_s=attempt_s)


def _to_store(departure: Departure) -> tuple[StoredVariant, ...]:
    """What a later attempt needs to send the same bytes; a refused group's copy is made anew then."""
    return tuple(
        StoredVariant(group, edits, group in departure.changed)
        for group, edits in departure.edits.items()
        if group not in departure.refused
    )


def _with_sent_copies(
    departure: Departure, delivery: LeasedDelivery, settlement: Settlement, now: datetime
) -> Settlement:
    """With the jobs that put what went out into the sender's Sent Items, and the bytes that they need."""
    if departure.is_orphaned:
        return settlement
    outgoing = Outgoing(
        departure.message, departure.parsed, departure.classification, departure.book, departure.changed
    )
    sent = sent_copies(outgoing, delivery, settlement.final, departure.unstamped, now)
    return replace(settlement, sent=sent, variants=_to_store(departure)) if sent else settlement


async def _settle(equipment: Equipment, settlement: Settlement) -> bool:
    """Commit, trying until the store takes it: the copies are sent, and must not be sent again."""
    tries = 0
    while True:
        try:
            await equipment.spool.settle(settlement)
        except LeaseLostError:
            events.lease_lost(settlement.queue_id, next_hop=settlement.next_hop)
            return False
        except MailError as exc:
            wait_s = SETTLE_AGAIN_S[min(tries, len(SETTLE_AGAIN_S) - 1)]
            tries += 1
            events.settle_failed(settlement.queue_id, error=str(exc), again_in_s=wait_s)
            await asyncio.sleep(wait_s)
        else:
            if settlement.spawned or settlement.copies:
                equipment.queue_changed.set()
            return True
