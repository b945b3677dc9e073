"""The whole way of mail that wants to belong to a record, with the real process: who gets in, and who doesn't."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from mta.adapters.store.tracking import SqliteTrackingStore
from mta.message.reference import make_reference
from mta.model.tracking import Entry
from tests.e2e.tracking.maildirs import Maildirs, message, titles, tracking
from tests.servers.relay import running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

MALLORY = "Mallory <mallory@stranger.example>"
FAILED = "mx.example.com; dmarc=fail header.from=example.net"
ANSWER = {"Subject": "Something else", "From": "Jane <jane0@example.net>"}


def entries(spool: Path) -> Sequence[Entry]:
    async def look() -> Sequence[Entry]:
        store = await SqliteTrackingStore.open(spool)
        try:
            return await store.entries()
        finally:
            await store.close()

    return asyncio.run(look())


@pytest.fixture
def boxes(tmp_path: Path) -> Maildirs:
    return Maildirs(tmp_path / "boxes", "help")


def test_who_gets_into_a_record_and_who_does_not(tmp_path: Path, boxes: Maildirs) -> None:
    boxes.put("help", message(0))
    desk = tracking(
        tmp_path / "desk", boxes.settings("help"), correlation={"authserv_ids": ["mx.example.com"]},
        filters={"cap_per_day": 50},
    )  # fmt: skip
    with Sink() as sink, running_relay(tmp_path / "relay", sink.port, organisation=desk) as relay:
        wait_until(lambda: not boxes.waiting("help"), 60, "the first message is taken")
        (first,) = entries(relay.folder / "spool")
        assert first.transaction is not None
        key = (tmp_path / "desk" / "key").read_bytes()
        reference = f"<{make_reference(key, first.transaction)}@relay.example.com>"
        coming = {
            "answer": message(1, **ANSWER, References=reference),
            "again": message(1, **ANSWER, References=reference, X_Hop="another"),
            "thief": message(2, From=MALLORY, References=reference),
            "guesser": message(3, From=MALLORY, Subject="[Ticket - 000001] Hello"),
            "forger": message(4, **ANSWER, References=reference, Authentication_Results=FAILED),
            "absent": message(5, **ANSWER, References=reference, Auto_Submitted="auto-replied (vacation)"),
            "reuser": message(0, From=MALLORY),
        }
        for data in coming.values():
            boxes.put("help", data)
        relay.cli_here("mailbox", "poll", "help")
        wait_until(lambda: not boxes.waiting("help"), 60, "all are taken")
        found = {(entry.message_id, entry.sender): entry for entry in entries(relay.folder / "spool")}
        became = {name: (entry.state.value, entry.reason, str(entry.transaction)) for name, entry in found.items()}
        jane, mallory = "jane0@example.net", "mallory@stranger.example"
        assert became == {
            ("<m0@example.net>", jane): ("joined", "rule", "ticket-1"),
            ("<m1@example.net>", jane): ("joined", "signed-reference", "ticket-1"),
            ("<m2@example.net>", mallory): ("pending", "stranger", "ticket-1"),
            ("<m3@example.net>", mallory): ("joined", "rule", "ticket-2"),
            ("<m4@example.net>", jane): ("pending", "forged-sender", "ticket-1"),
            ("<m5@example.net>", jane): ("filtered", "out-of-office", "None"),
            ("<m0@example.net>", mallory): ("pending", "reused-message-id", "ticket-1"),
        }
        assert titles(relay) == {"Printer 0": 1, "[Ticket - 000001] Hello": 1}
