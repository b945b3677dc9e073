"""Queue ids: short, unique across workers and restarts, rising with time."""

from __future__ import annotations

import itertools
import os
import time
from datetime import UTC, datetime, timedelta

_ALPHABET = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"  # no vowels, so no words
_counter = itertools.count(int.from_bytes(os.urandom(2), "big"))


def _base(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def new_queue_id() -> str:
    """17 characters: microseconds since 1970, then process id and a counter."""
    return _base(time.time_ns() // 1000, 10) + _base(os.getpid(), 4) + _base(next(_counter), 3)


def made_at(queue_id: str) -> datetime | None:
    """When a queue id was made; None for what is none of ours."""
    if len(queue_id) != 17 or not all(char in _ALPHABET for char in queue_id):
        return None
    microseconds = 0
    for char in queue_id[:10]:
        microseconds = microseconds * len(_ALPHABET) + _ALPHABET.index(char)
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    except OverflowError:
        return None
