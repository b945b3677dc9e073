"""Remembering what short octet strings come to: types, encodings and senders that are met again and again."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")

REMEMBERED_OCTETS_MAX = 250
REMEMBERED_VALUES_MAX = 1024


def remembered(read: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """The same function with a memory of its last answers, which are shared: they must not be changed.

    What is longer than a writer's usual line is read anew each time, so that nobody can fill the memory.
    """
    known = lru_cache(maxsize=REMEMBERED_VALUES_MAX)(read)

    def read_or_remember(raw: bytes) -> T:
        return known(raw) if len(raw) <= REMEMBERED_OCTETS_MAX else read(raw)

    return read_or_remember
