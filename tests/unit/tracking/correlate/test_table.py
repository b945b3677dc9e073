"""The table of correlation: every case by itself, against a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.tracking.correlate import Outcome
from tests.unit.tracking.correlate.case import Case, answer
from tests.unit.tracking.correlate.made_cases import MADE
from tests.unit.tracking.scene import MemoryDirectory, Scene, desk_settings


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SqliteTrackingStore]:
    opened = await SqliteTrackingStore.open(Path(tmp_path_factory.mktemp("store")) / "spool", works=True, reserve=0)
    yield opened
    await opened.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case", MADE, ids=[case.name for case in MADE])
async def test_made(case: Case, store: SqliteTrackingStore) -> None:
    scene = Scene(store, f"made {case.name}", desk_settings(**case.settings), MemoryDirectory(case.people))
    said = await answer(case, scene)
    expected = (
        case.outcome,
        case.reason,
        case.conversation,
        case.merges,
        scene.filled(case.about.encode()).decode(),
        case.status,
    )
    assert (said.outcome, said.reason, said.conversation, said.merges, said.about, said.status) == expected
    if said.outcome is not Outcome.JOINED and said.outcome is not Outcome.NEW:
        assert (said.correlation.participants, said.correlation.known_ids) == ((), ())
