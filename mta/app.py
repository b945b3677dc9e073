"""Composition root: the only module that builds adapters and joins them to the stages."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

import mta
from mta import events
from mta.adapters.directory import open_directory
from mta.adapters.store.sqlite import SqliteSpool
from mta.adapters.transport.maildir import MaildirTransport
from mta.adapters.transport.smtp_transport import SmtpTransport
from mta.config.delivery_schema import MaildirHop, MxHop, NextHop
from mta.config.directory_schema import DirectorySettings
from mta.config.listener_schema import Listener
from mta.config.schema import Configuration
from mta.log_sinks import sinks_from
from mta.message.parse import Limits
from mta.model.bypass import Bypass
from mta.model.delivery import AcceptedMessage
from mta.ports.clock import SystemClock
from mta.ports.directory import Directory
from mta.ports.resolver import Resolver
from mta.ports.spool import Spool
from mta.ports.transport import Transport
from mta.relay.deliver.dsn import DsnWriter
from mta.relay.deliver.next_hops import NextHops
from mta.relay.deliver.reports import Report
from mta.relay.deliver.routing import RetryTable, RoutingTable
from mta.relay.deliver.settle import Settler
from mta.relay.equipment import Equipment, InHand, Rulebook
from mta.relay.following import postmaster
from mta.relay.octets import buffer_of
from mta.relay.pipeline import Pipeline
from mta.relay.receive import RelayListener, server_context
from mta.relay.snapshot import Snapshot, load_snapshot
from mta.relay.spool.schedule import next_attempt
from mta.supervise.channel import WorkerChannel, WorkerOrder

COLLECT_AFTER = 10_000
"""Net allocations between two runs of the collector over the youngest objects; Python's default is 700."""


async def open_spool(configuration: Configuration, *, slot: int | None) -> Spool:
    """The configured spool; `slot` is a worker's number, None for administrators' commands. Raises StoreError."""
    settings = configuration.spool
    # A file that root makes the service could not read, so what a command queues stands in the database.
    inline_up_to = settings.inline_up_to if slot is not None else sys.maxsize
    return await SqliteSpool.open(
        settings.folder,
        slot=slot,
        reserve=settings.reserve,
        inline_up_to=inline_up_to,
        hold_for=configuration.retry.hold_expires_after,
        patient=slot is not None,
        begin_anew=settings.when_damaged == "begin-anew",
    )


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


def build_transport(hostname: str, hop: NextHop) -> Transport:
    """The way to one next hop."""
    if isinstance(hop, MaildirHop):
        return MaildirTransport(hop, hostname=hostname)
    if isinstance(hop, MxHop):
        raise NotImplementedError(hop.name)
    return SmtpTransport(hop, hostname=hostname)


def build_resolver(configuration: Configuration) -> Resolver | None:
    """DNS, where a listener authenticates mail; else nobody asks, and it isn't even imported."""
    return open_resolver(configuration) if configuration.authenticating else None


def open_resolver(configuration: Configuration) -> Resolver:
    """DNS by the configured servers; importing it takes a tenth of a second."""
    from mta.adapters.dns.resolver import DnsResolver

    return DnsResolver(configuration.dns.servers, timeout_s=configuration.dns.timeout.total_seconds())


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
        self._prepared: Snapshot | None = None
        self._draining = asyncio.Event()
        configuration = snapshot.configuration
        self._equipment = Equipment(
            hostname=configuration.hostname,
            rulebook=rulebook(snapshot),
            spool=spool,
            next_hops=NextHops(partial(build_transport, configuration.hostname)),
            clock=SystemClock(),
            in_hand=InHand(configuration.spool.memory_per_worker),
            bypass=bypass,
            resolver=build_resolver(configuration),
        )
        self._equipment.next_hops.apply(configuration.next_hops, configuration.routing.default)
        self._pipeline = Pipeline(self._equipment)
        self._listeners: dict[str, RelayListener] = {}

    async def serve(self, channel: WorkerChannel) -> None:
        """Accept and deliver until `drain` is called; then finish what is in hand, within the configured time."""
        await self._start_directories(self._equipment.rulebook.snapshot)
        await self._pipeline.queue_runner.note_frozen()
        await self._listen()
        runner = asyncio.create_task(self._pipeline.queue_runner.run())
        await channel.ready(self._equipment.rulebook.snapshot.name)
        runner.add_done_callback(lambda task: self._draining.set())  # a worker without its runner is no worker
        await self._draining.wait()
        await self._finish(runner)

    async def _start_directories(self, snapshot: Snapshot) -> None:
        for book in snapshot.books:
            await book.directory.start()

    async def _listen(self) -> None:
        snapshot = self._equipment.rulebook.snapshot
        configuration = snapshot.configuration
        for settings in configuration.listeners:
            listener = RelayListener(
                settings,
                configuration.hostname,
                self._pipeline,
                _server_tls(settings),
                accepted_domains=snapshot.accepted_domains,
                postmaster=postmaster(configuration),
            )
            self._listeners[settings.name] = listener
            await listener.start(socket.socket(fileno=self._order.listen_fds[settings.name]))

    async def _finish(self, runner: asyncio.Task[None]) -> None:
        equipment = self._equipment
        drain_s = equipment.rulebook.snapshot.configuration.drain.total_seconds()
        deadline = asyncio.get_running_loop().time() + drain_s
        events.stopping("relay", reason="drain", in_hand=len(equipment.in_hand.tasks))
        await asyncio.gather(*(listener.stop(drain_s) for listener in self._listeners.values()))
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
        self._prepared = await asyncio.to_thread(read_snapshot, self._order.config, former)
        return self._prepared.name

    async def commit_reload(self) -> None:
        """Go by what was prepared: new messages at once, running sessions from their next message on."""
        snapshot, self._prepared = self._prepared, None
        if snapshot is None:
            return
        configuration = snapshot.configuration
        gone = self._equipment.next_hops.apply(configuration.next_hops, configuration.routing.default)
        former = self._equipment.rulebook.snapshot
        if self._equipment.resolver is None or configuration.dns != former.configuration.dns:
            # Messages in hand go on with the one they have.
            self._equipment.resolver = build_resolver(configuration)
        await self._start_directories(snapshot)
        self._equipment.rulebook = rulebook(snapshot)
        self._equipment.in_hand.octets_max = configuration.spool.memory_per_worker
        for settings in configuration.listeners:
            listener = self._listeners.get(settings.name)
            if listener is not None:
                listener.reconfigure(
                    settings,
                    configuration.hostname,
                    _server_tls(settings),
                    accepted_domains=snapshot.accepted_domains,
                    postmaster=postmaster(configuration),
                )
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

    def report(self) -> Mapping[str, int]:
        """Sessions open, messages and octets in hand."""
        in_hand = self._equipment.in_hand
        return {
            "sessions": sum(len(listener.sessions) for listener in self._listeners.values()),
            "messages_in_hand": len(in_hand.tasks),
            "octets_in_hand": in_hand.octets,
        }


def _server_tls(settings: Listener) -> ssl.SSLContext | None:
    if settings.tls.mode == "none" or settings.tls.certificate is None:
        return None
    return server_context(settings.tls.certificate, settings.tls.key)


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
