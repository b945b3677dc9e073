"""What the processes beside the workers share: the supervisor's word, the log, the end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import mta
from mta import events
from mta.config.schema import Configuration
from mta.log_sinks import sinks_from
from mta.model.bypass import Bypass
from mta.supervise.channel import WorkerChannel


class Life(Protocol):
    """What a companion does."""

    async def serve(self, draining: asyncio.Event) -> None:
        """Work until `draining` is set."""
        ...

    async def equip(self, configuration: Configuration) -> None:
        """Go by this from now on, at the start and after a reload. Raises OSError, KeyError, ConfigurationError."""
        ...

    def wake(self) -> None:
        """An administrator has changed something."""
        ...

    def report(self) -> Mapping[str, Any]:
        """For `stampline status`."""
        ...

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the command line asks: JSON values, `ok`, and `error` where that is false. Waits for nothing."""
        ...


NO_SUCH_REQUEST: Mapping[str, Any] = {"ok": False, "error": "no such request"}
"""The answer of those whom nobody asks."""


class Companion:
    """A life as the supervisor sees it (`supervise.Worker`): it has no say in a reload, and goes on without one."""

    def __init__(self, name: str, channel: WorkerChannel, life: Life) -> None:
        self._name = name
        self._channel = channel
        self._life = life
        self._draining = asyncio.Event()

    async def serve(self) -> None:
        """Until drained; what the life dies of is raised."""
        await self._channel.ready("")
        await self._life.serve(self._draining)

    async def prepare_reload(self) -> str:
        """Nothing is prepared."""
        return ""

    async def commit_reload(self) -> None:
        """Go by what the relay goes by now."""
        try:
            await self._life.equip(Configuration.model_validate(self._channel.configuration))
        except Exception as exc:  # noqa: BLE001 - the process's edge: it goes on as it was
            events.internal_error(self._name, error=f"not reloaded: {exc}")

    async def set_bypass(self, bypass: Bypass) -> None:
        """Companions do the same with and without."""

    async def wake(self) -> None:
        self._life.wake()

    async def drain(self) -> None:
        self._draining.set()

    def report(self) -> Mapping[str, Any]:
        return self._life.report()

    def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._life.answer(request)


async def run_companion(
    name: str, channel_fd: int, begin: Callable[[Configuration], Awaitable[Life]]
) -> int:  # fmt: skip
    """A companion's process; returns its exit code. Raises what keeps it from beginning."""
    channel = await WorkerChannel.open(channel_fd)
    configuration = Configuration.model_validate(channel.configuration)
    logs = configuration.logs
    events.configure(sinks_from(logs, name), as_json=logs.format == "json", level=logs.level)
    companion = Companion(name, channel, await begin(configuration))
    channel.start(companion)
    events.started(name, version=mta.__version__, snapshot="", pid=os.getpid())
    await companion.serve()
    await channel.close()
    return 0
