"""Columns that a plug-in computes from a record, for the copies of its messages in people's mailboxes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from mta.adapters.records.entry_points import LoadedOnce, PluginFailedError, asked
from mta.model import task_reasons as reasons
from mta.model.printable import in_a_line
from mta.plugin_threads import PluginThreads
from mta.ports.record_sink import COLUMNS, Refuse, Retry
from mta.ports.task_errors import RefusedTaskError, TargetDownError, TryAgainError

WITHIN_S = 10.0
COLUMNS_MAX = 32
NAME_MAX = 64
TEXT_MAX = 255
"""Characters that a column shows, and that Exchange can search for."""
_LARGEST = 2**31 - 1
"""PtypInteger32 (MS-OXCDATA 2.11.1)."""

_TAKEN = frozenset({"keywords", "stamplinelink"})
"""PublicStrings that are no columns: PidNameKeywords (MS-OXPROPS), which holds an item's categories, and our link."""
_SAID_MAX = 200

Value = str | int | float | bool


class PluggedColumns:
    """Asks a plug-in in the group `stampline.columns`."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        """It is loaded when it is first asked, as sinks are."""
        self._plugin = LoadedOnce(COLUMNS, name, settings)
        self._threads = PluginThreads()

    async def of(self, record: Mapping[str, Any]) -> Mapping[str, Value]:
        """Names and values for this record. Raises TryAgainError, TargetDownError, RefusedTaskError."""
        try:
            made = await self._threads.within(WITHIN_S, lambda: _asked(self._plugin.get(), record))
        except LookupError as exc:
            raise TargetDownError(reasons.NOT_OPENED, in_a_line(str(exc.args[0]), _SAID_MAX)) from exc
        except Retry as exc:
            raise TryAgainError(reasons.PLUGIN_ASKS, retry_after=exc.after) from exc
        except Refuse as exc:
            raise RefusedTaskError(reasons.REFUSED) from exc
        except TimeoutError as exc:
            raise TargetDownError(reasons.PLUGIN_SLOW, f"no end within {WITHIN_S:g} s") from exc
        except PluginFailedError as exc:
            raise TryAgainError(reasons.PLUGIN_FAILED, str(exc)) from exc
        return _checked(made)

    def end(self) -> None:
        """Let its threads end; what was asked before still gets its answer."""
        self._threads.end()


def _asked(plugin: Callable[..., Any], record: Mapping[str, Any]) -> dict[Any, Any]:
    return asked(lambda: dict(plugin(record)))


def _checked(made: Mapping[Any, Any]) -> Mapping[str, Value]:
    """What a mailbox takes: so many plain names, values of plain types. Raises RefusedTaskError."""
    if len(made) > COLUMNS_MAX:
        raise RefusedTaskError(reasons.PLUGIN_FAILED, f"more than {COLUMNS_MAX} columns")
    for name, value in made.items():
        if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX or not name.isprintable():
            raise RefusedTaskError(reasons.PLUGIN_FAILED, "a column's name is no short line of text")
        if name.lower() in _TAKEN:
            raise RefusedTaskError(reasons.PLUGIN_FAILED, f"a column can't be called {name}: that name is taken")
        if not _is_plain(value):
            raise RefusedTaskError(reasons.PLUGIN_FAILED, f"column {name}: no text, number or truth that fits")
    return {name: value[:TEXT_MAX] if isinstance(value, str) else value for name, value in made.items()}


def _is_plain(value: object) -> bool:
    if isinstance(value, bool | str):
        return True
    if isinstance(value, int):
        return abs(value) <= _LARGEST
    return isinstance(value, float) and math.isfinite(value)
