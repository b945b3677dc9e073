"""What a poll does with messages, and that each is taken once whatever fails between."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mta.model.record import RecordFilter
from mta.model.reply import INTERNAL_ERROR, TemporaryError
from mta.model.tracking import EntryState
from mta.ports import mailbox as port
from mta.ports.directory import DirectoryDownError
from tests.unit.tracking.monitor.office import Office, message, office, pop3, settings


def ids(*numbers: int) -> dict[str, int]:
    return {f"<m{number}@example.net>": 1 for number in numbers}


async def test_messages_are_taken_and_moved(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        for number in range(3):
            box.put(number)
        await place.look()
        assert await place.taken() == ids(0, 1, 2)
        assert not box.waiting
        assert len(box.folders["StamplineProcessed"]) == 3
        notes = await place.notes()
        assert (notes.taken, notes.set_aside, notes.failures) == (3, 0, 0)
        assert notes.answered_at == place.clock.now()
        assert len(await place.the_store.records(RecordFilter())) == 3
        assert place.mailbox_log.count("mailbox-message") == 3
        assert not place.log.count("mailbox-message")
        assert place.mailbox_log.count("mailbox-polled") == 1


@pytest.mark.parametrize("do", ["mark-read", "delete", "move", "pop3"])
async def test_what_comes_after(do: str, tmp_path: Path) -> None:
    wanted = pop3() if do == "pop3" else settings(after={"do": do, "folder": "Done"})
    async with office(tmp_path, wanted) as place:
        box = place.mailboxes["help"]
        ref = box.put(1)
        await place.look()
        assert (ref in box.waiting) == (do == "mark-read")
        assert (ref in box.read) == (do == "mark-read")
        assert (ref in box.folders.get("Done", {})) == (do == "move")
        place.clock.go(minutes=10)
        await place.look()
        assert box.calls["fetch"] == 1


async def test_a_batch_is_followed_by_the_next_at_once_and_counted_as_one(tmp_path: Path) -> None:
    async with office(tmp_path, settings(poll={"messages": 4})) as place:
        box = place.mailboxes["help"]
        for number in range(10):
            box.put(number)
        await place.look()
        assert len(box.waiting) == 6
        await place.look()
        await place.look()
        assert not box.waiting
        assert box.calls["sign_in"] == 3
        progress = place.the_monitors.report()["help"]["progress"]
        assert (progress["taken"], progress["of"], progress["has_more"]) == (10, 10, False)
        assert (await place.notes()).taken == 10
        await place.look()
        assert box.calls["sign_in"] == 3


async def test_each_message_has_its_line_or_only_what_goes_wrong(tmp_path: Path) -> None:
    async with office(tmp_path, settings(log_messages=False, largest=500)) as place:
        place.mailboxes["help"].put(1)
        place.mailboxes["help"].put(2, data=message(2) + b"x" * 1000)
        await place.look()
        assert not place.mailbox_log.count("mailbox-message ")
        assert place.mailbox_log.count("mailbox-message-set-aside") == 1


# --- a crash, or a server that dies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [{"do": "move"}, {"do": "delete"}, {"do": "mark-read"}])
@pytest.mark.parametrize("call", ["fetch", "move", "delete", "mark_read", "end_session"])
@pytest.mark.parametrize("error", [port.EndpointDownError("reset"), port.OutcomeUnknownError("timeout")])
async def test_a_server_that_dies_in_between_costs_nothing(
    after: dict[str, str], call: str, error: port.MailboxError, tmp_path: Path
) -> None:
    async with office(tmp_path, settings(after=after)) as place:
        box = place.mailboxes["help"]
        for number in range(3):
            box.put(number)
        box.faults[call] = [None, error]
        await place.looks(10)
        assert await place.taken() == ids(0, 1, 2)
        assert all(ref in box.read for ref in box.waiting)
        assert len(await place.the_store.records(RecordFilter())) == 3
        assert (await place.notes()).failures == 0
        assert not place.mailbox_log.count("mailbox-message-set-aside")


async def test_what_was_taken_is_not_fetched_again_after_a_broken_session(tmp_path: Path) -> None:
    async with office(tmp_path, pop3()) as place:
        box = place.mailboxes["help"]
        for number in range(3):
            box.put(number)
        box.faults["end_session"] = [port.EndpointDownError("reset")]
        await place.look()
        assert len(box.waiting) == 3
        place.clock.go(minutes=1)
        await place.look()
        assert not box.waiting
        assert box.calls["fetch"] == 3


@pytest.mark.parametrize("at", ["fetch", "take", "move"])
async def test_killed_in_between_each_is_taken_once(at: str, tmp_path: Path) -> None:
    class Killed(BaseException):
        """As SIGKILL: no handler of ours sees it."""

    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        for number in range(4):
            box.put(number)
        taken, killed = place.take, iter([False, True])

        async def take(*given: Any) -> Any:
            result = await taken(*given)
            if at == "take" and next(killed, False):
                raise Killed
            return result

        place.take = take
        if at != "take":
            box.faults[at] = [None, Killed()]  # type: ignore[list-item]
        await place.the_monitors.look()
        assert any(isinstance(each, Killed) for each in await ended(place))
        await place.crash()
        await place.start(settings())
        assert place.log.count("tracking-cautious") == 1
        await place.look()
        assert await place.taken() == ids(0, 1, 2, 3)
        assert len(await place.the_store.records(RecordFilter())) == 4
        assert len(box.folders["StamplineProcessed"]) == 4


# --- poison ----------------------------------------------------------------------------------------------------------


async def test_what_can_not_be_read_is_set_aside_with_the_reason(tmp_path: Path) -> None:
    async with office(tmp_path, settings(after={"set_aside": "Aside"})) as place:
        box = place.mailboxes["help"]
        box.put(1, data=b"\x00\xff" * 100)
        box.put(2)
        await place.look()
        assert await place.taken() == {"": 1, **ids(2)}
        assert list(box.folders["Aside"]) == ["u00001"]
        [entry] = await place.the_store.entries(states=[EntryState.SET_ASIDE])
        assert entry.reason in place.mailbox_log.last("mailbox-message-set-aside")
        assert (await place.notes()).set_aside == 1


async def test_too_large_is_set_aside_without_being_loaded_and_moved_back_it_is_tried_again(tmp_path: Path) -> None:
    async with office(tmp_path, settings(largest=500)) as place:
        box = place.mailboxes["help"]
        data = message(1) + b"x" * 1000
        box.put(1, data=data)
        await place.look()
        [entry] = await place.the_store.entries(states=[EntryState.SET_ASIDE])
        assert entry.reason == "too-large"
        box.waiting |= box.folders.pop("StamplineSetAside")
        place.equip(settings(largest=5000))
        await place.look()
        assert (await place.taken())["<m1@example.net>"] == 1
        assert not box.waiting


@pytest.mark.parametrize("times", [1, 2, 9])
async def test_what_our_own_fault_stops_is_set_aside_the_third_time(times: int, tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        for number in range(3):
            box.put(number)
        taken, failures = place.take, iter(range(times))

        async def take(data: bytes, *given: Any) -> Any:
            if b"<m1@" in data and next(failures, None) is not None:
                raise ValueError(data.decode())
            return await taken(data, *given)

        place.take = take
        await place.looks(15)
        assert place.mailbox_log.count("mailbox-message-failed") == min(times, 2)
        assert (await place.taken()) == {**ids(0, 1, 2)}
        aside = await place.the_store.entries(states=[EntryState.SET_ASIDE])
        assert [(entry.reason, entry.message_id) for entry in aside] == (
            [("fails: ValueError", "<m1@example.net>")] if times > 1 else []
        )
        assert "prints nothing" not in "".join(place.mailbox_log.lines + place.log.lines)


async def test_what_kills_us_twice_is_set_aside_without_being_read_and_nobody_else_is(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    async with office(tmp_path, settings(), settings("other")) as place:
        box, other = place.mailboxes["help"], place.mailboxes["other"]
        box.put(1)
        other.put(2)
        box.faults["fetch"] = Killed()  # type: ignore[assignment]
        for _ in range(3):  # the first time others were in hand, too
            await place.the_monitors.look()
            assert any(isinstance(each, Killed) for each in await ended(place))
            await place.crash()
            await place.start(settings(), settings("other"))
        await place.look()
        assert [entry.reason for entry in await place.the_store.entries(states=[EntryState.SET_ASIDE])] == ["kills-us"]
        assert (await place.taken())["<m2@example.net>"] == 1
        assert box.calls["fetch"] == 3


async def test_what_kills_us_is_found_behind_many_that_only_stay(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    async with office(tmp_path, settings(poll={"messages": 2}, after={"do": "move"})) as place:
        box = place.mailboxes["help"]
        for number in range(6):
            box.put(number)
        box.faults["move"] = port.AccessDeniedError("no", "the folder can't be made")
        taken = place.take

        async def take(data: bytes, *given: Any) -> Any:
            if b"<m5@" in data:
                raise Killed
            return await taken(data, *given)

        place.take = take
        for _ in range(3):
            with suppress(Killed):
                for _ in range(4):
                    await place.the_monitors.look()
                    for outcome in await ended(place):
                        if isinstance(outcome, Killed):
                            raise outcome
            await place.crash()
            await place.start(settings(poll={"messages": 2}, after={"do": "move"}))
        await place.looks(4)
        assert [entry.reason for entry in await place.the_store.entries(states=[EntryState.SET_ASIDE])] == ["kills-us"]


async def test_attempts_are_counted_only_after_a_crash(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        commits = _Commits(place.the_store._writer)
        for number in range(10):
            box.put(number)
        await place.look()
        assert commits.of == {"OpenTransaction": 10, "Take": 10, "NoteMailbox": 1}


class _Commits:
    """What is submitted to a store's writer from now on."""

    def __init__(self, writer: Any) -> None:
        self.of: Counter[str] = Counter()
        self._submit = writer.submit
        writer.submit = self._counted

    def _counted(self, operation: Any, *given: Any) -> Any:
        self.of[type(operation).__name__] += 1
        return self._submit(operation, *given)


async def ended(place: Office) -> list[Any]:
    """How the polls in hand ended."""
    return await asyncio.gather(*place.the_monitors.in_hand, return_exceptions=True)


# --- what comes after fails ------------------------------------------------------------------------------------------


async def test_what_can_not_be_moved_is_told_once_and_neither_taken_nor_fetched_again(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        for number in range(3):
            box.put(number)
        box.faults["move"] = port.AccessDeniedError("no", "the folder can't be made")
        await place.looks(120)
        assert await place.taken() == ids(0, 1, 2)
        assert box.calls["fetch"] == 3
        assert place.mailbox_log.count("mailbox-message-stays") == 3
        assert box.calls["move"] < 30
        assert place.the_monitors.report()["help"]["stays"] == 3
        box.put(3)
        del box.faults["move"]
        await place.looks(400)
        assert not box.waiting
        assert await place.taken() == ids(0, 1, 2, 3)


async def test_those_that_stay_do_not_keep_new_ones_away(tmp_path: Path) -> None:
    async with office(tmp_path, settings(poll={"messages": 2})) as place:
        box = place.mailboxes["help"]
        box.faults["move"] = port.RefusedError("no")
        for number in range(9):
            box.put(number)
        await place.looks(60)
        assert len(await place.taken()) == 9


async def test_a_message_that_goes_meanwhile_is_no_error(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        for number in range(2):
            box.put(number)
        box.faults["fetch u00000"] = [port.ItemGoneError("gone")]
        await place.look()
        assert await place.taken() == ids(1)


# --- our own side ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [TemporaryError(INTERNAL_ERROR), DirectoryDownError({})])
async def test_a_store_or_directory_that_is_down_is_no_fault_of_the_message(error: Exception, tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        box.put(1)
        taken, times = place.take, iter(range(6))

        async def take(*given: Any) -> Any:
            if next(times, None) is not None:
                raise error
            return await taken(*given)

        place.take = take
        await place.looks(40)
        assert await place.taken() == ids(1)
        assert not await place.the_store.entries(states=[EntryState.SET_ASIDE])
        is_directory = isinstance(error, DirectoryDownError)
        assert place.log.count("tracking-store-down") == place.log.count("tracking-store-back") == (not is_directory)
        assert ("reason=directory-down" in "".join(place.mailbox_log.lines)) == is_directory


async def test_a_store_that_begins_attempts_and_ends_none_has_no_message_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office(tmp_path, settings()) as place:
        place.mailboxes["help"].put(1)

        async def full(*given: Any) -> Any:
            raise TemporaryError(INTERNAL_ERROR)

        with monkeypatch.context() as patched:
            patched.setattr(place.store, "take", full)
            patched.setattr(place.store, "end_message", full)
            await place.looks(5)
        await place.looks(5)
        assert await place.taken() == ids(1)
        assert not await place.the_store.entries(states=[EntryState.SET_ASIDE])


async def test_no_server_is_asked_while_the_store_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        box.put(1)

        async def away() -> Any:
            raise TemporaryError(INTERNAL_ERROR)

        with monkeypatch.context() as patched:
            patched.setattr(place.store, "mailbox_notes", away)
            await place.looks(10)
        assert not box.calls["sign_in"]
        assert place.log.count("tracking-store-down") == 1
        await place.look()
        assert place.log.count("tracking-store-back") == 1
        assert not box.waiting


async def test_a_long_poll_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mta.tracking.monitor.poll.PROGRESS_EVERY_S", 0.0)
    async with office(tmp_path, settings()) as place:
        for number in range(5):
            place.mailboxes["help"].put(number)
        await place.look()
        assert "done=3 of=5" in "".join(place.mailbox_log.lines)


async def test_the_same_message_by_two_mailboxes_is_taken_once(tmp_path: Path) -> None:
    async with office(tmp_path, settings(), settings("other")) as place:
        boxes = place.mailboxes.values()
        for box in boxes:
            box.put(1)
        await place.look()
        assert await place.taken() == ids(1)
        assert not any(box.waiting for box in boxes)
        assert sum(notes.taken for notes in (await place.the_store.mailbox_notes()).values()) == 1


async def test_a_large_message_is_taken_as_any_other(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        place.mailboxes["help"].put(1, data=message(1) + b"It prints nothing.\r\n" * 400_000)
        await place.look()
        assert await place.taken() == ids(1)


_BROKEN = [
    port.MailboxUnavailableError("ErrorInternalServerError"), port.EndpointDownError("broken"),
    port.MailboxError("ErrorNobodyKnows"),
]  # fmt: skip


@pytest.mark.parametrize("error", _BROKEN, ids=lambda error: error.code)
async def test_a_message_that_the_server_fails_at_holds_up_no_others_for_ever(
    error: port.MailboxError, tmp_path: Path
) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        broken = box.put(1)
        box.faults[f"fetch {broken}"] = error
        box.put(2)
        for _ in range(4):
            await place.look()
            place.clock.go(hours=1)
        assert await place.taken() == ids(2) | {"": 1}
        assert list(box.folders["StamplineSetAside"]) == [broken]
        assert box.calls[f"fetch {broken}"] == 3
        assert place.mailbox_log.count("mailbox-message-set-aside") == 1


async def test_a_message_that_the_server_fails_to_move_holds_up_no_others_for_ever(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        box.put(1)
        box.faults["move"] = [port.OutcomeUnknownError("500")] * 3
        for _ in range(3):
            await place.look()
            place.clock.go(hours=1)
        box.put(2)
        await place.look()
        assert await place.taken() == ids(1, 2)
        assert len(box.folders["StamplineProcessed"]) == 2


async def test_a_server_that_is_away_blames_no_message(tmp_path: Path) -> None:
    async with office(tmp_path, settings()) as place:
        box = place.mailboxes["help"]
        first = box.put(1)
        box.faults[f"fetch {first}"] = [port.EndpointDownError("broken")] * 2
        for _ in range(2):
            await place.look()
            place.clock.go(hours=1)
        box.faults["sign_in"] = [port.EndpointDownError("unreachable")] * 5
        for _ in range(6):
            await place.look()
            place.clock.go(hours=1)
        assert await place.taken() == ids(1)
        assert "StamplineSetAside" not in box.folders
