"""What tests of the port `Erasure` share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from mta.adapters.store.erasure import SqliteErasure
from mta.model.address import parse_address
from mta.model.erasure import Erased, ErasedPerson, RecordsMode
from mta.ports.erasure import Erasure
from tests.contract.spools import SettableClock
from tests.contract.tracking import ANN

PERSON = ErasedPerson.of([parse_address(ANN)])
OpenErasure = Callable[[], Awaitable[Erasure]]


@pytest.fixture(params=["sqlite"])
async def open_erasure(
    request: pytest.FixtureRequest, tmp_path: Path, clock: SettableClock
) -> AsyncIterator[OpenErasure]:
    """Opens what erases people from the store of the other fixtures, which has to be there."""
    assert request.param == "sqlite"
    opened: list[Erasure] = []

    async def open_it() -> Erasure:
        erasure = await SqliteErasure.open(tmp_path / "spool", clock=clock)
        opened.append(erasure)
        return erasure

    yield open_it
    for erasure in opened:
        await erasure.close()


def quietly(what: str, rows: int) -> None:
    """A step that nobody looks at."""


async def erased(
    open_erasure: OpenErasure, mode: RecordsMode = RecordsMode.REMOVE, person: ErasedPerson = PERSON
) -> Erased:
    """What an erasure did; a survey has said so before, and the same once more finds nothing."""
    erasure = await open_erasure()
    expected = await erasure.survey(person, mode, quietly)
    done = await erasure.erase(person, mode, quietly)
    assert done == expected
    assert await erasure.erase(person, mode, quietly) == Erased({}, done.kept)
    return done


async def files_with(open_erasure: OpenErasure, folder: Path, *texts: str) -> list[str]:
    """Files of the store that hold one of the texts after it was wiped."""
    wiped = await (await open_erasure()).wipe(anyhow=False)
    assert wiped.is_log_empty
    assert wiped.is_rewritten
    wanted = [text.lower().encode() for text in texts]
    return [
        path.name
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(text in path.read_bytes().lower() for text in wanted)
    ]
