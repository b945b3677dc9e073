"""What every adapter of the port `MailboxReader` has to do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from mta.ports.mailbox import (
    EndpointDownError,
    ItemGoneError,
    MailboxError,
    NoMailboxError,
    RefusedError,
    SignInError,
    TlsFailedError,
)
from mta.ports.mailbox_reader import MailboxReader, PutsAwayTogether
from tests.contract.readers.harness import Fault, Harness, Trait, message, message_id
from tests.contract.readers.kinds import FAULTS, KINDS

pytestmark = pytest.mark.server
_LARGE = 50_000_000
_EXPECTED: dict[Fault, type[MailboxError]] = {
    Fault.PASSWORD: SignInError, Fault.UNTRUSTED: TlsFailedError, Fault.DOWN: EndpointDownError,
    Fault.NO_FOLDER: NoMailboxError,
}  # fmt: skip


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


def _with(trait: Trait) -> pytest.MarkDecorator:
    """For kinds that have it."""
    kinds = [kind for kind, made in sorted(KINDS.items()) if trait in made.traits]
    return pytest.mark.parametrize("harness", kinds, indirect=True)


@pytest.fixture(params=sorted(KINDS))
def harness(request: pytest.FixtureRequest, harnesses: Callable[[str], Harness]) -> Harness:
    return harnesses(request.param)


@pytest.fixture
def mailbox(harness: Harness) -> str:
    return harness.add_mailbox()


@asynccontextmanager
async def _reading(harness: Harness, mailbox: str, **settings: Any) -> AsyncIterator[MailboxReader]:
    reader = harness.open(mailbox, **settings)
    try:
        yield reader
    finally:
        await reader.close()


def _delivered(harness: Harness, mailbox: str, count: int) -> list[bytes]:
    messages = [message(f"number {number}") for number in range(count)]
    for data in messages:
        harness.deliver(mailbox, data)
    return messages


async def _refs(reader: MailboxReader, limit: int = 100) -> list[str]:
    return [waiting.ref for waiting in await reader.waiting(limit)]


async def _ids(reader: MailboxReader, limit: int = 100) -> list[str]:
    return [message_id(await reader.fetch(ref, _LARGE)) for ref in await _refs(reader, limit)]


def _lying(harness: Harness, mailbox: str, folder: str = "") -> list[str]:
    return [each.message_id for each in harness.lying(mailbox, folder)]


# --- signing in -------------------------------------------------------------------------------------------------------


async def test_signing_in_says_what_answered(harness: Harness, mailbox: str) -> None:
    async with _reading(harness, mailbox) as reader:
        answered = await reader.sign_in()
        assert answered
        assert answered.isprintable()
        await reader.end_session(purge=True)


async def test_an_empty_mailbox_has_nothing_waiting(harness: Harness, mailbox: str) -> None:
    async with _reading(harness, mailbox) as reader:
        assert await reader.waiting(100) == []
        assert await reader.folders()
        await reader.end_session(purge=True)


@pytest.mark.parametrize(("kind", "fault"), FAULTS)
async def test_faults(kind: str, fault: Fault, harnesses: Callable[[str], Harness]) -> None:
    harness = harnesses(kind)
    with harness.fault(fault, harness.add_mailbox()) as reader:
        with pytest.raises(_EXPECTED[fault]) as raised:
            await reader.sign_in()
        assert f"{raised.value}".isprintable()
        await reader.close()


# --- reading ----------------------------------------------------------------------------------------------------------


async def test_messages_wait_oldest_first_and_no_more_than_asked_for(harness: Harness, mailbox: str) -> None:
    delivered = [message_id(data) for data in _delivered(harness, mailbox, 5)]
    async with _reading(harness, mailbox) as reader:
        assert await _ids(reader) == delivered
        assert await _ids(reader, 3) == delivered[:3]
        await reader.end_session(purge=True)


async def test_sizes_and_times_are_told_or_left_out(harness: Harness, mailbox: str) -> None:
    harness.deliver(mailbox, data := message())
    async with _reading(harness, mailbox) as reader:
        (waiting,) = await reader.waiting(100)
        assert waiting.size_octets == 0 or len(data) / 2 < waiting.size_octets < 20 * len(data)
        assert waiting.received_at is None or waiting.received_at.tzinfo is not None


@pytest.mark.parametrize(
    "body",
    [
        b"Sm\xc3\xb8rebr\xc3\xb8d\r\n.\r\n..\r\n\r\n.. and more\r\n",
        b"",
        b"no line end",
        b"x" * 100_000 + b"\r\n",
        b"a line\r\n" * 200_000,
    ],
    ids=["dots", "empty", "no-line-end", "long-line", "large"],
)
async def test_a_message_is_given_as_it_came(harness: Harness, mailbox: str, body: bytes) -> None:
    harness.deliver(mailbox, data := message(body=body))
    async with _reading(harness, mailbox) as reader:
        (ref,) = await _refs(reader)
        fetched = await reader.fetch(ref, _LARGE)
        assert re.search(rb"(?<!\r)\n", fetched) is None
        if Trait.SAME_BYTES in harness.traits:
            assert fetched.rstrip(b"\r\n") == data.rstrip(b"\r\n")  # POP3 has no word for a last line without an end
        else:
            assert message_id(fetched) == message_id(data)


async def test_fetching_marks_nothing(harness: Harness, mailbox: str) -> None:
    _delivered(harness, mailbox, 2)
    for _ in range(2):
        async with _reading(harness, mailbox, after={"do": "mark-read"}) as reader:
            assert len(await _ids(reader)) == 2
            await reader.end_session(purge=True)
    if Trait.FOLDERS in harness.traits:  # servers of POP3 may keep marks for IMAP, which POP3 has no word for
        assert not any(each.is_read for each in harness.lying(mailbox))


async def test_a_message_that_is_too_large_is_refused_and_the_session_goes_on(harness: Harness, mailbox: str) -> None:
    harness.deliver(mailbox, message(body=b"a line\r\n" * 20_000))
    harness.deliver(mailbox, small := message())
    async with _reading(harness, mailbox) as reader:
        large_ref, small_ref = await _refs(reader)
        with pytest.raises(RefusedError):
            await reader.fetch(large_ref, 50_000)
        assert message_id(await reader.fetch(small_ref, 50_000)) == message_id(small)


async def test_what_is_gone_is_gone(harness: Harness, mailbox: str) -> None:
    gone, kept = _delivered(harness, mailbox, 2)
    async with _reading(harness, mailbox) as reader:
        ref, _ = await _refs(reader)
        await reader.end_session(purge=True)
        harness.take_away(mailbox, message_id(gone))
        await reader.sign_in()
        with pytest.raises(ItemGoneError):
            await reader.fetch(ref, _LARGE)
        await reader.mark_read(ref)
        await reader.delete(ref)
        await reader.move(ref, "StamplineProcessed")
        assert await _ids(reader) == [message_id(kept)]
        await reader.end_session(purge=True)
    assert _lying(harness, mailbox) == [message_id(kept)]


@pytest.mark.parametrize("do", ["move", "delete", "mark-read"])
async def test_many_are_put_away_together_though_one_is_gone(
    do: str, harnesses: Callable[[str], Harness]
) -> None:  # fmt: skip
    harness = harnesses("imap")
    mailbox = harness.add_mailbox()
    *messages, kept = _delivered(harness, mailbox, 7)
    async with _reading(harness, mailbox, after={"do": do}) as reader:
        assert isinstance(reader, PutsAwayTogether)
        *refs, last = await _refs(reader)
        await reader.end_session(purge=True)
        harness.take_away(mailbox, message_id(messages[2]))
        await reader.sign_in()
        await reader.put_away([*refs, "1.4711"], do, "Done")
        assert await _refs(reader) == [last]
        await reader.end_session(purge=True)
    put_away = [message_id(each) for each in messages if each is not messages[2]]
    assert _lying(harness, mailbox) == [*(put_away if do == "mark-read" else []), message_id(kept)]
    if do == "move":
        assert _lying(harness, mailbox, "Done") == put_away


async def test_a_ref_that_nobody_gave_names_nothing(harness: Harness, mailbox: str) -> None:
    _delivered(harness, mailbox, 1)
    async with _reading(harness, mailbox) as reader:
        with pytest.raises(ItemGoneError):
            await reader.fetch("1.999999", _LARGE)
        await reader.delete("1.999999")
        await reader.end_session(purge=True)
    assert len(harness.lying(mailbox)) == 1


async def test_messages_that_arrive_meanwhile_are_seen_by_the_next_session(harness: Harness, mailbox: str) -> None:
    (first,) = _delivered(harness, mailbox, 1)
    async with _reading(harness, mailbox) as reader:
        (ref,) = await _refs(reader)
        (second,) = _delivered(harness, mailbox, 1)
        assert message_id(await reader.fetch(ref, _LARGE)) == message_id(first)
        await reader.end_session(purge=True)
        assert await _ids(reader) == [message_id(first), message_id(second)]


# --- afterwards -------------------------------------------------------------------------------------------------------


@_with(Trait.FOLDERS)
async def test_marked_read_they_wait_no_more(harness: Harness, mailbox: str) -> None:
    first, second = _delivered(harness, mailbox, 2)
    async with _reading(harness, mailbox, after={"do": "mark-read"}) as reader:
        ref, _ = await _refs(reader)
        await reader.mark_read(ref)
        await reader.mark_read(ref)
        assert await _ids(reader) == [message_id(second)]
        await reader.end_session(purge=True)
        assert await _ids(reader) == [message_id(second)]
    assert {each.message_id: each.is_read for each in harness.lying(mailbox)} == {
        message_id(first): True, message_id(second): False,
    }  # fmt: skip


@_with(Trait.FOLDERS)
async def test_read_ones_wait_where_processed_ones_are_moved_or_deleted(harness: Harness, mailbox: str) -> None:
    (data,) = _delivered(harness, mailbox, 1)
    async with _reading(harness, mailbox) as reader:
        (ref,) = await _refs(reader)
        await reader.mark_read(ref)
        await reader.end_session(purge=True)
        assert await _ids(reader) == [message_id(data)]


async def test_deleted_they_are_gone_when_the_session_has_ended(harness: Harness, mailbox: str) -> None:
    _first, second, third = _delivered(harness, mailbox, 3)
    async with _reading(harness, mailbox, after={"do": "delete"}) as reader:
        ref, _, _ = await _refs(reader)
        await reader.delete(ref)
        await reader.delete(ref)
        await reader.end_session(purge=True)
        assert await _ids(reader) == [message_id(second), message_id(third)]
    assert _lying(harness, mailbox) == [message_id(second), message_id(third)]


@_with(Trait.UNPURGED)
async def test_what_is_deleted_and_not_purged_waits_no_more(harness: Harness, mailbox: str) -> None:
    delivered = [message_id(data) for data in _delivered(harness, mailbox, 2)]
    async with _reading(harness, mailbox, after={"do": "delete", "purge": False}) as reader:
        ref, _ = await _refs(reader)
        await reader.delete(ref)
        await reader.end_session(purge=False)
        assert await _ids(reader) == delivered[1:]
        await reader.end_session(purge=False)
    assert _lying(harness, mailbox) == delivered


@_with(Trait.FOLDERS)
@pytest.mark.parametrize("folder", ["StamplineProcessed", "Gelöscht & mehr", "Desk/Erledigt"])
async def test_moved_they_lie_in_a_folder_made_on_demand(harness: Harness, mailbox: str, folder: str) -> None:
    first, second, third = _delivered(harness, mailbox, 3)
    async with _reading(harness, mailbox, after={"do": "move", "folder": folder}) as reader:
        refs = await _refs(reader)
        for ref in (refs[0], refs[0], refs[2]):
            await reader.move(ref, folder)
        assert folder in await reader.folders()
        assert await _ids(reader) == [message_id(second)]
        await reader.end_session(purge=True)
    assert _lying(harness, mailbox) == [message_id(second)]
    assert _lying(harness, mailbox, folder) == [message_id(first), message_id(third)]


@_with(Trait.FOLDERS)
async def test_a_moved_message_is_what_it_was(harness: Harness, mailbox: str) -> None:
    harness.deliver(mailbox, data := message())
    async with _reading(harness, mailbox) as reader:
        (ref,) = await _refs(reader)
        await reader.move(ref, "Elsewhere")
        await reader.end_session(purge=True)
    assert [each.is_read for each in harness.lying(mailbox, "Elsewhere")] == [False]
    async with _reading(harness, mailbox, folder="Elsewhere") as reader:
        assert await _ids(reader) == [message_id(data)]


async def test_set_aside_they_are_kept(harness: Harness, mailbox: str) -> None:
    first, second = _delivered(harness, mailbox, 2)
    async with _reading(harness, mailbox) as reader:
        ref, _ = await _refs(reader)
        await reader.move(ref, "StamplineSetAside")
        await reader.end_session(purge=True)
    assert _lying(harness, mailbox) == [message_id(second)]
    assert _lying(harness, mailbox, "StamplineSetAside") == [message_id(first)]


# --- sessions ---------------------------------------------------------------------------------------------------------


async def test_many_sessions_one_after_the_other(harness: Harness, mailbox: str) -> None:
    delivered = [message_id(data) for data in _delivered(harness, mailbox, 4)]
    processed = []
    async with _reading(harness, mailbox, after={"do": "delete"}) as reader:
        for _ in range(4):
            await reader.sign_in()
            (waiting,) = await reader.waiting(1)
            processed.append(message_id(await reader.fetch(waiting.ref, _LARGE)))
            await reader.delete(waiting.ref)
            await reader.end_session(purge=True)
        assert await reader.waiting(10) == []
    assert processed == delivered


async def test_ending_what_never_began_is_no_error(harness: Harness, mailbox: str) -> None:
    async with _reading(harness, mailbox) as reader:
        await reader.end_session(purge=True)
        await reader.close()


async def test_an_adapter_that_was_closed_in_the_midst_deletes_at_most_what_it_was_told_to(
    harness: Harness, mailbox: str
) -> None:
    delivered = [message_id(data) for data in _delivered(harness, mailbox, 3)]
    async with _reading(harness, mailbox, after={"do": "delete"}) as reader:
        await reader.delete((await _refs(reader))[0])
    async with _reading(harness, mailbox, after={"do": "delete"}) as reader:
        assert (await _ids(reader))[-2:] == delivered[1:]


@_with(Trait.SERVER)
async def test_a_server_that_was_restarted_is_found_again(harness: Harness, mailbox: str) -> None:
    delivered = [message_id(data) for data in _delivered(harness, mailbox, 2)]
    async with _reading(harness, mailbox) as reader:
        refs = await _refs(reader)
        await asyncio.to_thread(harness.restart)
        with suppress(MailboxError):  # of those that ended in the midst of our session
            await reader.fetch(refs[0], _LARGE)
        assert [message_id(await reader.fetch(ref, _LARGE)) for ref in refs] == delivered
        assert await _refs(reader) == refs
