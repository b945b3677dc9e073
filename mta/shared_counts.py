"""Counts that all processes of this machine share: connections open now, and how much came in some period.

A table in memory that the supervisor makes and the workers inherit (memfd). Each worker writes its own section only,
and reads all; so nothing is locked, and what a worker counted vanishes with it. It is bounded: a key has its place in
one bucket of eight, and where that is full what is past gives way, else the smallest of the rates. Sums are exact but
for what other workers add in the same microseconds, so a limit may be passed by one for each worker.

A key is a keyed hash, so that nobody can choose addresses that fall into one bucket. Time is the machine's monotonic
clock, which all processes share and which nobody sets back.
"""

from __future__ import annotations

import mmap
import os
import time
from hashlib import blake2b

_WAYS = 8
_SECRET_OCTETS = 32
_PAGE = mmap.PAGESIZE
_CONNECTION_BUCKETS = 1024
_RATE_BUCKETS = 4096
# A connection bucket is 8 keys, 8 counts. A rate bucket is 8 keys, periods, milliseconds of the clock from which on
# they are past, and counts: in the period in the lower 32 bits, in the one before in the upper.
_CONNECTION_WORDS = _CONNECTION_BUCKETS * 2 * _WAYS
_RATE_WORDS = _RATE_BUCKETS * 4 * _WAYS
_SECTION_WORDS = _CONNECTION_WORDS + _RATE_WORDS
_SECTION_OCTETS = _SECTION_WORDS * 8  # a multiple of any page
_COUNT_MAX = (1 << 32) - 1


class SharedCounts:
    """One process's view: it writes in `section`."""

    def __init__(self, memory: mmap.mmap, section: int, fd: int = -1) -> None:
        """Over a table as `create` makes it; the section is emptied. Raises ValueError where it doesn't fit."""
        self.fd = fd
        """To be passed on to workers; -1 where there is none."""
        self.sections = (len(memory) - _PAGE) // _SECTION_OCTETS
        if not 0 <= section < self.sections or len(memory) != _PAGE + self.sections * _SECTION_OCTETS:
            raise ValueError(f"no table with a section {section}")
        self._map = memory
        self._secret = memory[:_SECRET_OCTETS]
        self._words = memoryview(memory)[_PAGE:].cast("Q")
        self._section = section
        self.clear(section)

    @classmethod
    def private(cls) -> SharedCounts:
        """A table for this process alone."""
        memory = mmap.mmap(-1, _PAGE + _SECTION_OCTETS)
        memory[:_SECRET_OCTETS] = os.urandom(_SECRET_OCTETS)
        return cls(memory, 0)

    @classmethod
    def create(cls, workers: int) -> SharedCounts:
        """A new table with a section for each worker. The maker counts nothing itself."""
        fd = os.memfd_create("stampline-counts", os.MFD_CLOEXEC)
        os.ftruncate(fd, _PAGE + workers * _SECTION_OCTETS)
        os.pwrite(fd, os.urandom(_SECRET_OCTETS), 0)
        return cls(mmap.mmap(fd, 0), 0, fd)

    @classmethod
    def attach(cls, fd: int, section: int) -> SharedCounts:
        """A worker's view of the table that it has inherited. Raises OSError or ValueError where it is none."""
        return cls(mmap.mmap(fd, 0), section, fd)

    def clear(self, section: int) -> None:
        """Forget what was counted there: its process is gone."""
        self._map.madvise(mmap.MADV_REMOVE, _PAGE + section * _SECTION_OCTETS, _SECTION_OCTETS)

    def close(self) -> None:
        """Give the memory back to the system, once all have closed it."""
        self._words.release()
        self._map.close()
        if self.fd >= 0:
            os.close(self.fd)

    def key(self, *names: str) -> int:
        """What is counted, by its names; never 0."""
        digest = blake2b("\0".join(names).encode("utf-8", "surrogatepass"), digest_size=8, key=self._secret).digest()
        return int.from_bytes(digest, "little") or 1

    # --- open now ---

    def total(self, key: int) -> int:
        """How many all workers have open."""
        words, total = self._words, 0
        start = key % _CONNECTION_BUCKETS * 2 * _WAYS
        for at in range(start, len(words), _SECTION_WORDS):
            keys = words[at : at + _WAYS].tolist()
            if key in keys:
                total += words[at + _WAYS + keys.index(key)]
        return total

    def enter(self, key: int) -> None:
        """Count one more of ours; without a place for it, it goes uncounted."""
        words = self._words
        at = self._section * _SECTION_WORDS + key % _CONNECTION_BUCKETS * 2 * _WAYS
        keys, counts = words[at : at + _WAYS].tolist(), words[at + _WAYS : at + 2 * _WAYS].tolist()
        if key in keys:
            way = keys.index(key)
        elif 0 in counts:
            way = counts.index(0)
            words[at + way] = key
        else:
            return
        words[at + _WAYS + way] = counts[way] + 1

    def leave(self, key: int) -> None:
        """Count one of ours less."""
        words = self._words
        at = self._section * _SECTION_WORDS + key % _CONNECTION_BUCKETS * 2 * _WAYS
        keys = words[at : at + _WAYS].tolist()
        if key in keys:
            count = at + _WAYS + keys.index(key)
            words[count] = max(words[count] - 1, 0)

    # --- in a period ---

    def rate(self, key: int, period_s: float, now: float | None = None) -> float:
        """How much came in the period until now, by all workers.

        Of the fixed period before the present one as much counts as the sliding one covers of it.
        """
        instant = time.monotonic() if now is None else now
        period, share = int(instant // period_s), 1 - instant % period_s / period_s
        words, total = self._words, 0.0
        start = _CONNECTION_WORDS + key % _RATE_BUCKETS * 4 * _WAYS
        for at in range(start, len(words), _SECTION_WORDS):
            keys = words[at : at + _WAYS].tolist()
            if key not in keys:
                continue
            place = at + keys.index(key)
            age = period - words[place + _WAYS]
            former, current = divmod(words[place + 3 * _WAYS], _COUNT_MAX + 1)
            if age == 0:
                total += current + former * share
            elif age == 1:
                total += current * share
        return total

    def add(self, key: int, period_s: float, amount: int = 1, now: float | None = None) -> None:
        """Count what came."""
        instant = time.monotonic() if now is None else now
        period = int(instant // period_s)
        words = self._words
        at = self._section * _SECTION_WORDS + _CONNECTION_WORDS + key % _RATE_BUCKETS * 4 * _WAYS
        bucket = words[at : at + 4 * _WAYS].tolist()
        keys, ends = bucket[:_WAYS], bucket[2 * _WAYS : 3 * _WAYS]
        counts = [both & _COUNT_MAX for both in bucket[3 * _WAYS :]]
        if key in keys:
            way = keys.index(key)
            age = period - bucket[_WAYS + way]
        else:
            past = int(instant * 1000)
            weights = [count if end > past else -1 for count, end in zip(counts, ends, strict=True)]
            way, age = weights.index(min(weights)), 2
            words[at + way] = key
        former = counts[way] if age == 1 else bucket[3 * _WAYS + way] >> 32 if age == 0 else 0
        current = (counts[way] if age == 0 else 0) + amount
        words[at + _WAYS + way] = period
        words[at + 2 * _WAYS + way] = int((period + 2) * period_s * 1000)
        words[at + 3 * _WAYS + way] = former << 32 | min(current, _COUNT_MAX)

    def take(self, key: int, most: int, period_s: float, now: float | None = None) -> bool:
        """Count one more unless that would be over `most` in the period; whether it was counted."""
        if self.rate(key, period_s, now) + 1 > most:
            return False
        self.add(key, period_s, 1, now)
        return True
