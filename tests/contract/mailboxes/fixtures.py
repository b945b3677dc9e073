"""What all tests of mailbox servers begin with: a server of each kind, the adapter, and a mailbox of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from mta.ports.mailbox import SentItems
from tests.contract.mailboxes.harness import Harness
from tests.contract.mailboxes.kinds import KINDS


@pytest.fixture(scope="module")
def harnesses() -> Iterator[Callable[[str], Harness]]:
    """Each kind's server, started when it is first needed."""
    made: dict[str, Harness] = {}

    def of(kind: str) -> Harness:
        if kind not in made:
            made[kind] = KINDS[kind]()
        return made[kind]

    yield of
    for each in made.values():
        each.close()


@pytest.fixture(params=sorted(KINDS))
def harness(request: pytest.FixtureRequest, harnesses: Callable[[str], Harness]) -> Harness:
    return harnesses(request.param)


@pytest.fixture
async def server(harness: Harness) -> AsyncIterator[SentItems]:
    opened = harness.open()
    yield opened
    await opened.close()


@pytest.fixture
def mailbox(harness: Harness) -> str:
    return harness.add_mailbox()
