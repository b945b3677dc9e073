"""Plug-ins of the organisation's own, found by their entry points."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeVar

from mta.ports.record_sink import Refuse, Retry

T = TypeVar("T")


class PluginFailedError(Exception):
    """It raised what it should not; the text is that exception's type, for its own may hold parts of a record."""


def load(group: str, name: str, settings: Mapping[str, Any]) -> Callable[..., Any]:
    """The plug-in's function, or an instance of its class, made with the settings.

    Raises LookupError where there is none, several packages have one of that name, or it can't be loaded or made.
    """
    found = entry_points(group=group, name=name)
    values = {entry.value for entry in found}
    if not values:
        raise LookupError(f"there is no plug-in {name!r} in the group {group}")
    if len(values) > 1:
        raise LookupError(f"several packages have a plug-in {name!r} in the group {group}: {', '.join(sorted(values))}")
    try:
        loaded: Any = next(iter(found)).load()
        plugin: Any = loaded(dict(settings)) if isinstance(loaded, type) else loaded
    except (Exception, SystemExit) as exc:
        raise LookupError(f"plug-in {name!r} can't be loaded: {type(exc).__name__}: {exc}") from exc
    if not callable(plugin):
        raise LookupError(f"plug-in {name!r} can't be called: let its entry point name a function or a class")
    made: Callable[..., Any] = plugin
    return made


def asked(work: Callable[[], T]) -> T:
    """What a plug-in gives, in its thread. Raises Retry, Refuse, PluginFailedError, and nothing else."""
    try:
        return work()
    except (Retry, Refuse):
        raise
    except BaseException as exc:  # what steers threads and loops, too: a plug-in ends neither
        raise PluginFailedError(type(exc).__name__) from exc


class LoadedOnce:
    """A plug-in that is loaded by whoever needs it first; for several threads."""

    def __init__(self, group: str, name: str, settings: Mapping[str, Any]) -> None:
        self._wanted = (group, name, settings)
        self._lock = threading.Lock()
        self._plugin: Callable[..., Any] | None = None

    def get(self) -> Callable[..., Any]:
        """Raises LookupError, each time anew: a package may have been installed."""
        with self._lock:
            if self._plugin is None:
                self._plugin = load(*self._wanted)
            return self._plugin

    def close(self) -> None:
        """Let it end, where it was loaded and has a `close`. Raises as `asked`."""
        close = getattr(self._plugin, "close", None)
        if callable(close):
            asked(close)
