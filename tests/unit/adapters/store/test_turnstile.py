"""The lock between writers: exclusive, and fair."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from mta.adapters.store.turnstile import Turnstile

ROUNDS = 100


def _in_two_threads(work: Callable[[str], None]) -> None:
    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def _commit(path: Path) -> None:
    """What the lock is held for: a write that is synced."""
    with path.open("ab") as log:
        log.write(b"x")
        log.flush()
        os.fsync(log.fileno())


def test_only_one_is_inside(tmp_path: Path) -> None:
    inside: list[str] = []
    crowded: list[tuple[str, ...]] = []

    def work(name: str) -> None:
        with closing(Turnstile(tmp_path)) as turn:
            for _ in range(ROUNDS):
                with turn:
                    inside.append(name)
                    if len(inside) > 1:
                        crowded.append(tuple(inside))
                    inside.remove(name)

    _in_two_threads(work)
    assert crowded == []


def test_two_that_always_want_in_take_turns(tmp_path: Path) -> None:
    order: list[str] = []
    both_want = threading.Barrier(2, timeout=60)

    def work(name: str) -> None:
        with closing(Turnstile(tmp_path)) as turn:
            both_want.wait()
            for _ in range(ROUNDS):
                with turn:
                    order.append(name)
                    _commit(tmp_path / "log")

    _in_two_threads(work)
    assert len(order) == 2 * ROUNDS
    first_done = min(max(index for index, name in enumerate(order) if name == who) for who in "ab")
    shares = [order[: first_done + 1].count(name) for name in "ab"]
    assert min(shares) > ROUNDS / 3, "one was let in while the other waited"
