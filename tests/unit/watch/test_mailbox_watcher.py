"""What is wrong with monitored mailboxes, on a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mta.adapters.store.look import look_at_mailboxes
from mta.adapters.store.tracking import SqliteTrackingStore
from mta.config.tracking_schema import MaildirMailbox
from mta.model.tracking import MailboxNotes
from mta.model.transaction import Transaction
from mta.watch.mailbox_watcher import MailboxWatcher
from mta.watch.trouble import CantLookError, Trouble
from tests.contract.spools import SettableClock, clock

__all__ = ["clock"]
HOUR = timedelta(hours=1)


@pytest.fixture
async def store(tmp_path: Path, clock: SettableClock) -> AsyncIterator[SqliteTrackingStore]:
    opened = await SqliteTrackingStore.open(tmp_path / "spool", works=True, reserve=0, clock=clock)
    yield opened
    await opened.close()


def watcher(folder: Path, **more: Any) -> MailboxWatcher:
    plain = {"name": "help", "kind": "maildir", "address": "help@example.com", "path": "/var/mail/help"}
    mailbox = MaildirMailbox.model_validate({**plain, **more})
    return MailboxWatcher(partial(look_at_mailboxes, folder / "spool"), [mailbox], age=4 * HOUR, forgotten=HOUR)


async def found(watcher: MailboxWatcher, clock: SettableClock) -> list[Trouble]:
    troubles = list(await watcher.look(clock.now()))
    assert {trouble.kind for trouble in troubles} <= watcher.kinds
    return troubles


async def test_a_mailbox_that_was_polled_well_is_no_trouble(
    store: SqliteTrackingStore, clock: SettableClock, tmp_path: Path
) -> None:
    await store.note_mailbox(MailboxNotes("help", answered_at=clock.now()))
    clock.pass_(3.9 * HOUR)
    assert not await found(watcher(tmp_path), clock)


async def test_one_that_is_silent_for_too_long(
    store: SqliteTrackingStore, clock: SettableClock, tmp_path: Path
) -> None:
    await store.note_mailbox(MailboxNotes("help", answered_at=clock.now(), reason="unreachable", detail="refused"))
    clock.pass_(5 * HOUR)
    [trouble] = await found(watcher(tmp_path), clock)
    assert trouble.key == "mailbox-silent:help"
    assert "5 hours" in trouble.subject
    assert "unreachable: refused" in trouble.text
    assert not await found(watcher(tmp_path, poll={"every": 120}), clock)
    assert not await found(watcher(tmp_path, enabled=False), clock)


async def test_one_that_was_never_polled_is_silent_since_it_was_first_seen(
    store: SqliteTrackingStore, clock: SettableClock, tmp_path: Path
) -> None:
    watching = watcher(tmp_path)
    assert not await found(watching, clock)
    clock.pass_(5 * HOUR)
    assert [trouble.kind for trouble in await found(watching, clock)] == ["mailbox-silent"]


async def test_only_the_hours_in_which_it_is_polled_count(
    store: SqliteTrackingStore, clock: SettableClock, tmp_path: Path
) -> None:
    clock.time = clock.time.replace(hour=18, minute=0)
    await store.note_mailbox(MailboxNotes("help", answered_at=clock.now()))
    watching = watcher(tmp_path, schedule={"hours": "08:00-18:00", "timezone": "UTC"})
    clock.pass_(17 * HOUR)
    assert not await found(watching, clock)
    clock.pass_(2 * HOUR)
    assert await found(watching, clock)


async def test_one_that_can_not_be_signed_in_to(
    store: SqliteTrackingStore, clock: SettableClock, tmp_path: Path
) -> None:
    record = Transaction("default", "ticket", 7, "aaaaaaaa")
    await store.note_mailbox(MailboxNotes("help", failures=3, trouble=record, reason="535", detail="bad password"))
    [trouble] = await found(watcher(tmp_path), clock)
    assert trouble.kind == "mailbox-trouble"
    assert "ticket-7" in trouble.text


async def test_a_pause_that_was_forgotten(store: SqliteTrackingStore, clock: SettableClock, tmp_path: Path) -> None:
    await store.pause("help", "jane", clock.now())
    assert not await found(watcher(tmp_path), clock)
    clock.pass_(2 * HOUR)
    [trouble] = await found(watcher(tmp_path), clock)
    assert trouble.kind == "mailbox-paused"
    assert "jane" in trouble.text


async def test_without_a_store_nobody_knows(clock: SettableClock, tmp_path: Path) -> None:
    with pytest.raises(CantLookError):
        await watcher(tmp_path).look(clock.now())
