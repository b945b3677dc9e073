"""What every mailbox server has to do for the marks on filed messages."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from mta.model.writeback import FiledMark
from mta.ports.mailbox import AccessDeniedError, ItemGoneError, MailboxError, NoMailboxError, SentItems
from tests.contract.mailboxes.harness import Fault, FilingPlace, Harness, Kept, Original
from tests.contract.mailboxes.mime_eyes import shown
from tests.contract.mailboxes.samples import new_id, plain, reply

MARK = FiledMark(
    "Transferred", "https://desk.example.com/ticket/000123", "", {"Ticket": "000123", "Due": 4}, "ticket-123"
)
PLACES: tuple[FilingPlace, ...] = get_args(FilingPlace)


def _message_id(original: Original) -> str:
    return shown(original.mime, ()).message_id


async def _marked(server: SentItems, mailbox: str, message_id: str) -> list[str]:
    """Folders of the copies that were found and marked."""
    found = await server.find_filed(mailbox, message_id)
    for item in found:
        await server.put_mark(mailbox, item.ref, MARK)
    return [item.folder for item in found]


def _categorised(original: Original, harness: Harness, *names: str) -> Original:
    """With categories of its owner's; keywords where the server has only these."""
    if Kept.CATEGORIES in harness.keeps:
        return replace(original, marks=replace(original.marks, categories=names))
    return replace(original, marks=replace(original.marks, keywords=names))


async def test_a_copy_in_sent_items_is_found_and_marked_once(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = reply(new_id())
    harness.put(mailbox, original)
    for _ in range(2):
        (found,) = await server.find_filed(mailbox, _message_id(original))
        await server.put_mark(mailbox, found.ref, MARK)
    (item,) = await server.find(mailbox, _message_id(original), "0" * 32)
    marks = (await server.read(mailbox, item.ref)).marks
    assert (*marks.categories, *marks.keywords) == ("Transferred",)
    assert marks.is_read == original.marks.is_read


async def test_copies_in_inbox_sent_items_and_below_are_marked_and_no_others(
    harness: Harness, server: SentItems, mailbox: str
) -> None:
    message_id, other = new_id(), new_id()
    for place in PLACES:
        harness.put_in(mailbox, plain(message_id), place)
        harness.put_in(mailbox, plain(other), place)
    assert len(await _marked(server, mailbox, message_id)) == 3
    assert harness.categories(mailbox) == sorted(
        (place, each, frozenset({"Transferred"} if each == message_id and place != "deleted" else ()))
        for place in PLACES
        for each in (message_id, other)
    )


async def test_what_its_owner_has_set_stays(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = _categorised(plain(new_id()), harness, "Blue")
    harness.put_in(mailbox, replace(original, marks=replace(original.marks, is_read=False)), "inbox")
    harness.put(mailbox, original)
    await _marked(server, mailbox, _message_id(original))
    assert [names for _, _, names in harness.categories(mailbox)] == [frozenset({"Blue", "Transferred"})] * 2
    (item,) = await server.find(mailbox, _message_id(original), "0" * 32)
    before, now = plain(_message_id(original)), await server.read(mailbox, item.ref)
    assert now.marks.is_read == before.marks.is_read
    assert (now.text or "").split() == ["Hello"]


async def test_a_mark_without_a_category_sets_none(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = plain(new_id())
    harness.put_in(mailbox, original, "inbox")
    (found,) = await server.find_filed(mailbox, _message_id(original))
    await server.put_mark(mailbox, found.ref, replace(MARK, category=""))
    assert harness.categories(mailbox) == [("inbox", _message_id(original), frozenset())]


@pytest.mark.parametrize(
    "message_id", ["<o'brien&co@example.com>", "<50%25=a+b#c@example.com>", "<it''s.$x@example.com>"]
)
async def test_any_message_id_is_found(harness: Harness, server: SentItems, mailbox: str, message_id: str) -> None:
    harness.put_in(mailbox, plain(message_id), "below")
    assert len(await server.find_filed(mailbox, message_id)) == 1


async def test_another_message_is_not_found(harness: Harness, server: SentItems, mailbox: str) -> None:
    harness.put(mailbox, reply(new_id()))
    assert not await server.find_filed(mailbox, "<another@example.com>")


async def test_a_copy_that_is_gone_meanwhile_is_told_of(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = plain(new_id())
    harness.put(mailbox, original)
    (found,) = await server.find_filed(mailbox, _message_id(original))
    harness.delete(mailbox, _message_id(original))
    with pytest.raises(ItemGoneError):
        await server.put_mark(mailbox, found.ref, MARK)


async def test_a_mailbox_that_is_closed_to_us_or_not_there_is_told_of(
    harness: Harness, server: SentItems, mailbox: str
) -> None:
    with pytest.raises(NoMailboxError if Kept.ABSENCE in harness.keeps else MailboxError):
        await server.find_filed(harness.absent_mailbox(), "<1@example.com>")
    if Fault.DENIED not in harness.faults:
        return
    harness.put(mailbox, plain(new_id()))
    with harness.fault(Fault.DENIED, mailbox) as denied:
        try:
            with pytest.raises(AccessDeniedError):
                await denied.find_filed(mailbox, "<1@example.com>")
        finally:
            await denied.close()
