"""The threads on which a worker decides with plug-ins: one that hangs costs its own message a 451 and nothing else.

After STUCK_MAX of them the worker finishes what it has in hand and is replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mta.plugin_threads import PluginThreads

WITHIN_S = 10.0
T = TypeVar("T")

plugin_threads = PluginThreads()


async def in_time(work: Callable[[], T]) -> T:
    """Do the work. Raises TimeoutError where it takes too long, waiting for a thread included."""
    return await plugin_threads.within(WITHIN_S, work)
