"""What every mailbox server has to do for the marks on filed messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from mta.model.writeback import FiledMark
from mta.ports.mailbox import SentItems
from tests.contract.mailboxes.harness import Harness, Kept, Original
from tests.contract.mailboxes.kinds import KINDS
from tests.contract.mailboxes.mime_eyes import shown
from tests.contract.mailboxes.samples import new_id, reply

MARK = FiledMark(
    "Transferred", "https://desk.example.com/ticket/000123", "", {"Ticket": "000123", "Due": 4}, "ticket-123"
)


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


def _message_id(original: Original) -> str:
    return shown(original.mime, ()).message_id


async def test_a_copy_in_sent_items_is_found_and_marked_once(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = reply(new_id())
    harness.put(mailbox, original)
    (found,) = await server.find_filed(mailbox, _message_id(original))
    await server.put_mark(mailbox, found.ref, MARK)
    (found,) = await server.find_filed(mailbox, _message_id(original))
    await server.put_mark(mailbox, found.ref, MARK)
    (item,) = await server.find(mailbox, _message_id(original), "0" * 32)
    marks = (await server.read(mailbox, item.ref)).marks
    if Kept.CATEGORIES in harness.keeps:
        assert marks.categories.count("Transferred") == 1
        assert set(original.marks.categories) <= set(marks.categories)
    assert marks.is_read == original.marks.is_read


async def test_another_message_is_not_found(harness: Harness, server: SentItems, mailbox: str) -> None:
    harness.put(mailbox, reply(new_id()))
    assert not await server.find_filed(mailbox, "<another@example.com>")
