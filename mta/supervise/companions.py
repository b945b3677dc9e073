"""What runs beside the workers: begun and ended as the configuration says; whatever becomes of it, mail goes on."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mta import events
from mta.config.schema import Configuration
from mta.supervise.slot import Slot


@dataclass(frozen=True, slots=True)
class Companion:
    """One kind of process."""

    command: Sequence[str]
    is_wanted: Callable[[Configuration], bool] = lambda configuration: True
    begins_after_s: Callable[[Configuration], float] = lambda configuration: 0.0
    """How long after mail flows: nothing of it is to delay that."""


class Companions:
    """Those that run, each in a slot of its own."""

    def __init__(self, kinds: Mapping[str, Companion], new_slot: Callable[[str, Sequence[str]], Slot]) -> None:
        self._kinds = kinds
        self._new_slot = new_slot
        self._running: dict[str, Slot] = {}
        self._lives: dict[Slot, asyncio.Task[None]] = {}
        """Also of those that are about to end."""

    @property
    def slots(self) -> list[Slot]:
        return list(self._lives)

    @property
    def lives(self) -> list[asyncio.Task[None]]:
        return list(self._lives.values())

    def of(self, name: str) -> Slot | None:
        """The slot of one that is wanted now."""
        return self._running.get(name)

    def attend(self, configuration: Configuration) -> None:
        """Begin those that the configuration wants, and end the others. Mail flows by now."""
        for name, kind in self._kinds.items():
            if kind.is_wanted(configuration) and name not in self._running:
                slot = self._running[name] = self._new_slot(name, kind.command)
                life = asyncio.create_task(_live(slot, kind.begins_after_s(configuration)))
                self._lives[slot] = life
                life.add_done_callback(lambda task, slot=slot: self._lives.pop(slot))  # type: ignore[misc]
            elif not kind.is_wanted(configuration) and name in self._running:
                self._running.pop(name).stop()


async def _live(slot: Slot, begins_after_s: float) -> None:
    try:
        await slot.keep_running(begins_after_s)
    except Exception as exc:  # noqa: BLE001 - the edge: mail goes on without it
        events.internal_error(slot.component, error=repr(exc), traceback=traceback.format_exc())
