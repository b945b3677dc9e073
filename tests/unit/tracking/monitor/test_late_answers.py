"""Mailboxes are polled in any order: an answer before what it answers; and what was left out, put back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mta.message.parse import parse
from mta.message.tracking_copy import Letterhead, TrackingCopy, digest_of, write_copy
from mta.model.address import parse_address
from mta.model.record import Note, RecordFilter
from mta.model.reply import INTERNAL_ERROR, TemporaryError
from mta.model.tracking import EntryState
from mta.tracking.intake import Taken, take
from mta.tracking.monitor.late_answers import ATTEMPTS_MAX
from tests.unit.tracking.monitor.office import NOON, Office, message, office, settings
from tests.unit.tracking.scene import KEY

AGENT = {"From": "Ann <ann@example.com>", "To": "jane1@example.net", "Subject": "Re: Printer 1"}
ANSWER = message(7, **AGENT, In_Reply_To="<m1@example.net>")
BOXES = (settings("help"), settings("processing"))


def copied(data: bytes) -> bytes:
    """As the relay copies what one of us sent, by a rule with `open: false`."""
    said = TrackingCopy(
        None, "sent", "ann@example.com", ("jane1@example.net",), "desk-out", "1tQueue", parse(data).message_id,
        digest_of([data]), NOON, True, "default", by="",
    )  # fmt: skip
    head = Letterhead(
        parse_address("postmaster@example.com"), parse_address("processing@example.com"), "<copy@x.example>", NOON, "C"
    )
    return b"".join(write_copy(said, KEY, [data], head))


class Killed(BaseException):
    """The process died."""


async def poll(place: Office, name: str) -> None:
    place.the_monitors.ask([name])
    await place.look()


async def notes(place: Office) -> Mapping[str, list[Note]]:
    """By the record's name."""
    found = await place.the_store.records(RecordFilter())
    return {str(each.transaction): [*await place.the_store.notes(each.transaction)] for _, each in found}


async def states(place: Office) -> dict[str, tuple[str, str]]:
    return {entry.message_id: (entry.state.value, entry.reason) for entry in await place.the_store.entries()}


async def test_an_answer_that_is_polled_before_the_customers_mail_is_in_its_record(tmp_path: Path) -> None:
    async with office(tmp_path, *BOXES) as place:
        place.mailboxes["processing"].put(1, data=copied(ANSWER))
        await poll(place, "processing")
        assert await states(place) == {"<m7@example.net>": ("unmatched", "unknown-original")}
        assert not place.mailboxes["processing"].waiting, "it is put away as any other"
        place.mailboxes["help"].put(1)
        await poll(place, "help")
        assert (await states(place))["<m7@example.net>"] == ("joined", "known-reference")
        ((record, found),) = (await notes(place)).items()
        assert [(note.message_id, note.kind) for note in found] == [
            ("<m1@example.net>", "received"), ("<m7@example.net>", "sent"),
        ]  # fmt: skip
        line = place.mailbox_log.last("mailbox-answer")
        assert all(each in line for each in ("mailbox=processing", "state=joined", f"record={record}"))
        for name in ("help", "processing", "help"):
            await poll(place, name)
        assert place.mailbox_log.count("mailbox-answer") == 1
        assert len((await notes(place))[record]) == 2


async def test_an_answer_to_what_never_comes_stays_unmatched_and_is_not_kept(tmp_path: Path) -> None:
    async with office(tmp_path, *BOXES) as place:
        place.mailboxes["processing"].put(1, data=copied(ANSWER))
        await poll(place, "processing")
        place.clock.go(days=4)
        await place.the_store.forget(place.clock.now() - timedelta(days=30), 100)
        place.mailboxes["help"].put(1)
        await poll(place, "help")
        assert (await states(place))["<m7@example.net>"] == ("unmatched", "unknown-original")
        assert place.mailbox_log.count("mailbox-answer") == 0


@pytest.mark.parametrize("fields", [{}, {"Auto_Submitted": "auto-replied"}], ids=["no answer", "automatic"])
async def test_what_answers_nothing_or_was_written_by_a_program_is_not_kept(
    tmp_path: Path, fields: dict[str, str]
) -> None:
    answers = {"In_Reply_To": "<m1@example.net>"} if fields else {}
    async with office(tmp_path, *BOXES) as place:
        place.mailboxes["processing"].put(1, data=copied(message(7, **AGENT, **fields, **answers)))
        await poll(place, "processing")
        place.mailboxes["help"].put(1)
        await poll(place, "help")
        assert (await states(place))["<m7@example.net>"] == ("unmatched", "no-reference")


@pytest.mark.parametrize("times", [1, ATTEMPTS_MAX])
async def test_a_crash_between_the_original_and_its_answer_loses_and_doubles_nothing(
    tmp_path: Path, times: int
) -> None:
    async with office(tmp_path, *BOXES) as place:
        place.mailboxes["processing"].put(1, data=copied(ANSWER))
        await poll(place, "processing")
        place.mailboxes["help"].put(1)
        dies = [True] * times

        async def dying(data: bytes, *given: object) -> Taken:
            if data == copied(ANSWER) and dies:
                dies.pop()
                raise Killed
            return await take(data, *given)  # type: ignore[arg-type]

        place.take = dying
        place.equip(BOXES[0])
        for _ in range(times):
            place.the_monitors.ask(["help"])
            await place.the_monitors.look()
            ended = await asyncio.gather(*place.the_monitors.in_hand, return_exceptions=True)
            assert any(isinstance(each, Killed) for each in ended)
            await place.crash()
            await place.start(BOXES[0])
        await poll(place, "help")
        is_given_up = times == ATTEMPTS_MAX
        expected = ("unmatched", "unknown-original") if is_given_up else ("joined", "known-reference")
        assert (await states(place))["<m7@example.net>"] == expected
        ((_, found),) = (await notes(place)).items()
        assert len(found) == (1 if is_given_up else 2)
        assert place.mailbox_log.count("mailbox-answer-given-up") == is_given_up


async def test_a_store_that_can_not_write_lets_an_answer_wait(tmp_path: Path) -> None:
    async with office(tmp_path, *BOXES) as place:
        place.mailboxes["processing"].put(1, data=copied(ANSWER))
        await poll(place, "processing")
        place.mailboxes["help"].put(1)
        fails = [True] * (ATTEMPTS_MAX + 1)

        async def failing(data: bytes, *given: object) -> Taken:
            if data == copied(ANSWER) and fails:
                fails.pop()
                raise TemporaryError(INTERNAL_ERROR)
            return await take(data, *given)  # type: ignore[arg-type]

        place.take = failing
        while fails:
            await poll(place, "help")
            assert (await states(place))["<m7@example.net>"][0] == "unmatched"
        await poll(place, "help")
        assert (await states(place))["<m7@example.net>"] == ("joined", "known-reference")


async def test_an_answer_that_our_own_rules_fail_on_is_told_of_and_keeps_no_other(tmp_path: Path) -> None:
    other = message(8, **AGENT, In_Reply_To="<m1@example.net>")
    async with office(tmp_path, *BOXES) as place:
        for number, data in enumerate((ANSWER, other)):
            place.mailboxes["processing"].put(number, data=copied(data))
        await poll(place, "processing")

        async def failing(data: bytes, *given: object) -> Taken:
            if data == copied(ANSWER):
                raise LookupError(parse(ANSWER).subject)
            return await take(data, *given)  # type: ignore[arg-type]

        place.take = failing
        place.mailboxes["help"].put(1)
        await poll(place, "help")
        found = await states(place)
        assert (found["<m7@example.net>"][0], found["<m8@example.net>"][0]) == ("unmatched", "joined")
        line = place.mailbox_log.last("mailbox-answer-given-up")
        assert "LookupError" in line
        assert "Printer" not in line


async def test_after_a_crash_a_late_answer_is_in_hand_alone(tmp_path: Path) -> None:
    """Else what else is in hand would be blamed for it, too."""
    async with office(tmp_path, *BOXES) as place:
        place.mailboxes["processing"].put(1, data=copied(ANSWER))
        await poll(place, "processing")
        await place.crash()
        await place.start(*BOXES)
        is_alone: list[bool] = []

        async def watched(data: bytes, *given: object) -> Taken:
            try:
                async with asyncio.timeout(0), place.turns.of_task():
                    is_alone.append(False)
            except TimeoutError:
                is_alone.append(True)
            return await take(data, *given)  # type: ignore[arg-type]

        place.take = watched
        place.mailboxes["help"].put(1)
        await place.look()
        assert (await states(place))["<m7@example.net>"] == ("joined", "known-reference")
        assert is_alone == [True, True]


# --- put back ------------------------------------------------------------------------------------------------------


async def filtered(place: Office) -> None:
    place.mailboxes["help"].put(1)
    await poll(place, "help")
    assert await states(place) == {"<m1@example.net>": ("filtered", "rule:printers")}


FILTER = {"rules": [{"name": "printers", "field": "subject", "match": {"contains": "printer"}}]}


async def test_what_a_filter_has_left_out_is_taken_when_it_is_put_back_after_the_filter_was_mended(
    tmp_path: Path,
) -> None:
    async with office(tmp_path, settings(), filters=FILTER) as place:
        await filtered(place)
        (moved,) = place.mailboxes["help"].folders.values()
        place.mailboxes["help"].put(2, data=moved.popitem()[1])
        await poll(place, "help")
        assert await states(place) == {"<m1@example.net>": ("filtered", "rule:printers")}, "nothing was changed"
        assert " again" in place.mailbox_log.last("mailbox-message")
        assert place.desk is not None
        place.desk = replace(place.desk, settings=place.tracking.model_copy(update={"filters": type(
            place.tracking.filters)()}))  # fmt: skip
        place.equip(settings())
        for number in (3, 4):
            place.mailboxes["help"].put(number, data=message(1))
            await poll(place, "help")
        assert await states(place) == {"<m1@example.net>": ("joined", "rule")}
        ((_, found),) = (await notes(place)).items()
        assert len(found) == 1, "once, however often it comes"


async def test_what_no_rule_was_for_uses_up_the_senders_cap_once(tmp_path: Path) -> None:
    async with office(tmp_path, settings(), filters={"cap_per_day": 2}) as place:
        rules = tmp_path / "rules" / "10.yaml"
        was, nothing = rules.read_text(), "rules: []\n"
        rules.write_text(nothing)
        await place.stop()
        await place.start(settings())
        for number in range(2):
            place.mailboxes["help"].put(number, data=message(number, From="jane@example.net"))
        await poll(place, "help")
        assert {state for state, _ in (await states(place)).values()} == {"unmatched"}
        rules.write_text(was)
        await place.stop()
        await place.start(settings())
        for number in range(3):
            place.mailboxes["help"].put(number, data=message(number, From="jane@example.net"))
        await poll(place, "help")
        assert {name: state for name, (state, _) in (await states(place)).items()} == {
            "<m0@example.net>": "joined", "<m1@example.net>": "joined", "<m2@example.net>": "filtered",
        }  # fmt: skip
        capped = [each for each in await place.the_store.entries() if each.state is EntryState.FILTERED]
        assert [each.reason for each in capped] == ["cap-of-a-day"]
