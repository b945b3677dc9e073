"""Messages that overtake one another, from their bytes to the store, whatever the order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import permutations
from pathlib import Path

import pytest
import pytest_asyncio

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.model.transaction import Opening
from mta.tracking.correlate import Outcome
from tests.unit.tracking.scene import ANNA, MALLORY, NOW, SUPPORT, Conversation, Scene, mail

pytestmark = pytest.mark.asyncio(loop_scope="module")
CARL = "carl@customer.example.net"
FAMILY = (
    mail(f"<{ANNA}>", to=f"<{CARL}>", cc=f"<{SUPPORT}>", message_id="<m0@c.example>"),
    mail(f"<{CARL}>", to=f"<{ANNA}>", cc=f"<{SUPPORT}>", message_id="<m1@c.example>", in_reply_to="<m0@c.example>"),
    mail(f"<{ANNA}>", to=f"<{CARL}>", cc=f"<{SUPPORT}>", message_id="<m2@c.example>",
         references="<m0@c.example> <m1@c.example>"),
    mail(f"<{CARL}>", to=f"<{ANNA}>", cc=f"<{SUPPORT}>", message_id="<m3@c.example>", in_reply_to="<m2@c.example>"),
)  # fmt: skip


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SqliteTrackingStore]:
    opened = await SqliteTrackingStore.open(Path(tmp_path_factory.mktemp("store")) / "spool", works=True, reserve=0)
    yield opened
    await opened.close()


@pytest.mark.parametrize("order", list(permutations(range(len(FAMILY)))), ids=str)
async def test_a_family_is_one_conversation_in_any_order(order: tuple[int, ...], store: SqliteTrackingStore) -> None:
    scene = Scene(store, f"family {order}")
    for number in order:
        incoming = scene.read(FAMILY[number])
        await scene.take(incoming, await scene.correlate(incoming))
    ids = [f"<m{number}@c.example>" for number in range(len(FAMILY))]
    found = await store.transactions_of(scene.organisation, ids)
    assert len(found) == len(ids)
    assert len(set(found.values())) == 1


async def test_each_message_is_taken_once(store: SqliteTrackingStore) -> None:
    scene = Scene(store, "once")
    for _ in range(2):
        for data in FAMILY:
            incoming = scene.read(data)
            await scene.take(incoming, await scene.correlate(incoming))
    assert len(await store.entries("once")) == len(FAMILY)
    assert (await scene.correlate(FAMILY[0])).outcome is Outcome.KNOWN


async def test_who_knows_an_id_that_others_named_opens_a_conversation_of_his_own(store: SqliteTrackingStore) -> None:
    """By the relay, too, which asks nobody but the store."""
    scene = Scene(store, "named")
    there = await scene.begin("T1", Conversation(named=("<m0@list.example>",)))
    opening = Opening("named", "ticket", "<m0@list.example>", NOW, None, (MALLORY, ANNA))
    assert await store.open_transaction(opening) != there
    assert MALLORY not in await store.participants(there)


async def test_who_takes_part_brings_the_message_that_others_named(store: SqliteTrackingStore) -> None:
    scene = Scene(store, "brought")
    there = await scene.begin("T1", Conversation(named=("<m0@list.example>",)))
    opening = Opening("brought", "ticket", "<m0@list.example>", NOW, None, (ANNA, CARL))
    assert await store.open_transaction(opening) == there
    assert CARL in await store.participants(there)


async def test_forwards_of_one_message_are_matters_of_their_own(store: SqliteTrackingStore) -> None:
    """Two people who don't know of each other hand on the same newsletter."""
    scene = Scene(store, "forwards")
    quoted = "---------- Forwarded message ---------\r\nFrom: Shop <shop@x.example>\r\nDate: today\r\n\r\nBuy\r\n"
    body = f"Is this real?\r\n\r\n{quoted}"
    opened = set()
    for number, sender in enumerate((ANNA, CARL)):
        data = mail(f"<{sender}>", message_id=f"<f{number}@x.example>", references="<news@x.example>", body=body)
        incoming = scene.read(data)
        said = await scene.correlate(incoming)
        assert (said.outcome, said.known_ids) == (Outcome.NEW, ())
        opened.add(await scene.take(incoming, said))
    assert len(opened) == 2
