"""The cache between mail and a source that may be slow or down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from mta import events
from mta.adapters.directory.cache import BATCH, NEW_KEYS_MAX, PeopleCache, SourceError
from mta.config.directory_schema import DirectoryCache
from mta.model.person import Person, UnansweredPerson
from mta.ports.directory import DirectoryDownError


def person(name: str, **changes: Any) -> Person:
    return Person(f"{name}@example.com", attributes={"displayName": name.title()}, **changes)


class Source:
    """Answers from a dictionary; while `gate` is clear, questions wait, and `down` makes them fail."""

    def __init__(self, people: Iterable[Person] = ()) -> None:
        self.people = {each.address: each for each in people}
        self.asked: list[frozenset[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.down = False
        self.at_once = self.most_at_once = 0

    async def fetch(self, keys: Collection[str]) -> Mapping[str, Person]:
        self.asked.append(frozenset(keys))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            await self.gate.wait()
        finally:
            self.at_once -= 1
        if self.down:
            raise SourceError("it is down")
        return {key: self.people[key] for key in keys if key in self.people}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Source:
    return Source([person("jane", manager="boss@example.com"), person("boss", manager="chief@example.com"),
                   person("chief")])  # fmt: skip


Make = Callable[..., PeopleCache]


@pytest.fixture
async def make(source: Source, clock: Clock) -> Make:
    def made(**changes: Any) -> PeopleCache:
        settings = {"ttl": timedelta(seconds=100), "unknown_ttl": timedelta(seconds=50),
                    "keep_stale": timedelta(seconds=1000), "wait": timedelta(seconds=30), **changes}  # fmt: skip
        return PeopleCache(source.fetch, DirectoryCache.model_validate(settings), "test", clock)

    return made


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []

    class Sink:
        def write(self, level: str, action: str, line: str, day: str) -> None:
            lines.append(f"{level} {action}")

    events.configure([Sink()])
    yield lines
    events.configure([])


JANE, BOSS = "jane@example.com", "boss@example.com"


async def settled(cache: PeopleCache) -> None:
    """Until what runs in the background has ended."""
    while cache._flights:
        await asyncio.wait(set(cache._flights.values()))


async def test_an_answer_is_asked_for_once(make: Make, source: Source) -> None:
    cache = make()
    assert set(await cache.people([JANE, "nobody@example.com"])) == {JANE, BOSS}
    assert source.asked == [{JANE, "nobody@example.com"}, {BOSS}]
    first = await cache.people([JANE, "nobody@example.com"])
    assert first[JANE] is (await cache.people([JANE]))[JANE]
    assert len(source.asked) == 2


async def test_many_who_want_the_same_ask_once(make: Make, source: Source) -> None:
    cache = make()
    source.gate.clear()
    waiting = [asyncio.create_task(cache.people([JANE])) for _ in range(20)]
    await asyncio.sleep(0)
    source.gate.set()
    answers = await asyncio.gather(*waiting)
    assert all(set(answer) == {JANE, BOSS} for answer in answers)
    assert source.asked == [{JANE}, {BOSS}]


async def test_shortly_before_its_time_is_over_an_entry_is_read_anew_in_the_background(
    make: Make, source: Source, clock: Clock
) -> None:
    cache = make()
    await cache.people([BOSS])
    source.people[BOSS] = person("boss", disabled=True)
    clock.now += 90
    source.gate.clear()
    assert not (await cache.people([BOSS]))[BOSS].disabled
    source.gate.set()
    await settled(cache)
    assert (await cache.people([BOSS]))[BOSS].disabled


async def test_past_its_time_an_entry_is_waited_for(make: Make, source: Source, clock: Clock) -> None:
    cache = make()
    await cache.people([BOSS])
    source.people[BOSS] = person("boss", disabled=True)
    clock.now += 101
    assert (await cache.people([BOSS]))[BOSS].disabled


async def test_an_entry_that_has_not_changed_stays_the_same_object(make: Make, source: Source, clock: Clock) -> None:
    cache = make()
    before = (await cache.people([BOSS]))[BOSS]
    source.people[BOSS] = person("boss", manager="chief@example.com")
    clock.now += 101
    assert (await cache.people([BOSS]))[BOSS] is before


async def test_who_has_gone_is_gone(make: Make, source: Source, clock: Clock) -> None:
    cache = make()
    await cache.people([BOSS])
    del source.people[BOSS]
    clock.now += 101
    assert await cache.people([BOSS]) == {}


async def test_that_nobody_has_an_address_is_forgotten_sooner(make: Make, source: Source, clock: Clock) -> None:
    cache = make()
    assert await cache.people(["new@example.com"]) == {}
    source.people["new@example.com"] = person("new")
    clock.now += 49
    assert await cache.people(["new@example.com"]) == {}
    clock.now += 2
    assert set(await cache.people(["new@example.com"])) == {"new@example.com"}


async def test_while_the_source_is_down_old_answers_are_used(
    make: Make, source: Source, clock: Clock, logged: list[str]
) -> None:
    cache = make()
    await cache.people([JANE, "nobody@example.com"])
    source.down = True
    clock.now += 101
    for _ in range(3):
        assert set(await cache.people([JANE, "nobody@example.com"])) == {JANE, BOSS}
        await settled(cache)
    assert logged == ["error directory-down", "warning directory-stale"]
    clock.now += 61
    await cache.people([JANE])
    assert logged[2:] == ["warning directory-stale"]
    source.down = False
    await settled(cache)
    await cache.people([JANE])
    await settled(cache)
    assert logged[3:] == ["info directory-up"]


async def test_old_answers_have_an_end_too(make: Make, source: Source, clock: Clock) -> None:
    cache = make()
    await cache.people([BOSS, "nobody@example.com"])
    source.down = True
    clock.now += 1101
    with pytest.raises(DirectoryDownError) as caught:
        await cache.people([BOSS, "nobody@example.com"])
    assert all(isinstance(each, UnansweredPerson) for each in caught.value.people.values())
    assert set(caught.value.people) == {BOSS, "nobody@example.com"}


async def test_what_is_known_comes_with_the_error_and_the_rest_fails_when_it_is_asked(
    make: Make, source: Source
) -> None:
    cache = make()
    await cache.people([BOSS])
    source.down = True
    with pytest.raises(DirectoryDownError) as caught:
        await cache.people([BOSS, JANE])
    people = caught.value.people
    assert people[BOSS].attributes["displayName"] == "Boss"
    jane = people[JANE]
    assert (jane.address, jane.aliases, jane.is_contact, jane.group_name) == (JANE, frozenset(), False, "")
    for attribute in ("attributes", "groups", "manager", "disabled", "unit", "photo"):
        with pytest.raises(DirectoryDownError):
            getattr(jane, attribute)
    assert caught.value.reply.code == 451


async def test_a_manager_who_is_not_known_yet_is_unanswered_too(make: Make, source: Source) -> None:
    cache = make()
    cache.remember([source.people[JANE]])
    source.down = True
    with pytest.raises(DirectoryDownError) as caught:
        await cache.people([JANE])
    assert caught.value.people[JANE].attributes["displayName"] == "Jane"
    assert isinstance(caught.value.people[BOSS], UnansweredPerson)


async def test_nobody_waits_longer_than_configured_and_the_answer_serves_the_next(make: Make, source: Source) -> None:
    cache = make(wait=timedelta(milliseconds=5))
    source.gate.clear()
    with pytest.raises(DirectoryDownError):
        await cache.people([BOSS])
    source.gate.set()
    await settled(cache)
    assert BOSS in await cache.people([BOSS])
    assert len([asked for asked in source.asked if BOSS in asked]) == 1


async def test_while_it_is_down_nobody_waits_who_can_go_on(make: Make, source: Source, clock: Clock) -> None:
    cache = make(wait=timedelta(hours=1))
    await cache.people([BOSS])
    source.down = True
    clock.now += 101
    await cache.people([BOSS])
    await settled(cache)
    source.gate.clear()  # now it is silent, too
    assert BOSS in await cache.people([BOSS])
    await cache.close()


async def test_questions_are_put_together_and_bounded(make: Make, source: Source) -> None:
    cache = make()
    keys = [f"n{number}@example.com" for number in range(NEW_KEYS_MAX + 500)]
    assert await cache.people(keys) == {}
    assert max(map(len, source.asked)) == BATCH
    assert sum(map(len, source.asked)) == NEW_KEYS_MAX
    assert 1 < source.most_at_once <= 8


async def test_entries_are_bounded_and_those_in_use_stay(make: Make, source: Source) -> None:
    cache = make(entries=50)
    regulars = [person(f"regular{number}") for number in range(10)]
    source.people |= {each.address: each for each in regulars}
    for number in range(300):
        await cache.people([each.address for each in regulars])
        stranger = person(f"stranger{number}")
        source.people[stranger.address] = stranger
        await cache.people([stranger.address])
    assert len(cache._kept) == 50
    source.asked.clear()
    await cache.people([each.address for each in regulars])
    assert source.asked == []


async def test_memory_is_bounded_and_strangers_push_nobody_out(make: Make, source: Source) -> None:
    cache = make(memory=1_000_000, entries=1000)
    await cache.people([BOSS])
    await cache.people([f"stranger{number}@example.net" for number in range(900)])
    assert len(cache._unknown) == 900
    await cache.people([f"more{number}@example.net" for number in range(900)])
    assert len(cache._unknown) == 1000
    for number in range(30):
        cache.remember([person(f"p{number}", photo=b"x" * 100_000)])
    assert cache._octets <= 1_000_000
    assert cache._octets == sum(entry.octets for entry in cache._kept.values())
    assert 5 <= len(cache._kept) <= 10


async def test_an_error_of_our_own_is_logged_and_passes_for_the_source_being_down(
    clock: Clock, logged: list[str]
) -> None:
    async def fetch(keys: Collection[str]) -> Mapping[str, Person]:
        raise RuntimeError("oops")

    cache = PeopleCache(fetch, DirectoryCache(), "test", clock)
    with pytest.raises(DirectoryDownError):
        await cache.people([JANE])
    assert logged == ["error internal-error", "error directory-down"]


async def test_closing_ends_what_is_under_way_and_asking_goes_on_afterwards(make: Make, source: Source) -> None:
    cache = make(wait=timedelta(milliseconds=1))
    source.gate.clear()
    with pytest.raises(DirectoryDownError):
        await cache.people([BOSS])
    await cache.close()
    assert source.at_once == 0
    source.gate.set()
    assert set(await make().people([BOSS])) >= {BOSS}
    assert set(await cache.people(["chief@example.com"])) == {"chief@example.com"}
