"""The spool on SQLite: the port mta/ports/spool.py for one machine.

Calls come in on the event loop, and nothing is synced there: the writer's thread commits, one thread reads, a few write
body files.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from mta import events
from mta.adapters.store import database
from mta.adapters.store.administration import (
    Change,
    conditions,
    reroute,
    restate,
    take,
    without_leased_siblings,
)
from mta.adapters.store.conversations import ConversationAccess
from mta.adapters.store.operations import Accept, GiveBack, Key, Lease, Settle, Statement, SweepFiles
from mta.adapters.store.room import Room
from mta.adapters.store.rows import Ids, MessageRows, claim_keys, message_rows, microseconds
from mta.adapters.store.sent_rows import copy_rows
from mta.adapters.store.slots import dead_slots
from mta.adapters.store.statements import json_list
from mta.crash import crash_point
from mta.model.delivery import Accepted, AcceptedMessage, Body, LeasedDelivery, Settlement, Spawned, State
from mta.model.queue import Breakdown, Draining, FrozenHop, QueueCount, QueueEntry, QueueFilter, SummaryRow
from mta.model.reply import INTERNAL_ERROR, MailError, TemporaryError
from mta.model.sentitem import Switch
from mta.ports.clock import Clock, SystemClock
from mta.ports.spool import LEASE, LeaseLostError, NewHop, SpoolFullError, Tell

_HOUSEKEEPING_S = 600.0
_ADMIN_SLOT = 1023
_CLAIMS_SWEPT = 1000
_UNUSED_KEPT = 64_000_000
_UNUSED_KEPT_IF_SHORT = 1_000_000
_FILES_SWEPT = 50


@dataclass(frozen=True, slots=True)
class Times:
    """How long things last in the store, see `SqliteSpool.open`."""

    lease: timedelta
    hold_for: timedelta | None


class SqliteSpool(ConversationAccess):
    """The port `Spool`; open it with `await SqliteSpool.open(...)`, end it with `await spool.close()`."""

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        slot: int | None = None,
        reserve: int = 100_000_000,
        inline_up_to: int = 128_000,
        lease: timedelta = LEASE,
        hold_for: timedelta | None = timedelta(days=7),
        clock: Clock | None = None,
        patient: bool = False,
        begin_anew: bool = False,
    ) -> SqliteSpool:
        """Open (making or migrating it where needed) the spool in `folder`.

        `slot` is the worker's number: at most one live process has it, and what its predecessor had leased is due at
        once. None is for administrators and their tools, which find a spool or fail. Raises StoreError with a text for
        the administrator when the store is damaged, foreign or newer than this program, or the slot is taken. A
        `patient` one raises for the slot only, and refuses mail with a TemporaryError until the store can be opened.
        `begin_anew`: a damaged one is set aside, and a fresh one begun.
        """
        room = Room(folder, reserve=reserve, inline_up_to=inline_up_to)
        times = Times(lease, hold_for)
        spool = cls(folder, slot, room, inline_up_to, times, clock or SystemClock(), begin_anew=begin_anew)
        try:
            await spool._keeper.start(patient=patient)
        except BaseException:
            await spool.close()
            raise
        if slot is not None:
            spool._begin(spool._keep_house)
        return spool

    def __init__(
        self, folder: Path, slot: int | None, room: Room, inline_up_to: int, times: Times, clock: Clock,
        *, begin_anew: bool,
    ) -> None:  # fmt: skip
        """Use `open`."""
        super().__init__(folder, slot, room, clock, begin_anew=begin_anew)
        self._inline_up_to = inline_up_to
        self._times = times
        self._ids: Ids

    async def _start(self) -> None:
        slot = _ADMIN_SLOT if self._slot is None else self._slot
        self._ids = Ids(slot, await self._read(lambda: self._reader.highest_id()))
        if self._slot is not None:
            await self._release_dead(self._slot)

    async def _release_dead(self, slot: int) -> None:
        """Make due what dead workers had leased, while none of them can come back to life."""
        with dead_slots(self._folder / "slots", slot) as dead:
            values = {"now": self._now(), "owner": self._owner, "slots": json_list(dead)}
            await self._writer.submit(Statement("release_leases_of", values))

    # --- the relay's calls -------------------------------------------------------------------------------------------

    async def accept(self, message: AcceptedMessage) -> Accepted:
        size = message.body.size_octets
        try:
            if not self.has_room(size):
                raise SpoolFullError
        except MailError:
            await self._discard([] if message.body.path is None else [message.body.path])
            raise
        rows = await self._store_body(message)
        spawned: tuple[MessageRows, ...] = ()
        octets = size if rows.file is None else 0
        try:
            if message.spawned:
                spawned = await self._store_spawned(message.body, message.spawned)
                octets += sum(each.message.body.size_octets for each in message.spawned)
            accepted = await self._writer.submit(
                Accept(rows, self._bodies.folder, self._now(), octets, spawned),
                lambda: self._begin(partial(self._abandon, rows.queue_id)),
            )
        except MailError:
            await self._discard_bodies((rows, *spawned))
            raise
        if spawned or not rows.deliveries:
            left = (each for each in spawned if each.queue_id not in accepted.spawned)
            await self._discard_bodies((*left, *(() if rows.deliveries else (rows,))))
        return accepted

    async def _store_spawned(self, body: Body, spawned: Sequence[Spawned]) -> tuple[MessageRows, ...]:
        """Make the bodies durable, whether or not they will be wanted: the claims are judged in the transaction."""
        stored: list[MessageRows] = []
        try:
            for each in spawned:
                same = body.path is not None and each.message.body.path == body.path
                rows = await self._store_body(each.message, shares_file=same)
                stored.append(replace(rows, claims=claim_keys(each.claims)))
        except MailError:
            await self._discard_bodies(stored)
            raise
        return tuple(stored)

    async def _discard_bodies(self, messages: Iterable[MessageRows]) -> None:
        await self._discard(self._paths([rows.file for rows in messages if rows.file is not None]))

    async def _store_body(self, message: AcceptedMessage, *, shares_file: bool = False) -> MessageRows:
        """Make the body durable where it is a file; raises SpoolFullError, TemporaryError.

        `shares_file`: the file is another message's, durable already, and this one gets a name of its own for it.
        """
        body = message.body
        file = None
        if body.path is not None and shares_file:
            path = self._bodies.fresh()
            await self._on_body_thread(self._bodies.link, path, body.path)
            file = self._bodies.name(path)
        elif body.path is not None:
            await self._on_body_thread(self._bodies.keep, body.path, body.size_octets)
            file = self._bodies.name(body.path)
        elif body.data is not None and body.size_octets > self._inline_up_to:
            path = self._bodies.fresh()
            await self._on_body_thread(self._bodies.write, path, body.data)
            file = self._bodies.name(path)
        if file is not None:
            crash_point("body-written")
        hold_for = self._times.hold_for
        return message_rows(
            message,
            self._ids.fresh(),
            file,
            owner=self._owner,
            lease_until=self._now() + self._lease(),
            held_until=None if hold_for is None else microseconds(message.accepted_at + hold_for),
        )

    async def _abandon(self, queue_id: str) -> None:
        """The caller has gone before the answer: nobody will deliver under that lease, so it ends."""
        await self._writer.submit(GiveBack(queue_id, None, self._now(), self._owner))

    async def claimed(self, keys: Collection[str]) -> frozenset[str]:
        if not keys:
            return frozenset()
        now = self._now()
        return await self._read(lambda: self._reader.claimed(keys, now))

    async def lease_due(
        self, now: datetime, *, limit: int, blocked: Collection[str] = (), per_next_hop: int = 50
    ) -> Sequence[LeasedDelivery]:
        at = microseconds(now)
        due = await self._read(
            lambda: self._reader.due(at, limit=limit, blocked=frozenset(blocked), per_next_hop=per_next_hop)
        )
        return await self._lease_at(due, at) if due else ()  # an idle worker writes nothing

    async def lease_overdue(
        self, next_hop: str, now: datetime, *, late_since: datetime, expired_since: datetime, limit: int
    ) -> Sequence[LeasedDelivery]:
        at, late, expired = microseconds(now), microseconds(late_since), microseconds(expired_since)
        overdue = await self._read(lambda: self._reader.overdue(next_hop, at, late=late, expired=expired, limit=limit))
        return await self._lease_at(overdue, at) if overdue else ()

    async def _lease_at(self, due: tuple[Key, ...], at: int) -> Sequence[LeasedDelivery]:
        leasing = asyncio.ensure_future(self._lease_these(due, at))
        try:
            return await asyncio.shield(leasing)
        except asyncio.CancelledError:
            self._begin(partial(self._return_leased, leasing))
            raise

    async def _lease_these(self, due: tuple[Key, ...], at: int) -> Sequence[LeasedDelivery]:
        leased = await self._writer.submit(Lease(due, at, self._now() + self._lease(), self._owner))
        return await self._loaded([delivery for delivery in due if delivery in leased])

    async def _loaded(self, leased: Sequence[Key]) -> Sequence[LeasedDelivery]:
        loaded = await self._read(lambda: self._reader.load(leased))
        for delivery in loaded.undecodable:
            await self._writer.submit(Statement("hold_undecodable", delivery))
        return [loaded.deliveries[delivery] for delivery in leased if delivery in loaded.deliveries]

    async def _return_leased(self, leasing: Awaitable[Sequence[LeasedDelivery]]) -> None:
        for delivery in await leasing:
            await self.give_back(delivery.message.queue_id, delivery.next_hop, self._clock.now())

    async def settle(self, settlement: Settlement) -> None:
        if not settlement.sent:
            await self._settle(settlement)
        elif not self._has_room_for_jobs():
            await self._settle_without_jobs(settlement)
        else:
            try:
                await self._settle(settlement)
            except SpoolFullError:
                await self._settle_without_jobs(settlement)

    def _has_room_for_jobs(self) -> bool:
        """Jobs keep what delivered mail would give back, for days where a mailbox server is down.

        Before the disk is so full that mail is refused, no more are made.
        """
        try:
            return self._room.has_plenty()
        except OSError:
            return True  # its folder is gone, which the writer tells of

    async def _settle_without_jobs(self, settlement: Settlement) -> None:
        """What went out must not go out again, and with a full disk it would."""
        await self._settle(replace(settlement, sent=()))
        mailboxes = dict.fromkeys(mailbox for copy in settlement.sent for mailbox in copy.mailboxes)
        events.sent_item_left_out(settlement.queue_id, mailboxes=mailboxes, reason="no-room")

    async def _settle(self, settlement: Settlement) -> None:
        spawned = [await self._store_body(message) for message in settlement.spawned] if settlement.spawned else []
        copies = await self._store_copies(settlement.copies, spawned) if settlement.copies else ()
        due_at = self._now() if settlement.due_at is None else microseconds(settlement.due_at)
        try:
            sent = copy_rows(settlement.sent) if settlement.sent else ()
            operation = Settle(settlement, due_at, self._owner, tuple(spawned), sent, copies, self._now())
            files = await self._writer.submit(operation)
        except Exception as error:
            lent = frozenset() if isinstance(error, LeaseLostError) else _lent(settlement.copies)
            stored = self._paths([rows.file for rows in (*spawned, *copies) if rows.file])
            await self._discard([path for path in stored if path not in lent])
            raise
        if files:
            await self._discard(self._paths(files))

    async def _store_copies(self, copies: Sequence[Spawned], spawned: Sequence[MessageRows]) -> tuple[MessageRows, ...]:
        """Make their bodies durable, whether or not they will be wanted; where that fails, no file of ours stays."""
        stored: list[MessageRows] = []
        try:
            for copy in copies:
                rows = await self._store_body(copy.message)
                stored.append(replace(rows, claims=claim_keys(copy.claims)))
        except MailError:
            paths = self._paths([rows.file for rows in (*spawned, *stored) if rows.file])
            await self._discard([path for path in paths if path not in _lent(copies)])
            raise
        return tuple(stored)

    async def give_back(self, queue_id: str, next_hop: str, due_at: datetime) -> None:
        await self._writer.submit(GiveBack(queue_id, next_hop, microseconds(due_at), self._owner))

    async def renew(self) -> None:
        await self._writer.submit(Statement("renew", (self._now() + self._lease(), self._owner)))

    async def read_body(self, queue_id: str) -> Body:
        return await self._read(lambda: self._reader.body(queue_id))

    def spill_path(self) -> Path:
        return self._bodies.fresh()

    def has_room(self, size_octets: int) -> bool:
        if not self.is_usable:
            raise TemporaryError(INTERNAL_ERROR)
        try:
            fits = self._room.fits(size_octets)
        except OSError as error:  # its folder is gone
            raise TemporaryError(INTERNAL_ERROR) from error
        if self._room.wants_measure():
            self._begin(self._measure)
        return fits

    async def _measure(self) -> None:
        """The database's unused pages are room for small bodies; some are given back, to be room for large ones."""
        self._room.free_in_database = await self._read(lambda: self._reader.free_octets())
        if self._room.free_in_database > _UNUSED_KEPT_IF_SHORT:
            await asyncio.to_thread(database.shrink, self._folder)

    # --- the administrator's calls -----------------------------------------------------------------------------------

    async def entries(self, which: QueueFilter, *, limit: int = 1000) -> Sequence[QueueEntry]:
        wanted = conditions(which, self._clock.now())
        return await self._read(lambda: self._reader.entries(wanted, self._now(), limit))

    async def count(self, which: QueueFilter) -> QueueCount:
        wanted = conditions(which, self._clock.now())
        return await self._read(lambda: self._reader.count(wanted))

    async def summary(self, which: QueueFilter, by: Breakdown) -> Sequence[SummaryRow]:
        wanted = conditions(which, self._clock.now())
        return await self._read(lambda: self._reader.summary(wanted, by, self._now()))

    async def load(self, queue_id: str) -> LeasedDelivery | None:
        return await self._read(lambda: self._reader.message(queue_id))

    async def retry_now(self, which: QueueFilter, tell: Tell | None = None) -> int:
        now = self._clock.now()
        wanted = conditions(which, now, State.QUEUED)
        return await self._change(Change(wanted, restate(State.QUEUED, microseconds(now)), divides=False), tell)

    async def hold(self, which: QueueFilter, until: datetime | None = None, tell: Tell | None = None) -> int:
        now = self._clock.now()
        if until is None and self._times.hold_for is not None:
            until = now + self._times.hold_for
        due_at = None if until is None else microseconds(until)
        return await self._change(Change(conditions(which, now, State.QUEUED), restate(State.HELD, due_at)), tell)

    async def release(self, which: QueueFilter, tell: Tell | None = None) -> int:
        now = self._clock.now()
        effect = restate(State.QUEUED, microseconds(now))
        return await self._change(Change(conditions(which, now, State.HELD), effect), tell)

    async def reroute(self, which: QueueFilter, next_hop: NewHop, tell: Tell | None = None) -> int:
        now = self._clock.now()
        return await self._change(Change(conditions(which, now), reroute(next_hop, microseconds(now))), tell)

    async def delete(self, which: QueueFilter, tell: Tell | None = None) -> int:
        return await self._change(Change(conditions(which, self._clock.now()), None), tell)

    async def _change(self, change: Change, tell: Tell | None) -> int:
        """Carry it out in transactions of bounded size, until nothing is left that matches."""
        total = 0
        while (done := await self._writer.submit(change)).found:
            total += len(done.keys)
            await self._discard(self._paths(tuple(done.files)))
            if tell is not None and done.queue_ids:
                tell(done.queue_ids)
            change = replace(change, after=done.last)
        return total

    async def lease(self, which: QueueFilter, *, limit: int) -> Sequence[LeasedDelivery]:
        now = self._now()
        wanted = without_leased_siblings(conditions(which, self._clock.now()))
        done = await self._writer.submit(Change(wanted, take(self._owner, now, now + self._lease()), limit=limit))
        return await self._loaded(done.keys)

    async def freeze(self, hop: FrozenHop) -> bool:
        values = (hop.next_hop, microseconds(hop.since), hop.by, hop.reason)
        return await self._writer.submit(Statement("freeze", values)) > 0

    async def thaw(self, next_hop: str) -> bool:
        return await self._writer.submit(Statement("thaw", (next_hop,))) > 0

    async def frozen(self) -> Sequence[FrozenHop]:
        return await self._read(lambda: self._reader.frozen())

    async def drain(self, order: Draining) -> bool:
        return await self._writer.submit(Statement("drain", (microseconds(order.since), order.by, order.reason))) > 0

    async def undrain(self) -> bool:
        return await self._writer.submit(Statement("undrain", ())) > 0

    async def draining(self) -> Draining | None:
        return await self._read(lambda: self._reader.draining())

    async def makes_sent_items(self) -> bool:
        return await self._read(lambda: self._reader.sent_items_switch()) is not Switch.OFF

    # --- housekeeping ------------------------------------------------------------------------------------------------

    async def sweep(self) -> int:
        """Forget expired claims, shrink the database, remove body files that no message has; give how many files."""
        values = (self._now(), _CLAIMS_SWEPT)
        while await self._writer.submit(Statement("sweep_claims", values)) == _CLAIMS_SWEPT:
            pass
        await self._shrink()
        removed = 0
        for names in await self._on_body_thread(lambda: list(self._bodies.candidates(time.time()))):
            removed += await self._sweep_files(names)
        return removed

    async def _shrink(self) -> None:
        """After a flood, give the room that the database has no use for back to the file system, in small steps."""
        unused = await self._read(lambda: self._reader.free_octets())
        while unused > _UNUSED_KEPT:
            await asyncio.to_thread(database.shrink, self._folder)
            before, unused = unused, await self._read(lambda: self._reader.free_octets())
            if unused >= before:
                return

    async def _sweep_files(self, names: Sequence[str]) -> int:
        removed = 0
        for start in range(0, len(names), _FILES_SWEPT):
            some = names[start : start + _FILES_SWEPT]
            named = await self._read(partial(self._named_files, some))
            orphans = tuple(name for name in some if name not in named)
            if orphans:
                removed += await self._writer.submit(SweepFiles(self._bodies.folder, orphans))
        return removed

    def _named_files(self, names: Sequence[str]) -> frozenset[str]:
        return self._reader.named_files(names)

    async def _keep_house(self) -> None:
        while True:
            try:
                await self.sweep()
                await self._keeper.examine()
            except (MailError, OSError, sqlite3.Error) as error:
                events.internal_error("spool-housekeeping", error=repr(error))
            await asyncio.sleep(_HOUSEKEEPING_S)

    def _lease(self) -> int:
        return self._times.lease // timedelta(microseconds=1)


def _lent(copies: Sequence[Spawned]) -> frozenset[Path]:
    """Files that the caller has made, and needs where it tries again."""
    return frozenset(copy.message.body.path for copy in copies if copy.message.body.path is not None)
