"""Deciding with plug-ins: off the event loop, on a few threads of its own, within a time.

A thread can't be stopped. One that hangs is left to itself; when all hang, mail that needs a plug-in is put off with
451, and the rest of the relay goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

THREADS = 4
WITHIN_S = 10.0
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="plug-in")


async def in_time(work: Callable[[], T]) -> T:
    """Do the work on one of the threads. Raises TimeoutError where it takes too long, waiting for a thread included."""
    async with asyncio.timeout(WITHIN_S):
        return await asyncio.get_running_loop().run_in_executor(_threads, work)
