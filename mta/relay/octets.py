"""A message's bytes at hand: where they stand, and where work on them is done."""

from __future__ import annotations

import asyncio
import mmap
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from mta.message.edit import Buffer
from mta.model.delivery import Body

P = ParamSpec("P")
T = TypeVar("T")

IN_A_THREAD_FROM = 128_000
"""Octets: larger messages are parsed, stamped and signed in a thread, so that they don't hold up the others.

Looking for the place under a reply is linear, but a text made to be slow costs some microseconds an octet.
"""


class BodyLostError(OSError):
    """A message's file is missing, or not as long as it was; the text says which and how."""


def buffer_of(body: Body) -> Buffer:
    """The received bytes, mapped where they stand in a file. Raises BodyLostError; another OSError may pass."""
    if body.data is not None:
        return body.data
    assert body.path is not None
    try:
        file = body.path.open("rb")
    except FileNotFoundError as exc:
        raise BodyLostError(f"{body.path} is missing") from exc
    with file:
        size = os.fstat(file.fileno()).st_size
        if size != body.size_octets:
            raise BodyLostError(f"{body.path} has {size} octets, received were {body.size_octets}")
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


async def off_the_loop(size_octets: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work on a message's bytes: at once, or in a thread where they are many."""
    if size_octets < IN_A_THREAD_FROM:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
