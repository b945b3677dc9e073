"""Composition root: the only module that builds adapters and joins them to the stages."""

from __future__ import annotations

import asyncio
import gc
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import mta
from mta import events
from mta.adapters.directory import open_directory
from mta.adapters.transport.mail_exchangers import Ourselves
from mta.adapters.transport.maildir import MaildirTransport
from mta.adapters.transport.mx_transport import MxTransport
from mta.adapters.transport.smtp_transport import SmtpTransport
from mta.app.dns import open_resolver
from mta.app.spool import open_spool
from mta.config.delivery_schema import MaildirHop, MxHop, NextHop
from mta.config.directory_schema import DirectorySettings
from mta.config.schema import Configuration
from mta.log_sinks import sinks_from
from mta.message.parse import Limits
from mta.model.address import domain_key
from mta.model.bypass import Bypass
from mta.model.delivery import AcceptedMessage
from mta.ports.clock import SystemClock
from mta.ports.directory import Directory
from mta.ports.resolver import Resolver
from mta.ports.spool import Spool
from mta.ports.transport import Stopped, Transport
from mta.relay.deliver.dsn import DsnWriter
from mta.relay.deliver.next_hops import NextHops
from mta.relay.deliver.reports import Report
from mta.relay.deliver.routing import RetryTable, RoutingTable
from mta.relay.deliver.settle import Settler
from mta.relay.equipment import Equipment, InHand, Rulebook
from mta.relay.following import postmaster
from mta.relay.listeners import AllFiles, Listeners, read_listener_files
from mta.relay.octets import buffer_of
from mta.relay.pipeline import Pipeline
from mta.relay.plugin_threads import plugin_threads
from mta.relay.snapshot import Snapshot, load_snapshot
from mta.relay.spool.schedule import next_attempt
from mta.relay.watched_files import EVERY_S
from mta.shared_counts import SharedCounts
from mta.supervise.channel import WorkerChannel, WorkerOrder

STOPPED_REPORTED = 100
"""Next hops that a worker tells of at a time."""
COLLECT_AFTER = 10_000
"""Net allocations between two runs of the collector over the youngest objects; Python's default is 700."""


def read_snapshot(path: Path, former: Snapshot | None = None) -> Snapshot:
    """Configuration, rules, templates and directory together. Raises ConfigurationError with every problem.

    Of a former snapshot, directories with the same settings are kept where a server answers, with what they know.
    """

    def open_or_keep(settings: DirectorySettings) -> Directory:
        for book in former.books if former is not None else ():
            if settings.kind == "ldap" and book.settings.directory == settings:
                return book.directory
        return open_directory(settings)

    return load_snapshot(path, open_or_keep)


def settle_memory() -> None:
    """Let the collector pass over what is loaded and stays: rules, templates, people.

    Messages leave no cycles behind that matter, so looking at hundreds of thousands of lasting objects again and again
    finds nothing and costs a tenth of the CPU. After a reload the former snapshot is collected once.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


def build_transport(configuration: Configuration, resolver: Callable[[], Resolver], hop: NextHop) -> Transport:
    """The way to one next hop; `resolver` is asked for where one goes by MX records."""
    hostname = configuration.hostname
    if isinstance(hop, MaildirHop):
        return MaildirTransport(hop, hostname=hostname)
    if isinstance(hop, MxHop):
        endpoints = frozenset((listener.address, listener.port) for listener in configuration.listeners)
        ourselves = Ourselves(domain_key(hostname), endpoints)
        return MxTransport(hop, hostname=hostname, resolver=resolver, ourselves=ourselves)
    return SmtpTransport.to_hosts(hop, hostname=hostname, resolver=resolver)


def build_resolver(configuration: Configuration) -> Resolver | None:
    """DNS, where mail is authenticated or goes by MX records; else nobody asks, and it isn't even imported."""
    is_asked = configuration.authenticating or any(hop.goes_by_mx for hop in configuration.next_hops)
    return open_resolver(configuration) if is_asked else None


def build_settler(configuration: Configuration) -> Settler:
    """What turns results into settlements, and writes DSNs."""
    writer = DsnWriter(
        hostname=configuration.hostname,
        postmaster=str(postmaster(configuration)),
        route=RoutingTable(configuration.routing, configuration.next_hops).next_hop,
        accepted_domains=configuration.accepted_domains,
    )

    def write_dsn(message: AcceptedMessage, reports: Sequence[Report], now: datetime) -> AcceptedMessage:
        try:
            original = buffer_of(message.body)
        except OSError as exc:
            # Whoever took the file from the spool can't keep the sender from being told.
            events.internal_error("dsn", error=repr(exc), queue_id=message.queue_id)
            original = b""
        return writer.write(message, reports, now, original)

    return Settler(
        retries=RetryTable(configuration.retry, configuration.next_hops),
        next_attempt=next_attempt,
        write_dsn=write_dsn,
        accepted_domains=configuration.accepted_domains,
        postmaster=postmaster(configuration),
    )


def rulebook(snapshot: Snapshot) -> Rulebook:
    """A snapshot with what the stages work out from it once."""
    configuration = snapshot.configuration
    limits = configuration.message_limits
    return Rulebook(
        snapshot=snapshot,
        settler=build_settler(configuration),
        limits=Limits(limits.header_octets, limits.header_fields, limits.mime_depth, limits.mime_parts),
    )


class RelayWorker:
    """One worker process: listeners, pipeline, queue runner; what the supervisor asks of it is `supervise.Worker`."""

    def __init__(self, order: WorkerOrder, snapshot: Snapshot, spool: Spool, bypass: Bypass) -> None:
        self._order = order
        self._prepared: tuple[Snapshot, AllFiles] | None = None
        self._draining = asyncio.Event()
        configuration = snapshot.configuration
        self._equipment = Equipment(
            hostname=configuration.hostname,
            rulebook=rulebook(snapshot),
            spool=spool,
            next_hops=NextHops(partial(build_transport, configuration, self._resolver)),
            clock=SystemClock(),
            in_hand=InHand(configuration.spool.memory_per_worker),
            bypass=bypass,
            resolver=build_resolver(configuration),
        )
        self._equipment.next_hops.apply(configuration.next_hops, configuration.routing.default)
        self._pipeline = Pipeline(self._equipment)
        counts = SharedCounts.attach(order.counts_fd, order.slot) if order.counts_fd >= 0 else SharedCounts.private()
        self._listeners = Listeners(self._pipeline, counts)

    def _resolver(self) -> Resolver:
        assert self._equipment.resolver is not None
        return self._equipment.resolver

    async def serve(self, channel: WorkerChannel) -> None:
        """Accept and deliver until `drain` is called; then finish what is in hand, within the configured time."""
        plugin_threads.on_sick = self._give_way
        await self._start_directories(self._equipment.rulebook.snapshot)
        await self._pipeline.queue_runner.note_orders()
        await self._listeners.start(self._equipment.rulebook.snapshot, self._order.listen_fds)
        renewing = asyncio.create_task(self._keep_renewing())
        runner = asyncio.create_task(self._pipeline.queue_runner.run())
        await channel.ready(self._equipment.rulebook.snapshot.name)
        runner.add_done_callback(lambda task: self._draining.set())  # a worker without its runner is no worker
        await self._draining.wait()
        renewing.cancel()
        await self._finish(runner)

    def _give_way(self, stuck: int) -> None:
        """Finish what is in hand and end: the supervisor starts another worker, whose threads are free."""
        events.worker_sick(f"{stuck} threads hang in plug-ins", pid=os.getpid())
        self._draining.set()

    async def _start_directories(self, snapshot: Snapshot) -> None:
        for book in snapshot.books:
            await book.directory.start()

    async def _keep_renewing(self) -> None:
        """Take up certificates and accounts that change on disk."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self._listeners.renew_changed()
            except Exception as exc:  # noqa: BLE001 - the edge of a task: the next round may work
                events.internal_error("renew", error=repr(exc), traceback=traceback.format_exc())

    async def _finish(self, runner: asyncio.Task[None]) -> None:
        equipment = self._equipment
        drain_s = equipment.rulebook.snapshot.configuration.drain.total_seconds()
        deadline = asyncio.get_running_loop().time() + drain_s
        events.stopping("relay", reason="drain", in_hand=len(equipment.in_hand.tasks))
        await self._listeners.stop(drain_s)
        runner.cancel()
        with suppress(asyncio.CancelledError):
            await runner
        left = await self._pipeline.finish(max(0.0, deadline - asyncio.get_running_loop().time()))
        await equipment.next_hops.close()
        if equipment.resolver is not None:
            await equipment.resolver.close()
        for book in equipment.rulebook.snapshot.books:
            await book.directory.close()
        await equipment.spool.close()
        events.stopped("relay", left=left)

    async def prepare_reload(self) -> str:
        """Load and validate the configuration anew, and keep it aside. Raises ConfigurationError."""
        former = self._equipment.rulebook.snapshot
        snapshot = await asyncio.to_thread(read_snapshot, self._order.config, former)
        self._prepared = snapshot, await asyncio.to_thread(read_listener_files, snapshot.configuration)
        return snapshot.name

    async def commit_reload(self) -> None:
        """Go by what was prepared: new messages at once, running sessions from their next message on."""
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            return
        snapshot, files = prepared
        configuration = snapshot.configuration
        gone = self._equipment.next_hops.apply(configuration.next_hops, configuration.routing.default)
        former = self._equipment.rulebook.snapshot
        if self._equipment.resolver is None or configuration.dns != former.configuration.dns:
            # Messages in hand go on with the one they have.
            self._equipment.resolver = build_resolver(configuration)
        await self._start_directories(snapshot)
        self._equipment.rulebook = rulebook(snapshot)
        self._equipment.in_hand.octets_max = configuration.spool.memory_per_worker
        await self._pipeline.queue_runner.note_orders()
        self._listeners.apply(snapshot, files)
        events.reloaded(snapshot.name, rules=snapshot.rules, templates=snapshot.templates)
        await asyncio.gather(*(transport.close() for transport in gone))
        kept = {id(book.directory) for book in snapshot.books}
        for book in former.books:
            if id(book.directory) not in kept:
                # Messages in hand may ask it once more: that opens it again.
                await book.directory.close()
        settle_memory()

    async def set_bypass(self, bypass: Bypass) -> None:
        self._equipment.bypass = bypass

    async def wake(self) -> None:
        self._equipment.queue_changed.set()

    async def drain(self) -> None:
        self._draining.set()

    def report(self) -> Mapping[str, Any]:
        """Sessions open, messages and octets in hand, next hops that are left alone."""
        in_hand, now = self._equipment.in_hand, self._equipment.clock.now()
        return {
            "sessions": self._listeners.sessions,
            "failed_handshakes": self._listeners.failed_handshakes,
            "messages_in_hand": len(in_hand.tasks),
            "octets_in_hand": in_hand.octets,
            "frozen_next_hops": len(self._equipment.frozen),
            "draining": int(self._equipment.is_draining),
            "spool_closed": 0 if self._equipment.spool.is_usable else 1,
            "stopped": _longest_stopped(self._equipment.next_hops.stopped(), now),
        }


def _longest_stopped(hops: Mapping[str, Stopped], now: datetime) -> dict[str, Any]:
    """Of next hops that are left alone since when and why; by MX there may be thousands of them."""
    longest = sorted(hops.items(), key=lambda item: -item[1].for_s)[:STOPPED_REPORTED]
    return {
        name: {"since": (now - timedelta(seconds=hop.for_s)).isoformat(timespec="seconds"), "reason": hop.reason}
        for name, hop in longest
    }


async def run_worker(order: WorkerOrder) -> int:
    """The life of one worker process; returns its exit code. Raises ConfigurationError or StoreError at the start."""
    channel = await WorkerChannel.open(order.channel_fd)
    snapshot = await asyncio.to_thread(read_snapshot, order.config)
    configuration = snapshot.configuration
    events.configure(
        sinks_from(configuration.logs, "relay"),
        as_json=configuration.logs.format == "json",
        level=configuration.logs.level,
    )
    spool = await open_spool(configuration, slot=order.slot)
    worker = RelayWorker(order, snapshot, spool, channel.bypass)
    settle_memory()
    channel.start(worker)
    events.started("relay", version=mta.__version__, snapshot=snapshot.name, pid=os.getpid())
    await worker.serve(channel)
    await channel.close()
    return 0
