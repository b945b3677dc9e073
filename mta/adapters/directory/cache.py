"""What a process remembers of a directory that is elsewhere, so that mail hardly ever waits for it.

An entry is fresh for its time to live. Shortly before that is over, whoever asks gets it and has it read anew in the
background. Past it, whoever asks waits for the source, but not for long; while the source is down, entries past their
time are used, and that is logged. Each key is asked for once at a time, whoever wants it.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from mta import events
from mta.config.directory_schema import DirectoryCache
from mta.model.person import Person, UnansweredPerson
from mta.ports.directory import DirectoryDownError

BATCH = 40
"""Keys that are asked for in one query."""
AT_ONCE = 8
"""Queries under way at once."""
NEW_KEYS_MAX = 1000
"""Keys of one call that are asked of the source; a message may name thousands. Those beyond count as unknown."""
_REFRESH_FROM = 0.8
_SAY_STALE_EVERY_S = 60.0


class SourceError(Exception):
    """The source can't answer; the text says why, without any value."""


Fetch = Callable[[Collection[str]], Awaitable[Mapping[str, Person]]]
"""Reads the entries of these keys; unknown ones are left out. Raises SourceError. Every wait in it is bounded."""


@dataclass(slots=True, eq=False)
class _Kept:
    person: Person
    read_at: float
    refresh_at: float
    octets: int
    used: bool = True


class PeopleCache:
    """Entries by key, bounded in number and octets; those not asked for go first."""

    def __init__(
        self, fetch: Fetch, settings: DirectoryCache, source: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._fetch = fetch
        self._source = source
        self._ttl_s = settings.ttl.total_seconds()
        self._unknown_ttl_s = settings.unknown_ttl.total_seconds()
        self._keep_stale_s = self._ttl_s + settings.keep_stale.total_seconds()
        self._wait_s = settings.wait.total_seconds()
        self._entries_max = settings.entries
        self._octets_max = settings.memory
        self._kept: dict[str, _Kept] = {}
        self._octets = 0
        self._unknown: dict[str, float] = {}
        """Key → when the source said that it doesn't know it."""
        self._flights: dict[str, asyncio.Task[None]] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._down_since: float | None = None
        self._stale_said_at = float("-inf")

    async def people(self, keys: Collection[str]) -> Mapping[str, Person]:
        """As `mta.ports.directory.Directory.people` says."""
        now = self._clock()
        found: dict[str, Person] = {}
        unanswered: list[str] = []
        due = self._remembered(keys, found, now)
        if due:
            unanswered += await self._ask(due, found, now)
        managers = {person.manager for person in found.values() if person.manager}.difference(found)
        if managers:
            due = self._remembered(managers, found, now)
            if due:
                unanswered += await self._ask(due, found, now)
        if unanswered:
            error = DirectoryDownError()
            error.people = found | {key: UnansweredPerson(key, error) for key in unanswered}
            raise error
        return found

    def _remembered(self, keys: Iterable[str], found: dict[str, Person], now: float) -> list[str]:
        """Adds what is fresh to `found`; returns the other keys."""
        kept, unknown = self._kept, self._unknown
        due = []
        for key in keys:
            entry = kept.get(key)
            if entry is None:
                if now - unknown.get(key, float("-inf")) > self._unknown_ttl_s:
                    due.append(key)
            elif now < entry.refresh_at:
                entry.used = True
                found[key] = entry.person
            else:
                due.append(key)
        return due

    async def _ask(self, due: Collection[str], found: dict[str, Person], began: float) -> list[str]:
        """Adds what the source says, or said a while ago, to `found`; returns the keys that got no answer.

        Where there is something to go on with, nobody waits: the answer serves whoever asks next.
        """
        waiting = []
        for key in due:
            entry = self._kept.get(key)
            is_fresh = entry is not None and began - entry.read_at <= self._ttl_s
            if not is_fresh and not (self._down_since is not None and self._has_stale(key, began)):
                waiting.append(key)
        flights = self._launch(due)
        wanted = {flights[key] for key in waiting if key in flights}
        left_s = self._wait_s - (self._clock() - began)
        if wanted and left_s > 0:
            await asyncio.wait(wanted, timeout=left_s)
        return self._gathered(due, found, flights, began)

    def _gathered(
        self, due: Collection[str], found: dict[str, Person], asked: Collection[str], began: float
    ) -> list[str]:
        now = self._clock()
        stale, oldest_s = 0, 0.0
        unanswered = []
        for key in due:
            entry = self._kept.get(key)
            if entry is None:
                if key in asked and not self._has_stale(key, now):
                    unanswered.append(key)
                continue
            age_s = now - entry.read_at
            if age_s > self._keep_stale_s:
                unanswered.append(key)
                continue
            entry.used = True
            found[key] = entry.person
            if age_s > self._ttl_s and entry.read_at < began:
                stale, oldest_s = stale + 1, max(oldest_s, age_s)
        if stale and now - self._stale_said_at > _SAY_STALE_EVERY_S:
            self._stale_said_at = now
            events.directory_stale(self._source, entries=stale, oldest_s=oldest_s)
        return unanswered

    def _has_stale(self, key: str, now: float) -> bool:
        """Whether something was known of the key, not too long ago: an entry, or that there is none."""
        entry = self._kept.get(key)
        read_at = entry.read_at if entry is not None else self._unknown.get(key)
        return read_at is not None and now - read_at <= self._keep_stale_s

    # --- reading ------------------------------------------------------------------------------------------------------

    def _launch(self, keys: Collection[str]) -> dict[str, asyncio.Task[None]]:
        """The queries under way for these keys, begun where there is none yet."""
        new = [key for key in keys if key not in self._flights][:NEW_KEYS_MAX]
        for start in range(0, len(new), BATCH):
            batch = tuple(new[start : start + BATCH])
            self._flights |= dict.fromkeys(batch, asyncio.create_task(self._read(batch)))
        return {key: self._flights[key] for key in keys if key in self._flights}

    async def _read(self, keys: Collection[str]) -> None:
        try:
            async with self._gate:
                found = await self._fetch(keys)
        except SourceError as exc:
            self._failed(str(exc))
        except Exception as exc:  # noqa: BLE001 - the edge of a task; who waits for it gets what is known
            events.internal_error("directory", error=repr(exc), traceback=traceback.format_exc())
            self._failed(type(exc).__name__)
        else:
            self._answered()
            for key in keys:
                self._store(key, found.get(key))
        finally:
            for key in keys:
                del self._flights[key]

    def _failed(self, error: str) -> None:
        if self._down_since is None:
            self._down_since = self._clock()
            events.directory_down(self._source, error=error)

    def _answered(self) -> None:
        if self._down_since is not None:
            events.directory_up(self._source, down_s=self._clock() - self._down_since)
            self._down_since, self._stale_said_at = None, float("-inf")

    # --- keeping ------------------------------------------------------------------------------------------------------

    def remember(self, people: Iterable[Person], *, besides: Collection[str] = ()) -> None:
        """Keep entries that were read for another reason, by all their addresses besides those that are others'."""
        for person in people:
            for key in {person.address, *person.aliases}.difference(besides):
                self._store(key, person)

    def _store(self, key: str, person: Person | None) -> None:
        now = self._clock()
        former = self._kept.pop(key, None)
        if former is not None:
            self._octets -= former.octets
        if person is None:
            self._unknown.pop(key, None)
            self._unknown[key] = now
            if len(self._unknown) > self._entries_max:
                del self._unknown[next(iter(self._unknown))]
            return
        self._unknown.pop(key, None)
        if former is not None and former.person == person:
            person = former.person  # what was made of it, such as a rendered signature, stays good
        entry = _Kept(person, now, now + self._ttl_s * _REFRESH_FROM, _octets_of(person))
        self._kept[key] = entry
        self._octets += entry.octets
        self._make_room()

    def _make_room(self) -> None:
        """By the clock: oldest first, but who was asked for since the hand passed has another round."""
        while self._octets > self._octets_max or len(self._kept) > self._entries_max:
            key = next(iter(self._kept))
            entry = self._kept.pop(key)
            if entry.used and len(self._kept) > 0:
                entry.used = False
                self._kept[key] = entry
            else:
                self._octets -= entry.octets

    async def close(self) -> None:
        """End the queries under way; what is remembered stays."""
        flights = set(self._flights.values())
        for task in flights:
            task.cancel()
        if flights:
            await asyncio.wait(flights)
        self._gate = asyncio.Semaphore(AT_ONCE)


def _octets_of(person: Person) -> int:
    """About what an entry takes in memory."""
    texts = sum(60 + len(value) for value in person.attributes.values())
    keys = sum(60 + len(alias) for alias in person.aliases)
    return 900 + texts + keys + 40 * len(person.groups) + len(person.photo)
