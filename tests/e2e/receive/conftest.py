"""Every test of this folder runs on asyncio's own loop and on uvloop, which differ most where clients misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loops, by the names that show in the tests' ids."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
