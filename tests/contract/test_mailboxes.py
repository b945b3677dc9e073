"""What every adapter of the port `SentItems` has to do."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from mta.model.mailbox_item import FollowUp, ItemRef, Marks, Participant, Removal, SentItem, stamped_job
from mta.ports.mailbox import (
    AccessDeniedError,
    ConflictError,
    EndpointBusyError,
    EndpointDownError,
    EndpointOverloadedError,
    ItemGoneError,
    MailboxError,
    MailboxUnavailableError,
    NoMailboxError,
    OutcomeUnknownError,
    QuotaError,
    RefusedError,
    SentItems,
    SignInError,
    TlsFailedError,
)
from tests.contract.mailboxes.harness import Fault, Harness, Kept, Original
from tests.contract.mailboxes.kinds import FAULTS
from tests.contract.mailboxes.mime_eyes import shown, words_of
from tests.contract.mailboxes.samples import (
    SENT_AT,
    STORED_AT,
    changed,
    in_place_of,
    new_id,
    plain,
    reply,
    unread,
)
from tests.shared import corpus

_NO_JOB = "0" * 32
_SECOND = timedelta(seconds=1)


async def _put(harness: Harness, server: SentItems, mailbox: str, original: Original | None = None) -> SentItem:
    """An original of the user's, read by the adapter; with its MIME, from which new items are made here."""
    original = original or reply(new_id())
    harness.put(mailbox, original)
    (found,) = await server.find(mailbox, _message_id(original), _NO_JOB)
    return _with_mime(await server.read(mailbox, found.ref), original)


def _with_mime(item: SentItem, original: Original) -> SentItem:
    return item if item.mime else replace(item, mime=original.mime)


def _message_id(original: Original) -> str:
    return shown(original.mime, ()).message_id


def _flag(item: SentItem) -> str:
    return item.marks.follow_up.status


# --- signing in -------------------------------------------------------------------------------------------------------


async def test_signing_in_says_what_answered(server: SentItems, mailbox: str) -> None:
    answered = await server.sign_in(mailbox)
    assert answered
    assert "\n" not in answered


async def test_a_mailbox_has_a_primary_address(server: SentItems, mailbox: str) -> None:
    assert (await server.primary_address(mailbox)).lower() == mailbox


@pytest.mark.parametrize(
    "call",
    [
        lambda server, mailbox: server.sign_in(mailbox),
        lambda server, mailbox: server.primary_address(mailbox),
        lambda server, mailbox: server.find(mailbox, "<a@example.com>", _NO_JOB),
        lambda server, mailbox: server.find_similar(mailbox, "Offer", SENT_AT, timedelta(minutes=2)),
        lambda server, mailbox: server.create(mailbox, _new()),
    ],
    ids=["sign_in", "primary_address", "find", "find_similar", "create"],
)
async def test_a_mailbox_that_is_not_there(harness: Harness, server: SentItems, call: Callable[..., object]) -> None:
    expected = NoMailboxError if Kept.ABSENCE in harness.keeps else (NoMailboxError, AccessDeniedError)
    with pytest.raises(expected):
        await call(server, harness.absent_mailbox())  # type: ignore[misc]


# --- finding ----------------------------------------------------------------------------------------------------------


async def test_an_item_is_found_by_its_message_id(harness: Harness, server: SentItems, mailbox: str) -> None:
    message_id = new_id()
    harness.put(mailbox, plain(new_id()))
    harness.put(mailbox, plain(message_id))
    harness.put(mailbox, plain(new_id()))
    (found,) = await server.find(mailbox, message_id, _NO_JOB)
    assert (found.message_id, found.stamp) == (message_id, "")
    assert found.sent_at is not None
    assert abs(found.sent_at - SENT_AT) < _SECOND


async def test_what_is_not_there_is_not_found(harness: Harness, server: SentItems, mailbox: str) -> None:
    assert list(await server.find(mailbox, new_id(), _NO_JOB)) == []
    other = new_id()
    harness.put(mailbox, plain(other))
    for message_id in (f"<x{other[1:]}", f"{other[:-1]}x>", other[:-2] + ">", new_id()):
        assert list(await server.find(mailbox, message_id, _NO_JOB)) == []


async def test_items_in_other_folders_are_not_found(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = await _put(harness, server, mailbox)
    await server.remove(mailbox, original.ref, Removal.DELETED_ITEMS)
    assert list(await server.find(mailbox, original.message_id, _NO_JOB)) == []


async def test_all_with_a_message_id_are_found(harness: Harness, server: SentItems, mailbox: str) -> None:
    message_id = new_id()
    harness.put(mailbox, plain(message_id))
    harness.put(mailbox, plain(message_id))
    found = await server.find(mailbox, message_id, _NO_JOB)
    assert [item.message_id for item in found] == [message_id, message_id]
    assert len({item.ref.id for item in found}) == 2


@pytest.mark.parametrize(
    "message_id",
    [
        '<"quoted string"@example.com>', "<back\\slash@example.com>", '<"@example.com>', "<(a){5}*%]@example.com>",
        "<a.OR.ALL@example.com>", "<'--@example.com>", f"<{'x' * 800}@example.com>", "<&lt;b&gt;@example.com>",
        "<a+b=c/d@[127.0.0.1]>", "<UPPER@Example.COM>",
    ],
)  # fmt: skip
async def test_a_message_id_is_never_more_than_itself(
    harness: Harness, server: SentItems, mailbox: str, message_id: str
) -> None:
    harness.put(mailbox, plain(new_id()))
    assert list(await server.find(mailbox, message_id, _NO_JOB)) == []
    assert list(await server.find(mailbox, message_id.swapcase(), _NO_JOB)) == []
    if " " not in message_id:
        harness.put(mailbox, plain(message_id))
        assert [item.message_id for item in await server.find(mailbox, message_id, _NO_JOB)] == [message_id]


@pytest.mark.parametrize(
    "message_id",
    ["<a\r\nA1 DELETE Sent\r\n@x>", "<a\0b@x>", "<{5}\r\nab@x>", "<ü@example.com>", "<\ud800@x>", "", "*", "<", '"'],
)
async def test_what_can_be_no_message_id_finds_nothing(
    harness: Harness, server: SentItems, mailbox: str, message_id: str
) -> None:
    harness.put(mailbox, plain(new_id()))
    assert list(await server.find(mailbox, message_id, _NO_JOB)) == []
    assert len(harness.shown(mailbox)) == 1


async def test_items_that_look_the_same_are_found_by_subject_and_time(
    harness: Harness, server: SentItems, mailbox: str
) -> None:
    wanted = new_id()
    harness.put(mailbox, plain(wanted, "Offer no. 7"))
    harness.put(mailbox, plain(new_id(), "Offer no. 77"))
    harness.put(mailbox, plain(new_id(), "Re: Offer no. 7"))
    near, far = timedelta(minutes=2), timedelta(minutes=5)
    found = await server.find_similar(mailbox, "Offer no. 7", SENT_AT + timedelta(minutes=1), near)
    assert [item.message_id for item in found] == [wanted]
    assert list(await server.find_similar(mailbox, "Offer no. 7", SENT_AT + far, near)) == []
    assert list(await server.find_similar(mailbox, "Offer no. 7", SENT_AT - far, near)) == []


async def test_a_subject_in_any_script_is_found(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = reply(new_id())
    harness.put(mailbox, original)
    found = await server.find_similar(mailbox, "Re: Angebot für Bücher", SENT_AT, timedelta(minutes=2))
    assert [item.message_id for item in found] == [_message_id(original)]


@pytest.mark.parametrize("subject", ['"', "\\", "a\r\nA1 LOGOUT", "' or 1 eq 1", "\0", "(ALL)", "\ud800", ""])
async def test_a_subject_is_never_more_than_itself(
    harness: Harness, server: SentItems, mailbox: str, subject: str
) -> None:
    harness.put(mailbox, plain(new_id()))
    assert list(await server.find_similar(mailbox, subject, SENT_AT, timedelta(minutes=2))) == []


# --- reading ----------------------------------------------------------------------------------------------------------


async def test_an_item_is_read_wholly(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = reply(new_id())
    item = await _put(harness, server, mailbox, original)
    assert item.message_id == _message_id(original)
    assert (item.subject, item.item_class, item.is_draft, item.stamp) == (
        "Re: Angebot für Bücher", "IPM.Note", False, ""
    )  # fmt: skip
    assert item.sent_at is not None
    assert abs(item.sent_at - SENT_AT) < _SECOND
    assert item.delivered_at is not None
    assert abs(item.delivered_at - STORED_AT) < _SECOND
    assert item.author == Participant("jane@example.com", "Jane Doe")
    assert item.to == (Participant("ben@customer.example", "Buyer, Ben"), item.to[1])
    assert item.to[1].address == "ann@customer.example"
    assert item.cc == (Participant("juergen@customer.example", "Jürgen Groß"),)
    assert [each.address for each in item.bcc] == ["hidden@example.com"]
    assert (item.in_reply_to, item.references.split()) == (
        "<asked@customer.example>", ["<first@customer.example>", "<asked@customer.example>"]
    )  # fmt: skip
    assert (item.importance, item.sensitivity, item.wants_read_receipt) == ("high", "private", True)
    assert item.size_octets > 1000


async def test_body_and_attachments_are_read(harness: Harness, server: SentItems, mailbox: str) -> None:
    item = await _put(harness, server, mailbox)
    assert item.html is not None
    assert words_of(item.html, is_html=True) == "Schöne Grüße"
    assert {(each.name, each.content_type, each.is_inline, each.is_item) for each in item.attachments} == {
        ("logo.png", "image/png", True, False), ("Bücher.bin", "application/octet-stream", False, False),
    }  # fmt: skip
    assert [each.content_id for each in item.attachments if each.is_inline] == ["logo@example.com"]


async def test_the_message_itself_comes_with_crlf(harness: Harness, server: SentItems, mailbox: str) -> None:
    item = await _put(harness, server, mailbox)
    if item.mime:
        assert b"\n" not in item.mime.replace(b"\r\n", b"")
        assert shown(item.mime, ()).words == "Schöne Grüße"


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("status", ["none", "flagged"])
async def test_marks_are_read(harness: Harness, server: SentItems, mailbox: str, is_read: bool, status: str) -> None:
    marks = Marks(is_read=is_read, follow_up=FollowUp("flagged" if status == "flagged" else "none"))
    item = await _put(harness, server, mailbox, replace(plain(new_id()), marks=marks))
    assert (item.marks.is_read, _flag(item)) == (is_read, status)


async def test_a_draft_is_known(harness: Harness, server: SentItems, mailbox: str) -> None:
    item = await _put(harness, server, mailbox, replace(plain(new_id()), is_draft=True))
    assert item.is_draft


async def test_keywords_and_categories_are_read(harness: Harness, server: SentItems, mailbox: str) -> None:
    wanted = Marks(
        keywords=("$Forwarded", "\\Answered") if Kept.KEYWORDS in harness.keeps else (),
        categories=("Blue", "Größe") if Kept.CATEGORIES in harness.keeps else (),
    )
    item = await _put(harness, server, mailbox, replace(plain(new_id()), marks=wanted))
    assert (sorted(item.marks.keywords), sorted(item.marks.categories)) == (
        sorted(wanted.keywords), sorted(wanted.categories)
    )  # fmt: skip


async def test_an_item_that_has_gone_is_told(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = await _put(harness, server, mailbox)
    harness.delete(mailbox, original.message_id)
    with pytest.raises(ItemGoneError):
        await server.read(mailbox, original.ref)
    with pytest.raises(ItemGoneError):
        await server.set_marks(mailbox, original.ref, Marks())
    await server.remove(mailbox, original.ref, Removal.FOR_GOOD)
    assert harness.shown(mailbox) == []


# --- making -----------------------------------------------------------------------------------------------------------


def _new() -> object:
    original = plain(new_id())
    return in_place_of(unread(_message_id(original), original.mime), original.mime)


async def test_a_new_item_stands_beside_the_original(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = await _put(harness, server, mailbox)
    new = changed(original, "as the customer has it")
    ref = await server.create(mailbox, new)
    old, made = harness.shown(mailbox)
    assert ref.id != original.ref.id
    assert (old.words, made.words) == ("Schöne Grüße", "Schöne Grüße as the customer has it")
    assert made.message_id == old.message_id == original.message_id
    assert (made.is_draft, made.bcc) == (False, ("hidden@example.com",))
    assert made.files == old.files
    assert len(made.files) == 2


async def test_a_new_item_has_the_originals_properties(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = await _put(harness, server, mailbox)
    made = await server.read(mailbox, await server.create(mailbox, changed(original, "more")))
    assert made.sent_at == original.sent_at
    assert made.delivered_at is not None
    assert original.delivered_at is not None
    assert abs(made.delivered_at - original.delivered_at) < _SECOND
    for name in (
        "message_id", "subject", "item_class", "is_draft", "author", "to", "cc", "bcc", "marks", "importance",
        "sensitivity", "wants_read_receipt", "wants_delivery_receipt", "conversation_topic", "conversation_index",
        "reply_marker", "reminder", "in_reply_to", "references",
    ):  # fmt: skip
        assert getattr(made, name) == getattr(original, name), name
    assert [replace(each, size_octets=0, sha256="") for each in made.attachments] == [
        replace(each, size_octets=0, sha256="") for each in original.attachments
    ]


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("status", ["none", "flagged"])
async def test_a_new_item_is_read_and_flagged_as_the_original_was(
    harness: Harness, server: SentItems, mailbox: str, is_read: bool, status: str
) -> None:
    marks = Marks(is_read=is_read, follow_up=FollowUp("flagged" if status == "flagged" else "none"))
    original = await _put(harness, server, mailbox, replace(plain(new_id()), marks=marks))
    made = await server.read(mailbox, await server.create(mailbox, changed(original, "more")))
    assert (made.marks.is_read, _flag(made)) == (is_read, status)


async def test_keywords_and_categories_are_kept(harness: Harness, server: SentItems, mailbox: str) -> None:
    marks = Marks(
        keywords=("$Forwarded", "\\Answered") if Kept.KEYWORDS in harness.keeps else (),
        categories=("Blue", "Größe") if Kept.CATEGORIES in harness.keeps else (),
    )
    original = await _put(harness, server, mailbox, replace(plain(new_id()), marks=marks))
    made = await server.read(mailbox, await server.create(mailbox, changed(original, "more")))
    assert sorted(made.marks.keywords) == sorted(marks.keywords)
    assert sorted(made.marks.categories) == sorted(marks.categories)


async def test_a_category_is_added(harness: Harness, server: SentItems, mailbox: str) -> None:
    """Or left out where the server has no such thing; the item is made all the same."""
    original = await _put(harness, server, mailbox)
    marks = replace(original.marks, categories=(*original.marks.categories, "Sent as (stamped) für Kunden"))
    made = await server.read(mailbox, await server.create(mailbox, changed(original, "more", marks=marks)))
    if Kept.CATEGORIES in harness.keeps:
        assert made.marks.categories == ("Sent as (stamped) für Kunden",)
    assert not made.is_draft


async def test_a_new_item_is_found_by_its_stamp(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = await _put(harness, server, mailbox)
    new = changed(original, "more")
    await server.create(mailbox, new)
    job = stamped_job(new.stamp)
    found = await server.find(mailbox, new_id(), job)
    assert [item.stamp for item in found] == [new.stamp]
    both = await server.find(mailbox, original.message_id, job)
    assert sorted(item.stamp for item in both) == ["", new.stamp]
    assert list(await server.find(mailbox, new_id(), _NO_JOB)) == []
    made = next(item for item in both if item.stamp)
    assert (await server.read(mailbox, made.ref)).stamp == new.stamp


async def test_a_copy_of_our_copy_has_one_stamp(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = await _put(harness, server, mailbox)
    first = await server.read(mailbox, await server.create(mailbox, changed(original, "first")))
    second = replace(changed(first, "second", copy="Q2.0"), original=first)
    ref = await server.create(mailbox, second)
    assert (await server.read(mailbox, ref)).stamp == second.stamp
    found = await server.find(mailbox, new_id(), stamped_job(second.stamp))
    assert sorted(item.stamp for item in found) == sorted([first.stamp, second.stamp])


# --- marks ------------------------------------------------------------------------------------------------------------


async def test_marks_are_set(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = await _put(harness, server, mailbox)
    marks = Marks(
        is_read=not original.marks.is_read,
        follow_up=FollowUp("flagged"),
        keywords=("\\Answered",) if Kept.KEYWORDS in harness.keeps else (),
        categories=("Blue",) if Kept.CATEGORIES in harness.keeps else (),
    )
    ref = await server.set_marks(mailbox, original.ref, marks)
    item = await server.read(mailbox, ref)
    assert (item.marks.is_read, _flag(item), item.marks.keywords, item.marks.categories) == (
        marks.is_read, "flagged", marks.keywords, marks.categories
    )  # fmt: skip
    assert item.html == original.html
    again = await server.set_marks(mailbox, item.ref, original.marks)
    assert (await server.read(mailbox, again)).marks == original.marks


async def test_marks_that_are_there_already_change_nothing(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = await _put(harness, server, mailbox)
    ref = await server.set_marks(mailbox, original.ref, original.marks)
    assert (await server.read(mailbox, ref)).marks == original.marks


async def test_a_change_in_between_is_a_conflict(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = await _put(harness, server, mailbox)
    harness.mark(mailbox, original.message_id, is_read=not original.marks.is_read, is_flagged=True)
    if Kept.CHANGE_KEYS in harness.keeps:
        with pytest.raises(ConflictError):
            await server.set_marks(mailbox, original.ref, Marks())
        with pytest.raises(ConflictError):
            await server.remove(mailbox, original.ref, Removal.FOR_GOOD)
        assert len(harness.shown(mailbox)) == 1
    fresh = await server.read(mailbox, ItemRef(original.ref.id))
    assert (fresh.marks.is_read, _flag(fresh)) == (not original.marks.is_read, "flagged")
    await server.remove(mailbox, fresh.ref, Removal.FOR_GOOD)
    assert harness.shown(mailbox) == []


# --- removing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", list(Removal))
async def test_removed_is_removed(harness: Harness, server: SentItems, mailbox: str, how: Removal) -> None:
    harness.put(mailbox, plain(bystander := new_id()))
    original = await _put(harness, server, mailbox)
    await server.remove(mailbox, original.ref, how)
    assert [item.message_id for item in harness.shown(mailbox)] == [bystander]
    deleted = [item.message_id for item in harness.shown(mailbox, "deleted")]
    is_in_trash = how is Removal.DELETED_ITEMS or (how is Removal.RECOVERABLE and Kept.RECOVERABLE not in harness.keeps)
    assert deleted == ([original.message_id] if is_in_trash else [])
    if how is Removal.RECOVERABLE:
        assert original.message_id in [item.message_id for item in harness.shown(mailbox, "recoverable")]


@pytest.mark.parametrize("how", list(Removal))
async def test_removing_twice_is_no_error(harness: Harness, server: SentItems, mailbox: str, how: Removal) -> None:
    original = await _put(harness, server, mailbox)
    await server.remove(mailbox, original.ref, how)
    await server.remove(mailbox, original.ref, how)
    assert harness.shown(mailbox) == []


async def test_of_two_that_are_the_same_the_right_one_goes(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = await _put(harness, server, mailbox)
    await server.create(mailbox, changed(original, "more"))
    await server.remove(mailbox, original.ref, Removal.RECOVERABLE)
    (left,) = harness.shown(mailbox)
    assert left.words.endswith("more")
    assert [item.stamp != "" for item in await server.find(mailbox, original.message_id, _NO_JOB)] == [True]


# --- in place ---------------------------------------------------------------------------------------------------------


async def test_an_item_is_rewritten_where_that_can_be(harness: Harness, server: SentItems, mailbox: str) -> None:
    original = await _put(harness, server, mailbox)
    new = changed(original, "in place")
    if not server.can_rewrite:
        with pytest.raises(RefusedError):
            await server.rewrite(mailbox, original.ref, new)
        return
    item = await server.read(mailbox, await server.rewrite(mailbox, original.ref, new))
    (left,) = harness.shown(mailbox)
    assert left.words == "Schöne Grüße in place"
    assert (item.ref.id, item.marks, item.bcc) == (original.ref.id, original.marks, original.bcc)
    assert item.stamp == new.stamp
    assert len(left.files) == 2
    assert not left.is_draft


# --- faults -----------------------------------------------------------------------------------------------------------

_EXPECTED: dict[Fault, type[MailboxError]] = {
    Fault.DENIED: AccessDeniedError,
    Fault.FULL: QuotaError,
    Fault.REFUSED: RefusedError,
    Fault.BUSY: EndpointBusyError,
    Fault.SIGN_IN: SignInError,
    Fault.UNTRUSTED: TlsFailedError,
    Fault.OTHER_NAME: TlsFailedError,
    Fault.UNAVAILABLE: MailboxUnavailableError,
    Fault.OVERLOADED: EndpointOverloadedError,
    Fault.DOWN: EndpointDownError,
    Fault.NONSENSE: EndpointDownError,
    Fault.LOST_ANSWER: OutcomeUnknownError,
    Fault.SLOW_ANSWER: OutcomeUnknownError,
}
_ONLY_CREATE = {Fault.FULL, Fault.REFUSED, Fault.LOST_ANSWER, Fault.SLOW_ANSWER}


@pytest.mark.parametrize(
    ("harness", "fault"), FAULTS, indirect=["harness"], ids=[f"{kind}-{fault.value}" for kind, fault in FAULTS]
)
async def test_a_fault_is_what_it_is(harness: Harness, server: SentItems, mailbox: str, fault: Fault) -> None:
    original = await _put(harness, server, mailbox, plain(new_id()))
    new = changed(original, "more")
    with harness.fault(fault, mailbox) as faulty:
        try:
            if fault not in _ONLY_CREATE:
                with pytest.raises(_EXPECTED[fault]) as caught:
                    await faulty.find(mailbox, original.message_id, _NO_JOB)
                if fault is Fault.BUSY:
                    assert caught.value.retry_after == timedelta(seconds=7)
            with pytest.raises(_EXPECTED[fault]) as caught:
                await faulty.create(mailbox, new)
            assert caught.value.code
            assert "\n" not in str(caught.value)
            for secret in ("Offer", "ben@customer", "Hello", "wrong-password"):
                assert secret not in str(caught.value)
        finally:
            await faulty.close()
    found = await server.find(mailbox, original.message_id, stamped_job(new.stamp))
    is_made = fault in (Fault.LOST_ANSWER, Fault.SLOW_ANSWER)
    assert sorted(item.stamp for item in found) == sorted(["", new.stamp] if is_made else [""])


# --- any message ------------------------------------------------------------------------------------------------------

_CORPUS = [
    "cpython/msg_18.eml", "deltachat/message_allinkl-quote.eml", "deltachat/message_cp1252-html.eml",
    "deltachat/message_many_images_amazon_via_apple_mail.eml", "email-mime-perl/Mail_mail-2.eml",
    "enmime/mail_html-mime-inline.eml", "flanker/messages_8bitmime.eml", "flanker/messages_outlook-express.eml",
    "freescout/Messages_message-5-iso-2022-jp.eml", "james/eml_emailWith3Attachments.eml", "james/eml_nested.eml",
    "james/eml_recursiveMail.eml", "james/eml_simple-inlined-attachment.eml",
    "kde-mimetreeparser/testdata_encapsulated-with-attachment.eml", "mailcore2/input_1021-chinese.eml",
    "mailpit/testdata_mixed-attachment.eml",
    "mime4j/mimetools-testmsgs_german-qp.eml", "php-mime-mail-parser/mails_issue274.eml",
    "php-mime-mail-parser/mails_m0129.eml", "proton-bridge/plain_text_plain_multiple_attachments.template.eml",
]  # fmt: skip
"""Pictures in the text, attached messages, names and texts in many charsets, 8 bits, an empty body, a file alone."""


@pytest.mark.corpus
@pytest.mark.parametrize("path", _CORPUS)
async def test_any_message_is_stored_as_it_is(harness: Harness, server: SentItems, mailbox: str, path: str) -> None:
    data = next(message.data for message in corpus() if message.path == path)
    original = unread(new_id(), data)
    new = in_place_of(original, data)
    made = await server.read(mailbox, await server.create(mailbox, new))
    assert _words(made.html, made.text) == _words(new.html, new.text)
    assert (made.is_draft, made.stamp) == (False, new.stamp)
    assert sorted(each.content_id for each in made.attachments if each.is_inline) == sorted(
        each.content_id for each in new.attachments if each.is_inline
    )
    (kept,) = harness.shown(mailbox)
    assert len(kept.files) == len(made.attachments) == len(new.attachments)
    plain_files = [each.data for each in new.attachments if each.content_type != "message/rfc822"]
    assert Counter(plain_files) <= Counter(octets for _, octets in kept.files)


def _words(html: str | None, text: str | None) -> str:
    """What is shown of a body."""
    return words_of(html, is_html=True) if html is not None else words_of(text or "", is_html=False)


# --- many, and the end ------------------------------------------------------------------------------------------------


async def test_many_mailboxes_at_once(harness: Harness, server: SentItems) -> None:
    mailboxes = [harness.add_mailbox() for _ in range(20)]
    ids = {mailbox: new_id() for mailbox in mailboxes}
    for mailbox in mailboxes:
        harness.put(mailbox, plain(ids[mailbox]))

    async def replaced(mailbox: str) -> None:
        (found,) = await server.find(mailbox, ids[mailbox], _NO_JOB)
        original = _with_mime(await server.read(mailbox, found.ref), plain(ids[mailbox]))
        await server.create(mailbox, changed(original, mailbox))
        await server.remove(mailbox, original.ref, Removal.FOR_GOOD)

    await asyncio.gather(*map(replaced, mailboxes))
    for mailbox in mailboxes:
        (item,) = harness.shown(mailbox)
        assert item.words == f"Hello {mailbox}"
        assert item.message_id == ids[mailbox]


async def test_nothing_is_left_at_the_end(harness: Harness, mailbox: str) -> None:
    before = set(threading.enumerate())
    server = harness.open()
    await server.sign_in(mailbox)
    await server.close()
    await server.close()
    left = {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")} - before
    for thread in left:
        thread.join(60)
    assert not [thread for thread in left if thread.is_alive()]
