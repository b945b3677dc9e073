"""Whatever breaks, and wherever the process dies: never no item, and one in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.config.sentitems_schema import SentItemsSettings
from mta.model.mailbox_item import Marks, stamp_of, stamped_copy
from mta.model.sentitem import JobState, SentItemJob
from mta.sentitems.same_text import Said, digest
from tests.unit.sentitems.attempts import worked
from tests.unit.sentitems.remembered_server import Fault, RememberedServer
from tests.unit.sentitems.samples import MESSAGE, STAMP, copy_of, item_of, job_with, let_go
from tests.unit.sentitems.samples import settings as configured

SECOND_STAMP = "Example GmbH, Munich"
FIRST = copy_of(MESSAGE, external=False)
SECOND = copy_of(MESSAGE, queue_id="q2", stamp=SECOND_STAMP, after_s=30)


@dataclass(frozen=True)
class Way:
    """One way that an attempt can take when nothing goes wrong."""

    job: SentItemJob
    settings: SentItemsSettings
    texts: tuple[str, ...]
    """Stamps of what stands in Sent Items at the end."""
    has_ours: bool = False
    """The item there is one of ours, of the first copy."""
    can_rewrite: bool = False
    has_original: bool = False
    """It stays, beside."""

    def server(
        self, faults: Mapping[int, Fault], *, late_s: float = 0, has_change_keys: bool = True
    ) -> RememberedServer:
        server = RememberedServer(
            late_s=late_s, faults=faults, has_change_keys=has_change_keys, can_rewrite=self.can_rewrite
        )
        if self.has_ours:
            item = item_of(MESSAGE)
            server.put(replace(item, stamp=stamp_of(self.job.id, FIRST.key, digest(Said(item.html, item.text)))))
        else:
            server.put(item_of(MESSAGE))
        return server


WAYS = {
    "replaced": Way(job_with(copy_of(MESSAGE)), configured(), (STAMP,)),
    "late-sibling": Way(
        job_with(let_go(FIRST), SECOND, placed=FIRST.key), configured(), (SECOND_STAMP,), has_ours=True
    ),
    "all-copies": Way(job_with(FIRST, SECOND), configured(copies="all"), (STAMP, SECOND_STAMP)),
    "kept": Way(job_with(copy_of(MESSAGE)), configured(keep_original=True), (STAMP,), has_original=True),
    "in-place": Way(job_with(copy_of(MESSAGE)), configured(method="in-place"), (STAMP,), can_rewrite=True),
}
CALLS = 12
"""More than any way takes."""


async def _ends_well(way: Way, server: RememberedServer) -> None:
    verdict = await worked(way.job, server, way.settings)
    assert verdict.state is JobState.DONE, (verdict, server.calls)
    _is_well(way, server)
    ours = [item for item in server.items if item.stamp]
    assert set(verdict.placed.split()) == {stamped_copy(item.stamp) for item in ours}


def _is_well(way: Way, server: RememberedServer) -> None:
    assert server.fewest >= 1
    ours = [item for item in server.items if item.stamp]
    for text in way.texts:
        assert len([item for item in ours if text.partition(" · ")[0] in (item.html or "")]) == 1, server.calls
    assert len(ours) == len(way.texts), server.calls
    assert len(server.items) == len(ours) + way.has_original, server.calls


@pytest.mark.parametrize("late_s", [0.0, 15.0])
@pytest.mark.parametrize("name", WAYS)
async def test_one_fault_at_each_call(name: str, late_s: float) -> None:
    for number, fault, has_change_keys in product(range(CALLS), Fault, (True, False)):
        await _ends_well(WAYS[name], WAYS[name].server({number: fault}, late_s=late_s, has_change_keys=has_change_keys))


@pytest.mark.parametrize("name", WAYS)
async def test_lists_that_lag_for_longer_than_anybody_waits(name: str) -> None:
    """What was made counts as taken away then at times, but it stands there, once."""
    for number, fault in product(range(CALLS), Fault):
        server = WAYS[name].server({number: fault}, late_s=600)
        verdict = await worked(WAYS[name].job, server, WAYS[name].settings)
        assert verdict.state.is_final, (verdict, server.calls)
        _is_well(WAYS[name], server)


@pytest.mark.parametrize("name", WAYS)
async def test_a_death_at_every_second_call_and_at_any_two(name: str) -> None:
    deaths = (Fault.DIES_BEFORE, Fault.DIES_AFTER)
    for first, second, one, other in product(range(CALLS), range(CALLS), deaths, deaths):
        if first < second:
            await _ends_well(WAYS[name], WAYS[name].server({first: one, second: other}, late_s=15))


@settings(deadline=None, max_examples=150)
@given(
    name=st.sampled_from(sorted(WAYS)),
    faults=st.dictionaries(st.integers(0, 40), st.sampled_from(Fault), max_size=5),
    late_s=st.sampled_from([0.0, 3.0, 15.0]),
    has_change_keys=st.booleans(),
)
async def test_several_faults(name: str, faults: dict[int, Fault], late_s: float, has_change_keys: bool) -> None:
    await _ends_well(WAYS[name], WAYS[name].server(faults, late_s=late_s, has_change_keys=has_change_keys))


class Owner:
    """Of the mailbox, at work while we are: marks, edits and deletes what is there. What he wrote must stay."""

    def __init__(self) -> None:
        self.edited: set[str] = set()
        self.gone: set[str] = set()

    def at(self, deed: str, which: int) -> Callable[[RememberedServer], None]:
        def act(server: RememberedServer) -> None:
            names = sorted(server.kept)
            if not names:
                return
            name = names[which % len(names)]
            if deed == "edit":
                self.edited.add(name)
                server.change(name, html="<p>Called him.</p>")
            elif deed == "delete":
                self.gone.add(name)
                server.take_away(name)
            else:
                server.change(name, marks=Marks(is_read=False, categories=(deed,)))

        return act


DEEDS = st.tuples(st.sampled_from(["edit", "delete", "Red", "Blue"]), st.integers(0, 3))


@settings(deadline=None, max_examples=200)
@given(
    name=st.sampled_from(sorted(WAYS)),
    deeds=st.dictionaries(st.integers(0, 14), DEEDS, max_size=3),
    faults=st.dictionaries(st.integers(0, 25), st.sampled_from(Fault), max_size=3),
)
async def test_what_its_owner_writes_stays_and_what_he_deletes_does_not_come_back(
    name: str, deeds: dict[int, tuple[str, int]], faults: dict[int, Fault]
) -> None:
    way, owner = WAYS[name], Owner()
    server = way.server(faults)
    server.happenings = {number: owner.at(*deed) for number, deed in deeds.items()}
    verdict = await worked(way.job, server, way.settings)
    assert owner.edited - owner.gone <= set(server.kept), (verdict, server.calls)
    if not owner.gone:
        assert server.fewest >= 1
