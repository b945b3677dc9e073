"""What each watcher finds wrong, on real files, a real store, and a supervisor's answer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from mta.adapters.store.look import look
from mta.adapters.store.sqlite import SqliteSpool
from mta.adapters.store.turnstile import Turnstile
from mta.model.address import parse_address
from mta.model.decision import Decision, Direction, RecipientDecision, Role
from mta.model.delivery import AcceptedMessage, Body, RecipientEntry
from mta.model.envelope import Envelope
from mta.model.queue import Draining, FrozenHop
from mta.watch.trouble import CantLookError
from mta.watch.watchers import CertificateWatcher, DiskWatcher, QueueWatcher, RelayWatcher, WatchedCertificate

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


# --- the queue ---


def queue(folder: Path, *, age: timedelta = HOUR, forgotten: timedelta = HOUR) -> QueueWatcher:
    return QueueWatcher(partial(look, folder), age=age, forgotten=forgotten)


def waiting(queue_id: str, accepted_at: datetime, next_hop: str) -> AcceptedMessage:
    recipient = parse_address("jane@example.net")
    return AcceptedMessage(
        queue_id, accepted_at, Envelope(parse_address("john@example.com"), (recipient,)), None, Body.of(b"\r\n"),
        Decision((RecipientDecision(recipient, Direction.OUTBOUND, Role.TO, (), 0, next_hop),)),
        (RecipientEntry(0, recipient, 0, next_hop),), due_at=accepted_at,
    )  # fmt: skip


async def test_mail_that_waits_for_too_long_is_counted_by_next_hop(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    for number, (age, hop) in enumerate([(0.5, "a"), (2, "a"), (3, "b"), (4, "b")]):
        await spool.accept(waiting(f"Q{number}", now - age * HOUR, hop))
    await spool.close()

    [trouble] = await queue(tmp_path).look(now)
    assert "3 messages for longer than 1 hour" in trouble.subject
    assert "waited for 4 hours" in trouble.text
    assert "b (2), a (1)" in trouble.text
    assert await queue(tmp_path, age=5 * HOUR).look(now) == []


async def test_orders_that_may_have_been_forgotten(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    await spool.freeze(FrozenHop("a", now - 3 * HOUR, "jane", "new disks"))
    await spool.freeze(FrozenHop("b", now - 0.5 * HOUR, "jane"))
    await spool.drain(Draining(now - 2 * HOUR, "john"))
    await spool.accept(waiting("Q1", now - 2 * HOUR, "a"))
    await spool.close()
    late, frozen, draining = await queue(tmp_path).look(now)
    assert "a (1, frozen)" in late.text
    assert (frozen.key, frozen.subject) == ("frozen:a", "next hop a is frozen for 3 hours")
    assert "jane has said so: new disks" in frozen.text
    assert draining.subject == "this node is draining for 2 hours: it takes no mail"
    assert await queue(tmp_path, age=9 * HOUR, forgotten=9 * HOUR).look(now) == []


async def test_looking_makes_no_queue_and_waits_for_nobody(tmp_path: Path) -> None:
    with pytest.raises(CantLookError):
        await queue(tmp_path).look(NOON)
    assert list(tmp_path.iterdir()) == []
    await (await SqliteSpool.open(tmp_path, slot=0, reserve=0)).close()
    with closing(Turnstile(tmp_path)) as turn, turn:  # as a worker that commits for a long time
        assert await queue(tmp_path).look(NOON) == []


async def test_a_damaged_store_is_a_trouble(tmp_path: Path) -> None:
    await (await SqliteSpool.open(tmp_path, slot=0)).close()
    database = next(tmp_path.glob("*.db"))
    database.write_bytes(b"not a database at all" * 1000)

    [trouble] = await queue(tmp_path).look(NOON)
    assert trouble.kind == "store"


# --- the relay ---


OFF: Mapping[str, Any] = {"on": False, "until": None}


def status(
    *, reload: Mapping[str, Any] | None = None, workers: list[dict[str, Any]] | None = None,
    bypass: Mapping[str, Any] = OFF,
) -> RelayWatcher:  # fmt: skip
    answer = {"last_reload": reload, "workers": workers or [], "companions": {}, "bypass": bypass}
    return RelayWatcher(lambda: answer, stopped_for=timedelta(minutes=5), forgotten=HOUR)


def stopped(**hops: int) -> dict[str, Any]:
    """A worker that has stopped these hops, minutes ago."""
    since = {name: NOON - timedelta(minutes=minutes) for name, minutes in hops.items()}
    return {"report": {"stopped": {n: {"since": at.isoformat(), "reason": "451 no"} for n, at in since.items()}}}


async def test_all_is_well() -> None:
    assert await status(reload={"ok": True, "at": "x", "problems": 0}, workers=[{"report": {}}]).look(NOON) == []


async def test_a_refused_reload() -> None:
    [trouble] = await status(reload={"ok": False, "at": "2026-11-22T11:00:00+00:00", "problems": 3}).look(NOON)
    assert trouble.kind == "reload-refused"
    assert "3 problems" in trouble.subject


async def test_a_next_hop_that_is_stopped_for_some_time() -> None:
    [trouble] = await status(workers=[stopped(out=2, archive=4), stopped(out=7)]).look(NOON)
    assert trouble.key == "next-hop-stopped:out"
    assert "7 minutes" in trouble.subject
    assert "451 no" in trouble.text


async def test_domains_out_there_are_not_ours_to_mend() -> None:
    assert await status(workers=[stopped(**{"direct/example.net": 60})]).look(NOON) == []


async def test_a_queue_that_is_closed() -> None:
    [trouble] = await status(workers=[{"report": {"spool_closed": 0}}, {"report": {"spool_closed": 1}}]).look(NOON)
    assert trouble.kind == "queue-closed"


async def test_processes_that_keep_dying() -> None:
    [trouble] = await status(workers=[{"early_deaths": 3}, {"early_deaths": 0}]).look(NOON)
    assert trouble.kind == "worker-dies"


@pytest.mark.parametrize(
    ("since", "until", "told"),
    [
        (NOON - 2 * HOUR, None, ["bypass is on for 2 hours: mail goes out without rules and stamps"]),
        (NOON - 2 * HOUR, NOON + 48 * HOUR, ["bypass is on for 2 hours: mail goes out without rules and stamps"]),
        (NOON - 2 * HOUR, NOON + 3 * HOUR, []),
        (NOON - 0.5 * HOUR, None, []),
    ],
    ids=["without end", "ends late", "ends soon", "new"],
)
async def test_a_bypass_that_may_have_been_forgotten(since: datetime, until: datetime | None, told: list[str]) -> None:
    bypass = {"on": True, "since": since.isoformat(), "until": until.isoformat() if until else None}
    assert [trouble.subject for trouble in await status(bypass=bypass).look(NOON)] == told


async def test_a_silent_supervisor_tells_nothing() -> None:
    def silent() -> Mapping[str, Any]:
        raise ConnectionError("nobody there")

    with pytest.raises(CantLookError, match="nobody there"):
        await RelayWatcher(silent, stopped_for=HOUR, forgotten=HOUR).look(NOON)


# --- disks ---


async def test_room_on_the_disks(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    folders = (tmp_path, tmp_path / "log")
    assert await DiskWatcher(folders, 1).look(NOON) == []
    [trouble] = await DiskWatcher(folders, 1 << 60).look(NOON)  # both on one disk: told once
    assert trouble.kind == "disk-full"


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CantLookError):
        await DiskWatcher([tmp_path / "gone"], 1).look(NOON)


# --- certificates ---


def certificate(folder: Path, expires: datetime) -> Path:
    path = folder / "cert.pem"
    authority = trustme.CA()
    authority.issue_cert("relay.example.com", not_after=expires).cert_chain_pems[0].write_to_path(path)
    return path


@pytest.mark.parametrize(
    ("left", "stage"),
    [
        (timedelta(days=31), None),
        (timedelta(days=29), "2592000"),
        (timedelta(days=6), "604800"),
        (timedelta(hours=20), "86400"),
        (timedelta(hours=-1), "expired"),
    ],
    ids=["31d", "29d", "6d", "20h", "expired"],
)
async def test_a_certificate_that_expires(tmp_path: Path, left: timedelta, stage: str | None) -> None:
    path = certificate(tmp_path, NOON + left)
    watcher = CertificateWatcher(
        [WatchedCertificate(path, "listener internet")], [timedelta(days=days) for days in (30, 7, 1)]
    )
    found = await watcher.look(NOON)
    assert [trouble.key for trouble in found] == ([f"certificate:{path}:{stage}"] if stage else [])
    assert all("listener internet" in trouble.subject for trouble in found)


@pytest.mark.parametrize("content", [b"nothing", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
async def test_a_certificate_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cert.pem").write_bytes(content)
    watched = [WatchedCertificate(tmp_path / "cert.pem", "x"), WatchedCertificate(tmp_path / "gone.pem", "y")]
    found = await CertificateWatcher(watched, [HOUR]).look(NOON)
    assert [trouble.key.rpartition(":")[2] for trouble in found] == ["unreadable", "unreadable"]
