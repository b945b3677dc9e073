"""The way of a message, in order. The first tuple runs before the reply, the second after it."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mta import events
from mta.draining import finished
from mta.model.address import Address
from mta.model.delivery import Body, LeasedDelivery
from mta.model.envelope import Client, Envelope
from mta.model.queue_id import new_queue_id
from mta.model.reply import DRAINING, STORAGE_FULL, MailError, Reply
from mta.ports.spool import LEASE
from mta.relay import acceptance, arrival, conversing, departure
from mta.relay.arrival import Arrival
from mta.relay.arrival_log import log_refusal
from mta.relay.departure import Departure
from mta.relay.equipment import Equipment
from mta.relay.following import postmaster
from mta.relay.octets import BodyLostError, buffer_of
from mta.relay.queue_runner import QueueRunner
from mta.relay.recipient_verification import RecipientVerifier

BEFORE_THE_REPLY = (
    arrival.scan,
    arrival.admit,
    arrival.guard,
    arrival.authenticate,
    arrival.identify,
    arrival.recognise,
    arrival.complete,
    arrival.look_up,
    arrival.decide,
    acceptance.follow,
    conversing.track,
    acceptance.commit,
)
AFTER_THE_REPLY = (
    departure.leave_frozen,
    departure.open_message,
    departure.split,
    departure.stamp,
    departure.sign,
    departure.deliver_and_settle,
)


class Pipeline:
    """The `Receiver` of all listeners, and the sender of what is due."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._verifier = RecipientVerifier(equipment.next_hops.transport)
        self.queue_runner = QueueRunner(equipment, self._send_leased)

    def turned_away(self) -> Reply | None:
        """421 while an administrator drains this node."""
        return DRAINING if self._equipment.is_draining else None

    async def mail(self, client: Client, reverse_path: Address | None, size_octets: int) -> Reply | None:
        """452 while the spool's disk has no room above its reserve."""
        if self._equipment.is_draining:
            return DRAINING
        return None if self._equipment.spool.has_room(size_octets) else STORAGE_FULL

    async def rcpt(self, client: Client, reverse_path: Address | None, recipient: Address) -> Reply | None:
        """Every recipient that the listener's policy lets pass, and that exists where the listener wants that known."""
        snapshot = self._equipment.rulebook.snapshot
        settings = snapshot.configuration.verifying_recipients.get(client.listener)
        book = snapshot.book_of(recipient.domain_key) if settings is not None else None
        if settings is None or book is None or recipient == postmaster(snapshot.configuration):
            return None
        if settings.by == "directory":
            return await self._verifier.by_directory(book, reverse_path, recipient)
        return await self._verifier.by_next_hop(settings, recipient, book.policy.next_hop(recipient))

    def spill_path(self) -> Path:
        return self._equipment.spool.spill_path()

    async def message(self, client: Client, envelope: Envelope, body: Body) -> Reply:
        """Take a message through the stages before the reply; once it is committed, start those after it."""
        equipment = self._equipment
        rulebook = equipment.rulebook
        work = Arrival(
            client, envelope, body, rulebook, new_queue_id(), equipment.clock.now(), buffer_of(body),
            rulebook.snapshot.books[0],
        )  # fmt: skip
        for stage in BEFORE_THE_REPLY:
            reply = await stage(equipment, work)
            if reply is not None:
                log_refusal(work, reply)
                await acceptance.tell_of_refusal(equipment, work, reply)
                return reply
        if work.deliveries:
            self._send(
                Departure(work.deliveries, work.rulebook, work.data, work.parsed, work.classification, work.people),
                is_from_queue=False,
            )
        return Reply(250, "2.0.0", f"Ok: queued as {work.queue_id}")

    def _send_leased(self, deliveries: Sequence[LeasedDelivery]) -> None:
        self._send(Departure(deliveries, self._equipment.rulebook), is_from_queue=True)

    def _send(self, work: Departure, *, is_from_queue: bool) -> None:
        in_hand = self._equipment.in_hand
        next_hops = {delivery.next_hop for delivery in work.deliveries}
        hold = work.hold = in_hand.take(work.message.body.size_octets, next_hops, is_from_queue=is_from_queue)
        task = asyncio.create_task(self._depart(work))
        in_hand.tasks.add(task)

        def done(ended: asyncio.Task[None]) -> None:
            in_hand.tasks.discard(ended)
            in_hand.end(hold)

        task.add_done_callback(done)

    async def _depart(self, work: Departure) -> None:
        try:
            for stage in AFTER_THE_REPLY:
                if work.deliveries:
                    await stage(self._equipment, work)
        except BodyLostError as exc:
            events.body_lost(work.message.queue_id, error=str(exc))
            await self._put_back(work)
        except Exception as exc:  # noqa: BLE001 - the edge of a task: the message stays in the queue
            queue_id = work.message.queue_id if work.deliveries else ""
            events.internal_error("departure", error=repr(exc), queue_id=queue_id, traceback=traceback.format_exc())
            await self._put_back(work)

    async def _put_back(self, work: Departure) -> None:
        """After an error of our own: try again later, as after a deferral; where even that fails, as after a lease.

        A lease that nobody ends is renewed as long as the worker lives, and the message would lie there unseen.
        """
        spool = self._equipment.spool
        for delivery in work.deliveries:
            queue_id = delivery.message.queue_id
            try:
                await departure.defer_for_error(self._equipment, work, delivery)
            except Exception as exc:  # noqa: BLE001 - the edge of a task, as above
                events.internal_error("settle", error=repr(exc), queue_id=queue_id, traceback=traceback.format_exc())
                with suppress(MailError):
                    await spool.give_back(queue_id, delivery.next_hop, self._equipment.clock.now() + LEASE)

    async def finish(self, within_s: float) -> int:
        """Let what is in hand end; cut off the rest, whose leases a successor takes over. Returns how many were cut."""
        return await finished(set(self._equipment.in_hand.tasks), within_s)
