"""`python -m tests.tracking_precision`: how often mail joins where it belongs, for each source of cases."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

from mta.adapters.store.tracking import SqliteTrackingStore
from tests.unit.tracking.correlate.case import answer
from tests.unit.tracking.correlate.corpus_cases import corpus_cases
from tests.unit.tracking.correlate.made_cases import MADE
from tests.unit.tracking.correlate.proof_cases import PROOF_CASES
from tests.unit.tracking.correlate.score import Score, table
from tests.unit.tracking.scene import MemoryDirectory, Scene, desk_settings


async def main() -> None:
    scores: dict[str, Score] = defaultdict(Score)
    with TemporaryDirectory() as folder:
        store = await SqliteTrackingStore.open(Path(folder) / "spool", works=True, reserve=0)
        for case in (*MADE, *PROOF_CASES, *corpus_cases()):
            scene = Scene(store, f"of {case.name}", desk_settings(**case.settings), MemoryDirectory(case.people))
            scores[case.source].count(case, await answer(case, scene))
        await store.close()
    print(table(scores))


if __name__ == "__main__":
    asyncio.run(main())
