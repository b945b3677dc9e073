"""Composition root of the process that writes to senders' Sent Items."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mta import events
from mta.adapters.directory import open_directory
from mta.adapters.mailbox import open_server
from mta.adapters.store.sentitems import SqliteSentItemJobs
from mta.app.companion import NO_SUCH_REQUEST, run_companion
from mta.config.mailbox_schema import EwsMailboxes, MailboxServer
from mta.config.schema import Configuration
from mta.ports.clock import SystemClock
from mta.relay.clock_watch import ClockWatch
from mta.sentitems.branch import Branches, branches_of
from mta.sentitems.runner import Runner
from mta.sentitems.work import work


class SentItemsProcess:
    """What the supervisor asks of it is `app.companion.Life`."""

    def __init__(self, jobs: SqliteSentItemJobs) -> None:
        self._jobs = jobs
        self._clock = SystemClock()
        self._runner = Runner(jobs, work, self._clock, ClockWatch())
        self._drain_s = 0.0

    async def serve(self, draining: asyncio.Event) -> None:
        running = asyncio.create_task(self._runner.run())
        running.add_done_callback(lambda task: draining.set())
        await draining.wait()
        left = await self._runner.drain(self._drain_s)
        with suppress(asyncio.CancelledError):
            await running
        await self._runner.close()
        for branch in self._runner.branches.values():
            await branch.directory.close()
        await self._jobs.close()
        events.stopped("sentitems", left=left)

    async def equip(self, configuration: Configuration) -> None:
        """Raises ConfigurationError where a directory's file has become bad."""
        former = self._runner.branches
        # In a thread: a large directory file takes its time.
        branches = await asyncio.to_thread(self._branches, configuration, former)
        self._runner.equip(branches)
        self._drain_s = configuration.drain.total_seconds()
        kept = {id(branch.directory) for branch in branches.values()}
        for branch in former.values():
            if id(branch.directory) not in kept:
                await branch.directory.close()
        for branch in branches.values():
            for server in branch.organisation.mailbox_servers:
                _warn(server)
        gc.collect()

    def _branches(self, configuration: Configuration, former: Branches) -> Branches:
        return branches_of(
            configuration, former, open_directory=open_directory, open_server=open_server, clock=self._clock
        )  # fmt: skip

    def wake(self) -> None:
        self._runner.wake()

    def report(self) -> Mapping[str, Any]:
        return self._runner.report()

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        return NO_SUCH_REQUEST


def _warn(server: MailboxServer) -> None:
    """Of what is allowed and shouldn't be."""
    tls = getattr(server, "tls", None)
    if tls is not None and not tls.verify:
        events.mailbox_server_unverified(server.name)
    if isinstance(server, EwsMailboxes) and server.is_exchange_online:
        events.mailbox_server_retires(server.name)


async def run_sentitems(channel_fd: int) -> int:
    """The life of the process; returns its exit code. Raises StoreError, ConfigurationError at the start."""

    async def begin(configuration: Configuration) -> SentItemsProcess:
        jobs = await SqliteSentItemJobs.open(configuration.spool.folder, works=True, patient=True)
        process = SentItemsProcess(jobs)
        await process.equip(configuration)
        return process

    return await run_companion("sentitems", channel_fd, begin)
