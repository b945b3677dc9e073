"""Plug-ins of the organisation's own, found by their entry points."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any


def load(group: str, name: str, settings: Mapping[str, Any]) -> Callable[..., Any]:
    """The plug-in's function, or an instance of its class, made with the settings.

    Raises LookupError where there is none, it can't be called, or several packages have one of that name; and whatever
    it raises when it is loaded or made.
    """
    found = entry_points(group=group, name=name)
    values = {entry.value for entry in found}
    if not values:
        raise LookupError(f"there is no plug-in {name!r} in the group {group}")
    if len(values) > 1:
        raise LookupError(f"several packages have a plug-in {name!r} in the group {group}: {', '.join(sorted(values))}")
    loaded = next(iter(found)).load()
    plugin = loaded(dict(settings)) if inspect.isclass(loaded) else loaded
    if not callable(plugin):
        raise LookupError(f"plug-in {name!r} can't be called: let its entry point name a function or a class")
    made: Callable[..., Any] = plugin
    return made
