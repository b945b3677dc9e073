"""The end of what a process has in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any


async def finished(tasks: Collection[asyncio.Task[Any]], within_s: float) -> int:
    """Let them end by themselves for so long, then break off the rest, and wait for their end; how many those were."""
    if not tasks:
        return 0
    _, late = await asyncio.wait(tasks, timeout=within_s)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return len(late)
