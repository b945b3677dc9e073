"""The table of correlation: every case by itself, against a real store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.model.transaction import Transaction
from mta.tracking.correlate import Outcome
from tests.unit.tracking.correlate.case import Answer, Case, answer
from tests.unit.tracking.correlate.corpus_cases import corpus_cases
from tests.unit.tracking.correlate.made_cases import MADE
from tests.unit.tracking.correlate.proof_cases import PROOF_CASES
from tests.unit.tracking.correlate.score import Score, table
from tests.unit.tracking.correlate.threads import threads
from tests.unit.tracking.scene import MemoryDirectory, Scene, desk_settings

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SqliteTrackingStore]:
    opened = await SqliteTrackingStore.open(Path(tmp_path_factory.mktemp("store")) / "spool", works=True, reserve=0)
    yield opened
    await opened.close()


def scene_of(case: Case, store: SqliteTrackingStore) -> Scene:
    return Scene(store, f"of {case.name}", desk_settings(**case.settings), MemoryDirectory(case.people))


def assert_safe(case: Case, said: Answer) -> None:
    """No stranger joins, no loop opens; whoever is held, or not known, is not brought in by what he sends."""
    if case.stranger:
        assert said.outcome is not Outcome.JOINED, case.name
    if case.outcome is Outcome.LOOP:
        assert said.outcome is Outcome.LOOP, case.name
    if said.outcome not in (Outcome.JOINED, Outcome.NEW):
        assert (said.correlation.participants, said.correlation.known_ids) == ((), ()), case.name


@pytest.mark.parametrize("case", [*MADE, *PROOF_CASES], ids=[case.name for case in (*MADE, *PROOF_CASES)])
async def test_made(case: Case, store: SqliteTrackingStore) -> None:
    scene = scene_of(case, store)
    said = await answer(case, scene)
    about = scene.filled(case.about.encode()).decode()
    expected = (case.outcome, case.reason, case.conversation, case.merges, about, case.status)
    assert (said.outcome, said.reason, said.conversation, said.merges, said.about, said.status) == expected
    assert_safe(case, said)


@pytest.mark.corpus
async def test_real_mail(store: SqliteTrackingStore, capsys: pytest.CaptureFixture[str]) -> None:
    scores: dict[str, Score] = defaultdict(Score)
    wrong = []
    for case in corpus_cases():
        said = await answer(case, scene_of(case, store))
        scores[case.source].count(case, said)
        assert_safe(case, said)
        if not said.fits(case):
            wrong.append(f"{case.name}: {said.outcome.value}, {said.reason}, {said.conversation or 'no conversation'}")
    with capsys.disabled():
        print(f"\n{table(scores)}")
    assert wrong == []
    assert sum(score.cases for score in scores.values()) > 900
    assert sum(score.strangers for score in scores.values()) > 400


@pytest.mark.corpus
@pytest.mark.parametrize("order", ["as they are", "newest first"])
async def test_real_threads(order: str, store: SqliteTrackingStore, capsys: pytest.CaptureFixture[str]) -> None:
    """No conversation ever gets a message of another thread, whichever order they come in.

    These are lists' threads: who writes there was often named by nobody before, and so is held, or new.
    """
    scene = Scene(store, f"threads, {order}")
    of_thread: dict[Transaction, int] = {}
    outcomes: dict[str, int] = defaultdict(int)
    for number, thread in enumerate(threads()):
        for message in thread if order == "as they are" else reversed(thread):
            incoming = scene.read(message.data)
            said = await scene.correlate(incoming)
            outcomes[said.outcome.value] += 1
            transaction = await scene.take(incoming, said)
            if transaction is not None:
                assert of_thread.setdefault(transaction, number) == number, message.path
    with capsys.disabled():
        print(f"\nthreads, {order}: {dict(outcomes)}")
    assert outcomes["joined"] > 10
