"""Work on many bytes at a time, done where it doesn't hold up others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

IN_A_THREAD_FROM = 128_000
"""Octets: larger messages are parsed, stamped and signed in a thread, so that they don't hold up the others.

Looking for the place under a reply is linear, but a text made to be slow costs some microseconds an octet.
"""


async def off_the_loop(size_octets: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work on a message's bytes: at once, or in a thread where they are many."""
    if size_octets < IN_A_THREAD_FROM:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
