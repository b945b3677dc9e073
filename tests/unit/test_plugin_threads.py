"""Threads for plug-ins: one that hangs is given up and replaced, too many make the worker give way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from mta.plugin_threads import STUCK_MAX, THREADS, PluginThreads
from tests.servers.wait import wait_until

SHORT_S = 0.05
LONG_S = 60.0


@dataclass
class Plugin:
    """Hangs until it is let go."""

    let_go: threading.Event = field(default_factory=threading.Event)
    threads: set[int] = field(default_factory=set)

    def hang(self) -> str:
        self.threads.add(threading.get_ident())
        self.let_go.wait()
        return "late"


@pytest.fixture
def plugin() -> Iterator[Plugin]:
    made = Plugin()
    yield made
    made.let_go.set()


async def _hang(threads: PluginThreads, plugin: Plugin, times: int) -> None:
    outcomes = await asyncio.gather(
        *(threads.within(SHORT_S, plugin.hang) for _ in range(times)), return_exceptions=True
    )
    assert all(isinstance(outcome, TimeoutError) for outcome in outcomes)


async def test_work_is_done_and_what_it_raises_is_raised() -> None:
    threads = PluginThreads()
    assert await threads.within(LONG_S, lambda: "done") == "done"
    with pytest.raises(KeyError):
        await threads.within(LONG_S, lambda: dict[str, int]()["nothing"])
    assert threads.stuck == 0


async def test_those_that_hang_keep_nobody_else_waiting(plugin: Plugin) -> None:
    threads = PluginThreads()
    while threads.stuck < THREADS:  # who waits in vain for a thread to begin isn't stuck
        await _hang(threads, plugin, THREADS - threads.stuck)
    assert await threads.within(LONG_S, lambda: "done") == "done"


async def test_what_waited_for_a_thread_in_vain_is_never_begun(plugin: Plugin) -> None:
    threads = PluginThreads()
    begun: list[str] = []
    hanging = asyncio.gather(*(threads.within(LONG_S, plugin.hang) for _ in range(THREADS)))
    async with asyncio.timeout(LONG_S):
        while len(plugin.threads) < THREADS:
            await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await threads.within(SHORT_S, lambda: begun.append("x"))
    plugin.let_go.set()
    await hanging
    assert await threads.within(LONG_S, lambda: "done") == "done"
    assert begun == []


async def test_too_many_are_said_once_and_no_more_threads_are_begun(plugin: Plugin) -> None:
    threads = PluginThreads()
    said: list[int] = []
    threads.on_sick = said.append
    while not said:
        await _hang(threads, plugin, THREADS)
    assert said == [STUCK_MAX]
    await _hang(threads, plugin, THREADS)
    wait_until(lambda: len(plugin.threads) >= STUCK_MAX, LONG_S, "those that had just begun")
    assert len(plugin.threads) == STUCK_MAX
    assert said == [STUCK_MAX]


async def test_one_that_comes_back_after_all_does_not_count_any_more(plugin: Plugin) -> None:
    threads = PluginThreads()
    await _hang(threads, plugin, 2)
    plugin.let_go.set()
    async with asyncio.timeout(LONG_S):
        while threads.stuck:
            await asyncio.sleep(0.001)
    assert await threads.within(LONG_S, lambda: "done") == "done"


async def test_they_end_when_nothing_more_is_asked_of_them() -> None:
    threads = PluginThreads()
    working: set[threading.Thread] = set()
    together = threading.Barrier(THREADS)

    def work() -> None:
        working.add(threading.current_thread())
        together.wait(LONG_S)

    await asyncio.gather(*(threads.within(LONG_S, work) for _ in range(THREADS)))
    threads.end()
    for thread in working:
        await asyncio.to_thread(thread.join, LONG_S)
    assert len(working) == THREADS
    assert not any(thread.is_alive() for thread in working)
