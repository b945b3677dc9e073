"""Looking and telling, turn by turn, with those who hang, fail and die."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mta.ports.clock import SystemClock
from mta.ports.notification import Notice, NotificationError
from mta.watch import watch
from mta.watch.trouble import CantLookError, Trouble, Watcher
from mta.watch.watch import Equipment, Watch


class Looker:
    """Finds what `find` finds."""

    def __init__(self, kind: str, find: Callable[[], Awaitable[Sequence[Trouble]]]) -> None:
        self.kinds = frozenset({kind})
        self.looks = 0
        self._find = find

    async def look(self, now: datetime) -> Sequence[Trouble]:
        self.looks += 1
        return await self._find()


class Told:
    """A channel that remembers, or fails."""

    def __init__(self, name: str, error: str = "") -> None:
        self.name = name
        self.error = error
        self.told: list[tuple[str, str]] = []
        self.tries = 0

    async def send(self, notices: Sequence[Notice]) -> None:
        self.tries += 1
        if self.error:
            raise NotificationError(self.error)
        self.told += [(notice.state, notice.subject) for notice in notices]


def watching(folder: Path, watchers: Sequence[Watcher], *channels: Told) -> Watch:
    every, repeat = timedelta(seconds=30), timedelta(days=1)
    return Watch(Equipment(tuple(watchers), channels, every, repeat, folder / "alerts.json"), SystemClock())


async def disk() -> Sequence[Trouble]:
    return [Trouble("disk", "disk-full", "the disk is full\x1b[2J\r\nBcc: x", "text")]


async def test_who_hangs_is_waited_for_and_keeps_nobody_from_telling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_MAX_S", 0.01)
    answers = asyncio.Event()

    async def hang() -> Sequence[Trouble]:
        await answers.wait()
        return [Trouble("hop", "next-hop-stopped", "late news", "text")]

    hanging, other, mail = Looker("next-hop-stopped", hang), Looker("disk-full", disk), Told("mail")
    watched = watching(tmp_path, [hanging, other], mail)
    for _ in range(3):
        await watched.turn()
    assert (hanging.looks, other.looks) == (1, 3)
    assert mail.told == [("begun", "the disk is full\N{REPLACEMENT CHARACTER}[2J Bcc: x")]
    answers.set()
    await asyncio.sleep(0)
    await watched.turn()
    assert mail.told[1:] == [("begun", "late news")]


@pytest.mark.parametrize("error", [CantLookError("no"), ZeroDivisionError()], ids=["blind", "broken"])
async def test_who_fails_keeps_nobody_from_telling(tmp_path: Path, error: Exception) -> None:
    async def fail() -> Sequence[Trouble]:
        raise error

    mail = Told("mail")
    await watching(tmp_path, [Looker("store", fail), Looker("disk-full", disk)], mail).turn()
    assert len(mail.told) == 1


async def test_a_channel_that_fails_is_left_alone_for_a_while_and_the_other_is_used(tmp_path: Path) -> None:
    mail, webhook = Told("mail", "451 later"), Told("webhook")
    watched = watching(tmp_path, [Looker("disk-full", disk)], mail, webhook)
    for _ in range(3):
        await watched.turn()
    assert (mail.tries, webhook.tries) == (1, 1)
    mail.error = ""
    watched.equip(Equipment((Looker("disk-full", disk),), (mail,), timedelta(1), timedelta(1), tmp_path / "x.json"))
    await watched.turn()
    assert [state for state, _ in mail.told] == ["begun"]


async def test_a_state_file_that_can_not_be_written_stops_nothing(tmp_path: Path) -> None:
    mail = Told("mail")
    watched = watching(tmp_path / "gone", [Looker("disk-full", disk)], mail)
    await watched.turn()
    await watched.turn()
    assert len(mail.told) == 1


async def test_the_file_says_when_somebody_looked(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    watched = watching(tmp_path, [Looker("disk-full", disk)])
    await watched.turn()
    again = watching(tmp_path, [])
    assert again.board.looked_at is not None
    assert again.board.looked_at >= before
