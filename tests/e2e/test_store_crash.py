"""kill -9 at each named point, under concurrent producers: what was acknowledged is there, and nothing is half.

A child process accepts and settles, and says so on its standard output *after* each call has returned. The parent reads
until the child is dead, opens the store as the child's successor, and compares.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mta.adapters.store.sqlite import SqliteSpool
from mta.model.delivery import Body, LeasedDelivery, Settlement, State
from mta.model.queue import QueueFilter
from tests.e2e.store_crash_child import SPAWNS

POINTS = ("body-written", "before-commit", "after-commit", "before-settle", "after-settle")
CHILD = "tests.e2e.store_crash_child"


@dataclass
class Said:
    """What the child was told before it died."""

    accepted: dict[str, str] = field(default_factory=dict)
    """Queue id → digest of its body."""
    settled: set[str] = field(default_factory=set)
    deferred: set[str] = field(default_factory=set)
    settling: set[str] = field(default_factory=set)
    """Begun before the child died, so perhaps committed; likewise `deferring`."""
    deferring: set[str] = field(default_factory=set)
    reporting: set[str] = field(default_factory=set)
    """Begun to be settled with a DSN."""

    @classmethod
    def parse(cls, output: str) -> Said:
        said = cls()
        for line in output.splitlines():
            word, queue_id, *rest = line.split()
            if word == "accepted":
                said.accepted[queue_id] = rest[0]
            else:
                getattr(said, word).add(queue_id)
        return said


def child(folder: Path, slot: int, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", CHILD, str(folder), str(slot)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def killed(folder: Path, point: str, count: int) -> Said:
    """Run a child until it dies at that passage of that point."""
    process = child(folder, 0, {"STAMPLINE_CRASH_AT": f"{point}:{count}"})
    output, _ = process.communicate(timeout=100)
    assert process.returncode == -signal.SIGKILL, f"it did not come to {point}"
    return Said.parse(output)


async def digest(spool: SqliteSpool, queue_id: str) -> str:
    return _digest(await spool.read_body(queue_id))


def _digest(body: Body) -> str:
    data = body.data if body.data is not None else body.path.read_bytes() if body.path else b""
    return hashlib.sha256(data).hexdigest()


async def check(folder: Path, said: Said) -> list[LeasedDelivery]:
    """The store as a successor finds it; gives what it has to deliver now."""
    spool = await SqliteSpool.open(folder, slot=0, reserve=0)
    entries = await spool.entries(QueueFilter(), limit=100_000)
    queued = {entry.queue_id for entry in entries}
    ids = {entry.message_id for entry in entries}
    assert {f"<of-{entry.queue_id}>" for entry in entries if entry.message_id == SPAWNS} <= ids, "half a transaction"
    for queue_id in said.reporting:
        assert (queue_id in queued) is not (f"<report-{queue_id}>" in ids), "a DSN comes with the end of its message"
    lost = said.accepted.keys() - said.settling - said.reporting - queued
    assert not lost, "acknowledged and lost"
    assert not queued & said.settled, "settled and back again"
    assert said.deferred <= queued
    for queue_id in queued & said.accepted.keys():
        assert await digest(spool, queue_id) == said.accepted[queue_id]
    leased = await _all_due(spool, queued)
    async with asyncio.timeout(60):
        while await spool.sweep():
            pass
    files = {path for path in (folder / "bodies").rglob("*") if path.is_file()}
    named = {delivery.message.body.path for delivery in leased if delivery.message.body.path}
    assert files == named, "a body without a message, or the reverse"
    for delivery in leased:
        final = {entry.index: State.DELIVERED for entry in delivery.recipients}
        await spool.settle(Settlement(delivery.message.queue_id, delivery.next_hop, (), final))
    assert await spool.entries(QueueFilter()) == []
    await spool.close()
    whole(folder)
    return leased


async def _all_due(spool: SqliteSpool, queued: set[str]) -> list[LeasedDelivery]:
    """Everything that is queued falls due: at once what was leased, soon what was deferred."""
    leased: list[LeasedDelivery] = []
    await spool.retry_now(QueueFilter())
    entries = await spool.entries(QueueFilter())
    while len(leased) < len(queued):
        some = await spool.lease_due(max(e.due_at for e in entries if e.due_at), limit=1000, per_next_hop=1000)
        assert some, "queued, but nobody can lease it"
        leased += some
    return leased


def whole(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "spool.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for table in ("message", "content", "delivery", "variant"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


@pytest.mark.parametrize("count", [1, pytest.param(7, marks=pytest.mark.long)])
@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_a_named_point(tmp_path: Path, point: str, count: int) -> None:
    said = await asyncio.to_thread(killed, tmp_path, point, count)
    if count > 1 and point != "body-written":
        assert said.accepted
    await check(tmp_path, said)


async def test_killed_again_and_again_on_one_store(tmp_path: Path) -> None:
    """What a round leaves queued, its successor's successor still has to have."""
    for point in POINTS:
        said = await asyncio.to_thread(killed, tmp_path, point, 5)
        await check(tmp_path, said)


async def test_killed_from_outside_while_another_process_writes(tmp_path: Path) -> None:
    victim, survivor = child(tmp_path, 0, {}), child(tmp_path, 1, {"STOP_AFTER": "400"})
    assert victim.stdout is not None
    surviving = asyncio.ensure_future(asyncio.to_thread(survivor.communicate, timeout=100))
    lines = [await asyncio.to_thread(victim.stdout.readline) for _ in range(300)]
    victim.kill()
    # Not communicate(): that would pass over the lines that readline has already taken from the pipe.
    with victim.stdout:
        rest = await asyncio.to_thread(victim.stdout.read)
    await asyncio.to_thread(victim.wait, 100)
    output, _ = await surviving
    assert survivor.returncode == 0
    other = Said.parse(output)
    assert len(other.accepted) >= 400, "the survivor was held up"
    said = Said.parse("".join(lines) + rest[: rest.rfind("\n") + 1])
    said.accepted.update(other.accepted)
    said.settled |= other.settled
    said.deferred |= other.deferred
    said.settling |= other.settling
    said.reporting |= other.reporting
    await check(tmp_path, said)


async def test_a_successor_is_ready_at_once(tmp_path: Path) -> None:
    said = await asyncio.to_thread(killed, tmp_path, "after-commit", 10)
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    leased = await spool.lease_due(datetime.now(UTC), limit=1000, per_next_hop=1000)
    begun = said.settling | said.reporting | said.deferring
    assert said.accepted.keys() - begun <= {delivery.message.queue_id for delivery in leased}
    await spool.close()


async def test_two_processes_share_the_store_fairly(tmp_path: Path) -> None:
    processes = [child(tmp_path, slot, {"STOP_AFTER_S": "3"}) for slot in (0, 1)]
    outputs = await asyncio.gather(*(asyncio.to_thread(process.communicate, timeout=100) for process in processes))
    shares = [len(Said.parse(output).accepted) for output, _ in outputs]
    assert min(shares) > max(shares) / 3, shares
