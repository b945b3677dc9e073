"""Group commit: what waits together is committed together, and one bad operation spoils no other."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mta.adapters.store.database import connect, prepare
from mta.adapters.store.errors import as_mail_error
from mta.adapters.store.room import Room
from mta.adapters.store.sqlite import SqliteSpool
from mta.adapters.store.turnstile import Turnstile
from mta.adapters.store.writer import BATCH, Operation, Writer
from mta.model.delivery import Accepted
from mta.model.queue import QueueFilter
from mta.model.reply import INTERNAL_ERROR, TemporaryError
from mta.ports.spool import LeaseLostError, SpoolFullError
from tests.spool_samples import sample_message


class Note(Operation[int]):
    """Writes its number as a once key; says how many were in its transaction."""

    def __init__(self, number: int, raises: Exception | None = None, refused: bool = False) -> None:
        self.number = number
        self.raises = raises
        self.refused = refused

    @classmethod
    def run(cls, cursor: sqlite3.Cursor, batch: Sequence[Note]) -> Sequence[int | Exception]:
        for note in batch:
            if not note.refused:
                cursor.execute("INSERT INTO claim VALUES (?, 0, 0)", (str(note.number),))
            if note.raises is not None:
                raise note.raises
        return [LeaseLostError("lost") if note.refused else len(batch) for note in batch]


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[Writer]:
    prepare(tmp_path)
    made = Writer(connect(tmp_path), tmp_path, Room(tmp_path, reserve=0, inline_up_to=0))
    yield made
    if not made.is_closed:
        await made.close()


async def together(writer: Writer, folder: Path, notes: Sequence[Note]) -> list[int | BaseException]:
    """Submit all while another process has the lock, so that they wait together."""
    with closing(Turnstile(folder)) as turn:
        with turn:
            futures = [writer.submit(note) for note in notes]
        return await asyncio.gather(*futures, return_exceptions=True)


def written(folder: Path) -> set[int]:
    with closing(connect(folder)) as connection:
        return {int(key) for (key,) in connection.execute("SELECT key FROM claim")}


async def test_what_waits_for_the_lock_is_one_transaction(writer: Writer, tmp_path: Path) -> None:
    assert await together(writer, tmp_path, [Note(n) for n in range(20)]) == [20] * 20
    assert written(tmp_path) == set(range(20))


async def test_what_is_submitted_in_one_turn_of_the_loop_is_one_transaction(writer: Writer, tmp_path: Path) -> None:
    for first in (0, 20, 40):
        outcomes = await asyncio.gather(*(writer.submit(Note(first + number)) for number in range(20)))
        assert outcomes == [20] * 20
    assert written(tmp_path) == set(range(60))


async def test_a_closing_writer_commits_what_was_submitted_before(writer: Writer, tmp_path: Path) -> None:
    submitted = writer.submit(Note(1))
    await writer.close()
    assert await submitted == 1
    assert written(tmp_path) == {1}


async def test_a_transaction_has_a_largest_size(writer: Writer, tmp_path: Path) -> None:
    outcomes = await together(writer, tmp_path, [Note(n) for n in range(BATCH + 10)])
    assert outcomes == [BATCH] * BATCH + [10] * 10


@pytest.mark.parametrize("error", [ValueError("bug"), sqlite3.IntegrityError("twice"), OSError(5, "EIO")])
async def test_one_bad_operation_spoils_no_other(writer: Writer, tmp_path: Path, error: Exception) -> None:
    notes = [Note(0), Note(1), Note(2, raises=error), Note(3)]
    outcomes = await together(writer, tmp_path, notes)
    assert [outcomes[0], outcomes[1], outcomes[3]] == [1, 1, 1]
    assert isinstance(outcomes[2], TemporaryError)
    assert outcomes[2].reply == INTERNAL_ERROR
    assert written(tmp_path) == {0, 1, 3}


async def test_a_refused_operation_rolls_nothing_back(writer: Writer, tmp_path: Path) -> None:
    outcomes = await together(writer, tmp_path, [Note(0), Note(1, refused=True), Note(2)])
    assert [type(outcome) for outcome in outcomes] == [int, LeaseLostError, int]
    assert written(tmp_path) == {0, 2}


async def test_the_writer_lives_on_after_an_error(writer: Writer, tmp_path: Path) -> None:
    with pytest.raises(TemporaryError):
        await writer.submit(Note(1, raises=RuntimeError("bug")))
    assert await writer.submit(Note(1)) == 1


async def test_nothing_is_taken_once_it_is_closed(writer: Writer) -> None:
    await writer.close()
    with pytest.raises(TemporaryError):
        writer.submit(Note(1))


async def test_who_is_cancelled_is_told_where_the_commit_went_through(writer: Writer, tmp_path: Path) -> None:
    abandoned = asyncio.Event()
    with closing(Turnstile(tmp_path)) as turn:
        with turn:
            future = writer.submit(Note(1), abandoned.set)
            future.cancel()
        await asyncio.wait_for(abandoned.wait(), 60)
    assert written(tmp_path) == {1}


async def test_a_message_that_is_there_already_is_refused_alone(tmp_path: Path) -> None:
    spool = await SqliteSpool.open(tmp_path, slot=0, reserve=0)
    first = sample_message()
    await spool.accept(first)
    others = [sample_message() for _ in range(5)]
    with closing(Turnstile(tmp_path)) as turn:
        with turn:
            batch = [replace(sample_message(), queue_id=first.queue_id), *others]
            accepting = [asyncio.ensure_future(spool.accept(message)) for message in batch]
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*accepting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [TemporaryError] + [Accepted] * 5
    assert len(await spool.entries(QueueFilter())) == 6
    await spool.close()


def test_errors_are_sorted_by_what_a_sender_should_be_told() -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    assert isinstance(as_mail_error(full), SpoolFullError)
    assert isinstance(as_mail_error(OSError(28, "ENOSPC")), SpoolFullError)
    assert isinstance(as_mail_error(OSError(122, "EDQUOT")), SpoolFullError)
    for error in (OSError(5, "EIO"), sqlite3.DatabaseError("malformed"), ValueError("bug")):
        told = as_mail_error(error)
        assert isinstance(told, TemporaryError)
        assert told.reply == INTERNAL_ERROR
