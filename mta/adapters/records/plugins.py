"""Sinks that are plug-ins: each has threads of its own, so that one that hangs or fails stops no other."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from mta import events
from mta.adapters.records.entry_points import LoadedOnce, PluginFailedError, asked
from mta.config.tracking_schema import PluginSink
from mta.model import task_reasons as reasons
from mta.model.printable import in_a_line
from mta.plugin_threads import STUCK_MAX, PluginThreads
from mta.ports.record_sink import SINKS, Refuse, Retry, SinkCall
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TryAgainError

_SAID_MAX = 200


class PluggedSink:
    """Fulfils `mta.ports.record_sink.RecordSink`."""

    def __init__(self, settings: PluginSink) -> None:
        """It is loaded when it is first called, in its own threads: that, too, is foreign code and may hang."""
        self._name = settings.plugin
        self._within_s = settings.timeout.total_seconds()
        self._plugin = LoadedOnce(SINKS, settings.plugin, settings.settings)
        self._threads = PluginThreads()
        self._threads.on_sick = lambda stuck: events.tracking_plugin_stuck(self._name, threads=stuck)

    async def call(self, call: SinkCall) -> None:
        """As the port says."""
        if self._threads.stuck >= STUCK_MAX:
            raise TargetDownError(reasons.PLUGIN_STUCK, f"{STUCK_MAX} calls hang")
        try:
            await self._threads.within(self._within_s, lambda: _call(self._plugin.get(), call))
        except LookupError as exc:
            raise TargetDownError(reasons.NOT_OPENED, in_a_line(str(exc.args[0]), _SAID_MAX)) from exc
        except Retry as exc:
            raise TryAgainError(
                reasons.PLUGIN_ASKS, in_a_line(str(exc), _SAID_MAX), retry_after=exc.after
            ) from exc  # fmt: skip
        except Refuse as exc:
            raise RefusedTaskError(reasons.REFUSED, in_a_line(str(exc), _SAID_MAX)) from exc
        except TimeoutError as exc:
            raise TryAgainError(reasons.PLUGIN_SLOW, f"no end within {self._within_s:g} s") from exc
        except PluginFailedError as exc:
            raise TryAgainError(reasons.PLUGIN_FAILED, str(exc)) from exc

    async def close(self) -> None:
        """Let the plug-in end, where it has a `close`; threads that hang end with the process."""
        with suppress(TimeoutError, Retry, Refuse, PluginFailedError):  # nothing hangs on it any more
            await self._threads.within(self._within_s, self._plugin.close)
        self._threads.end()


def _call(plugin: Callable[..., Any], call: SinkCall) -> None:
    """In a thread, with a loop of its own for a coroutine."""
    event = {**json.loads(call.payload), "idempotency_key": call.key}

    async def to_its_end(result: Awaitable[None]) -> None:
        await result

    def called() -> None:
        result = plugin(event)
        if inspect.isawaitable(result):
            asyncio.run(to_its_end(result))

    asked(called)
