"""One attempt at one job, by what is in the mailbox before and after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mta.model.delivery import Body
from mta.model.mailbox_item import (
    FollowUp,
    Marks,
    Participant,
    Removal,
    ReplyMarker,
    SentItem,
    StoredAttachment,
    stamp_of,
    stamped_copy,
)
from mta.model.sentitem import JobState
from mta.ports.mailbox import AccessDeniedError, QuotaError, RefusedError
from mta.sentitems import reasons
from mta.sentitems.verdict import Verdict
from tests.unit.sentitems.attempts import attempt, worked
from tests.unit.sentitems.remembered_server import Fault, RememberedServer
from tests.unit.sentitems.samples import MESSAGE, SENT_AT, STAMP, copy_of, item_of, job_with, let_go, settings

WAITING, DONE, SKIPPED, GIVEN_UP = JobState.WAITING, JobState.DONE, JobState.SKIPPED, JobState.GIVEN_UP
COPY = copy_of(MESSAGE)
JOB = job_with(COPY)
OTHER = stamp_of("f" * 32, "q9.0")


def _server(*items: SentItem, **values: object) -> RememberedServer:
    server = RememberedServer(**values)  # type: ignore[arg-type]
    for item in items:
        server.put(item)
    return server


def _texts(server: RememberedServer) -> list[str]:
    return [item.html or item.text or "" for item in server.items]


def _is_stamped(item: SentItem, stamp: str = STAMP) -> bool:
    return stamp.partition(" · ")[0] in (item.html or item.text or "")


# --- the plain way ----------------------------------------------------------------------------------------------------


async def test_the_item_gives_way_to_what_was_sent() -> None:
    original = item_of(MESSAGE, bcc=("boss@example.com",), marks=Marks(is_read=False, categories=("Red",)))
    server = _server(original)
    verdict = await attempt(JOB, server, settings(category="Sent"))
    assert verdict == Verdict(DONE, placed="q1.0")
    (item,) = server.items
    assert _is_stamped(item)
    assert item.bcc == (Participant("boss@example.com"),)
    assert item.marks == Marks(is_read=False, categories=("Red", "Sent"))
    assert item.sent_at == SENT_AT
    assert server.removed == [("item-1", Removal.RECOVERABLE)]
    assert server.calls == ["find", "read", "create", "read", "find", "remove"]


@pytest.mark.parametrize("how", ["recoverable", "deleted-items", "for-good"])
async def test_the_original_goes_where_it_is_told_to(how: str) -> None:
    server = _server(item_of(MESSAGE))
    await attempt(JOB, server, settings(remove=how))
    assert server.removed == [("item-1", Removal(how))]


async def test_a_server_that_takes_fields_gets_them() -> None:
    server = _server(item_of(MESSAGE, has_mime=False), takes_fields=True)
    assert (await attempt(JOB, server, settings())).state is DONE
    assert [_is_stamped(item) for item in server.items] == [True]


async def test_a_job_that_is_done_is_done_again_by_one_look() -> None:
    server = _server(item_of(MESSAGE))
    await attempt(JOB, server, settings())
    server.calls.clear()
    assert await attempt(JOB, server, settings()) == Verdict(DONE, placed="q1.0")
    assert server.calls == ["find"]


async def test_the_original_may_stay() -> None:
    server = _server(item_of(MESSAGE))
    assert (await attempt(JOB, server, settings(keep_original=True))).state is DONE
    assert [_is_stamped(item) for item in server.items] == [False, True]
    assert (await attempt(JOB, server, settings(keep_original=True))).state is DONE
    assert len(server.items) == 2


async def test_a_large_body_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(MESSAGE)
    job = job_with(replace(COPY, body=Body(None, file, len(MESSAGE))))
    server = _server(item_of(MESSAGE))
    assert (await attempt(job, server, settings())).state is DONE


@pytest.mark.parametrize("octets", [None, b"half"])
async def test_a_body_that_is_lost(tmp_path: Path, octets: bytes | None) -> None:
    file = tmp_path / "body"
    if octets is not None:
        file.write_bytes(octets)
    job = job_with(replace(COPY, body=Body(None, file, len(MESSAGE))))
    server = _server(item_of(MESSAGE))
    verdict = await attempt(job, server, settings())
    assert (verdict.state, verdict.reason) == (GIVEN_UP, reasons.BYTES_LOST)
    assert str(tmp_path) not in verdict.detail
    assert [_is_stamped(item) for item in server.items] == [False]


# --- what is found ----------------------------------------------------------------------------------------------------


async def test_nothing_is_there_yet() -> None:
    assert await attempt(JOB, _server(), settings()) == Verdict(WAITING, reasons.NOT_FOUND)


async def test_of_several_items_none_is_touched() -> None:
    server = _server(item_of(MESSAGE), item_of(MESSAGE))
    verdict = await attempt(JOB, server, settings())
    assert (verdict.state, verdict.reason, verdict.detail) == (SKIPPED, reasons.AMBIGUOUS, "2 items")
    assert server.calls == ["find"]


async def test_another_job_was_here() -> None:
    server = _server(item_of(MESSAGE, stamp=OTHER))
    assert await attempt(JOB, server, settings()) == Verdict(SKIPPED, reasons.OTHER_JOB)


async def test_a_copy_that_nobody_changed_needs_nothing() -> None:
    server = _server(item_of(MESSAGE))
    verdict = await attempt(job_with(copy_of(MESSAGE, is_changed=False)), server, settings())
    assert verdict == Verdict(DONE, reasons.UNCHANGED)
    assert server.calls == []


async def test_an_item_that_may_have_been_made_is_looked_for_first() -> None:
    for job in (
        replace(JOB, reason=reasons.INTERRUPTED),
        replace(JOB, reason=reasons.OUTCOME_UNKNOWN, attempts=1),
    ):
        server = _server(item_of(MESSAGE))
        verdict = await attempt(job, server, settings())
        assert (verdict.state, verdict.reason) == (WAITING, reasons.OUTCOME_UNKNOWN)
        assert server.calls == ["find"]
    server = _server(item_of(MESSAGE))
    verdict = await attempt(replace(JOB, reason=reasons.OUTCOME_UNKNOWN, attempts=2), server, settings())
    assert (verdict.state, verdict.reason) == (WAITING, reasons.MADE_AGAIN)
    assert [_is_stamped(item) for item in server.items] == [True]


async def test_what_an_attempt_before_made_shows_up_late() -> None:
    """While another one was made: then that goes, and the first is taken over by the next attempt."""
    server = _server(item_of(MESSAGE))

    def show(server: RememberedServer) -> None:
        server.put(replace(server.items[-1]))

    server.happenings[4] = show
    verdict = await attempt(JOB, server, settings())
    assert (verdict.state, verdict.reason) == (WAITING, reasons.CONFLICT)
    assert [_is_stamped(item) for item in server.items] == [False, True]
    assert (await attempt(JOB, server, settings())).state is DONE
    assert [_is_stamped(item) for item in server.items] == [True]


async def test_two_of_ours_become_one() -> None:
    server = _server(item_of(MESSAGE))
    await attempt(JOB, server, settings())
    server.put(server.items[0])
    assert (await attempt(JOB, server, settings())).state is DONE
    assert len(server.items) == 1


async def test_two_of_ours_become_one_when_the_bytes_are_gone() -> None:
    server = _server(item_of(MESSAGE))
    placed = (await attempt(JOB, server, settings())).placed
    server.put(server.items[0])
    again = replace(JOB, copies=tuple(let_go(copy) for copy in JOB.copies), placed=placed)
    verdict = await attempt(again, server, settings())
    assert (verdict.state, verdict.placed) == (DONE, placed)
    assert len(server.items) == 1
    assert server.fewest == 1


@pytest.mark.parametrize("late_s", [100.0, 600.0])
async def test_an_item_that_is_shown_only_after_another_was_made_does_not_stay_beside_it(late_s: float) -> None:
    server = RememberedServer(late_s=late_s, faults={2: Fault.UNKNOWN_AFTER})
    server.put(item_of(MESSAGE))
    verdict = await worked(JOB, server, settings())
    assert (verdict.state, verdict.placed) == (DONE, JOB.copies[0].key)
    assert [_is_stamped(item) for item in server.items] == [True]
    assert server.calls.count("create") == 2
    assert server.fewest == 1


async def test_what_its_owner_deletes_before_it_is_looked_at_once_more_does_not_come_back() -> None:
    job = replace(JOB, reason=reasons.OUTCOME_UNKNOWN, attempts=2)
    server = _server(item_of(MESSAGE))
    verdict = await attempt(job, server, settings(keep_original=True))
    assert (verdict.state, verdict.reason) == (WAITING, reasons.MADE_AGAIN)
    server.take_away(next(item.ref.id for item in server.items if _is_stamped(item)))
    again = replace(job, reason=verdict.reason, attempts=1, placed=verdict.placed)
    verdict = await attempt(again, server, settings(keep_original=True))
    assert (verdict.state, verdict.reason) == (JobState.SKIPPED, reasons.GONE)
    assert [_is_stamped(item) for item in server.items] == [False]


# --- no Message-ID ----------------------------------------------------------------------------------------------------

NAMELESS = replace(JOB, is_id_ours=True)


def _nameless(**values: object) -> SentItem:
    return item_of(MESSAGE.replace(b"4711", b"other"), **values)  # type: ignore[arg-type]


async def test_an_item_of_another_message_id_is_found_by_subject_time_and_recipients() -> None:
    server = _server(_nameless())
    assert (await attempt(NAMELESS, server, settings())).state is DONE
    (item,) = server.items
    assert _is_stamped(item)
    assert item.message_id == "<other@mail.example.com>"


@pytest.mark.parametrize(
    "item",
    [
        _nameless(subject="Offers"),
        _nameless(sent_at=SENT_AT + timedelta(minutes=3)),
        _nameless(to=(Participant("tim@example.net"),)),
        _nameless(cc=(Participant("tim@example.net"),)),
        _nameless(stamp=OTHER),
    ],
    ids=["subject", "time", "to", "cc", "stamped"],
)
async def test_an_item_that_is_only_alike_is_none(item: SentItem) -> None:
    assert (await attempt(NAMELESS, _server(item), settings())).reason == reasons.NOT_FOUND


async def test_two_that_are_alike_are_one_too_many() -> None:
    server = _server(_nameless(), _nameless())
    assert (await attempt(NAMELESS, server, settings())).reason == reasons.AMBIGUOUS


async def test_a_message_with_an_id_of_its_own_is_found_by_that_only() -> None:
    assert (await attempt(JOB, _server(_nameless()), settings())).reason == reasons.NOT_FOUND


# --- its owner, meanwhile ---------------------------------------------------------------------------------------------

CREATE, READ_BACK, FIND_AGAIN, REMOVE = 2, 3, 4, 5


@pytest.mark.parametrize("number", [CREATE, READ_BACK, FIND_AGAIN, REMOVE])
async def test_marks_that_change_meanwhile_are_on_the_new_item(number: int) -> None:
    marks = Marks(is_read=False, categories=("Blue",), follow_up=FollowUp("flagged"))
    server = _server(item_of(MESSAGE))
    server.happenings[number] = lambda server: server.change("item-1", marks=marks)
    assert (await attempt(JOB, server, settings(category="Sent"))).state is DONE
    (item,) = server.items
    assert _is_stamped(item)
    assert item.marks == replace(marks, categories=("Blue", "Sent"))


@pytest.mark.parametrize("number", [CREATE, READ_BACK, FIND_AGAIN, REMOVE])
async def test_an_item_that_is_edited_meanwhile_stays(number: int) -> None:
    server = _server(item_of(MESSAGE))
    server.happenings[number] = lambda server: server.change("item-1", html="<p>Called him.</p>")
    assert await attempt(JOB, server, settings()) == Verdict(SKIPPED, reasons.EDITED)
    assert _texts(server) == ["<p>Called him.</p>"]


@pytest.mark.parametrize("number", [CREATE, READ_BACK, FIND_AGAIN])
async def test_an_item_that_is_deleted_or_moved_meanwhile_does_not_come_back(number: int) -> None:
    server = _server(item_of(MESSAGE))
    server.happenings[number] = lambda server: server.take_away("item-1")
    assert await attempt(JOB, server, settings()) == Verdict(SKIPPED, reasons.GONE)
    assert server.items == []


async def test_an_item_that_goes_between_finding_and_reading() -> None:
    server = _server(item_of(MESSAGE))
    server.happenings[1] = lambda server: server.take_away("item-1")
    assert (await worked(JOB, server, settings())).reason == reasons.NOT_FOUND
    assert server.items == []


async def test_an_answer_that_is_sent_meanwhile_begins_it_anew() -> None:
    server = _server(item_of(MESSAGE))
    answered = ReplyMarker(261, 102, SENT_AT)
    server.happenings[FIND_AGAIN] = lambda server: server.change("item-1", reply_marker=answered)
    assert (await attempt(JOB, server, settings())).reason == reasons.CONFLICT
    assert [_is_stamped(item) for item in server.items] == [False]
    assert (await attempt(JOB, server, settings())).state is DONE
    assert [(_is_stamped(item), item.reply_marker) for item in server.items] == [(True, answered)]


async def test_an_item_that_never_rests_is_tried_three_times() -> None:
    server = _server(item_of(MESSAGE))
    for number in range(FIND_AGAIN, 40):
        server.happenings[number] = lambda server: server.change("item-1", marks=Marks(categories=(f"{server.calls}",)))
    verdict = await attempt(JOB, server, settings())
    assert (verdict.state, verdict.reason) == (WAITING, reasons.CONFLICT)
    assert [_is_stamped(item) for item in server.items] == [False]
    assert server.calls.count("remove") == 4, "three times the original, and ours"


# --- later copies -----------------------------------------------------------------------------------------------------

INTERNAL = copy_of(MESSAGE, external=False, stamp="internal")
EXTERNAL = copy_of(MESSAGE, queue_id="q2", stamp="external", after_s=20)
LAST = copy_of(MESSAGE, queue_id="q3", stamp="last", after_s=40)


@pytest.mark.parametrize(
    ("copies", "kept"),
    [
        ("external", ["external"]), ("first", ["internal"]), ("last", ["last"]),
        ("all", ["internal", "external", "last"]),
    ],
)  # fmt: skip
async def test_which_copies_stand_there(copies: str, kept: list[str]) -> None:
    server = _server(item_of(MESSAGE))
    verdict = await attempt(job_with(LAST, INTERNAL, EXTERNAL), server, settings(copies=copies))
    assert verdict.state is DONE
    assert [
        [stamp for stamp in ("internal", "external", "last") if _is_stamped(item, stamp)] for item in server.items
    ] == [[stamp] for stamp in kept]
    assert len(verdict.placed.split()) == len(kept)


async def _with_first_copy(**values: object) -> RememberedServer:
    server = _server(item_of(MESSAGE, bcc=("boss@example.com",), **values))  # type: ignore[arg-type]
    assert (await attempt(job_with(INTERNAL), server, settings(subject_mark="[S]"))).state is DONE
    return server


SIBLING = job_with(let_go(INTERNAL), EXTERNAL, placed=INTERNAL.key)


async def test_a_late_copy_that_counts_more_takes_the_place_of_ours() -> None:
    server = await _with_first_copy()
    server.change(server.items[0].ref.id, marks=Marks(categories=("Red",)))
    verdict = await attempt(SIBLING, server, settings(subject_mark="[S]"))
    assert verdict == Verdict(DONE, placed="q2.0")
    (item,) = server.items
    assert _is_stamped(item, "external")
    assert not _is_stamped(item, "internal")
    assert item.subject == "[S] Offer"
    assert item.bcc == (Participant("boss@example.com"),)
    assert item.marks == Marks(categories=("Red",))


async def test_a_late_copy_that_counts_less_changes_nothing() -> None:
    server = await _with_first_copy()
    verdict = await attempt(replace(SIBLING), server, settings(copies="first"))
    assert verdict == Verdict(DONE, placed="q1.0")
    assert [_is_stamped(item, "internal") for item in server.items] == [True]


async def test_ours_that_its_owner_has_edited_stays() -> None:
    server = await _with_first_copy()
    name = server.items[0].ref.id
    server.change(name, html=(server.items[0].html or "").replace("Dear", "Dearest"))
    verdict = await attempt(SIBLING, server, settings())
    assert verdict == Verdict(SKIPPED, reasons.EDITED, placed="q1.0")
    assert [item.ref.id for item in server.items] == [name]


async def test_beside_ours_that_its_owner_has_edited_nothing_more_is_made() -> None:
    server = _server(item_of(MESSAGE))
    both = settings(copies="all", keep_original=True)
    await attempt(job_with(INTERNAL), server, both)
    (ours,) = (item for item in server.items if _is_stamped(item, "internal"))
    server.change(ours.ref.id, html=(ours.html or "").replace("Dear", "Dearest"))
    before = server.items
    verdict = await attempt(job_with(INTERNAL, EXTERNAL, placed=INTERNAL.key), server, both)
    assert verdict == Verdict(SKIPPED, reasons.EDITED, placed=INTERNAL.key)
    assert server.items == before


async def test_ours_that_its_owner_has_deleted_does_not_come_back() -> None:
    server = await _with_first_copy()
    server.take_away(server.items[0].ref.id)
    assert await attempt(SIBLING, server, settings()) == Verdict(SKIPPED, reasons.GONE)
    assert server.items == []


async def test_of_all_copies_one_that_its_owner_has_deleted_does_not_come_back_with_the_next_one() -> None:
    server = _server(item_of(MESSAGE))
    first, second = copy_of(MESSAGE), copy_of(MESSAGE, queue_id="q2", stamp="Example GmbH, Munich", after_s=30)
    third = copy_of(MESSAGE, queue_id="q3", stamp="Example AG, Bern", after_s=60)
    placed = (await attempt(job_with(first, second), server, settings(copies="all"))).placed
    server.take_away(server.items[0].ref.id)
    again = job_with(let_go(first), let_go(second), third, placed=placed)
    verdict = await attempt(again, server, settings(copies="all"))
    assert verdict.state is DONE
    assert sorted(stamped_copy(item.stamp) for item in server.items) == sorted([second.key, third.key])


async def test_another_policy_leaves_what_stands_when_its_copy_is_gone() -> None:
    server = await _with_first_copy()
    job = job_with(let_go(INTERNAL), let_go(EXTERNAL), placed=INTERNAL.key)
    assert (await attempt(job, server, settings())).state is DONE
    assert [_is_stamped(item, "internal") for item in server.items] == [True]


# --- guards -----------------------------------------------------------------------------------------------------------

GUARDED: dict[str, tuple[str, Callable[[SentItem], SentItem]]] = {
    "draft": (reasons.DRAFT, lambda item: replace(item, is_draft=True)),
    "class": (reasons.NOT_A_NOTE, lambda item: replace(item, item_class="IPM.Note.EnterpriseVault.Shortcut")),
    "smime-signed": (reasons.SIGNED, lambda item: replace(item, item_class="IPM.Note.SMIME.MultipartSigned")),
    "smime": (reasons.ENCRYPTED, lambda item: replace(item, item_class="IPM.Note.SMIME")),
    "meeting": (reasons.MEETING, lambda item: replace(item, item_class="IPM.Schedule.Meeting.Request")),
    "protected": (reasons.RIGHTS_PROTECTED, lambda item: replace(item, is_protected=True)),
    "votes": (reasons.VOTES, lambda item: replace(item, has_votes=True)),
    "large": (reasons.TOO_LARGE, lambda item: replace(item, size_octets=50_000_000)),
    "edited": (reasons.EDITED, lambda item: replace(item, html="<p>x</p>")),
    "attachments": (
        reasons.ATTACHMENTS, lambda item: replace(item, attachments=(StoredAttachment("Document in the cloud"),))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GUARDED)
async def test_what_is_left_as_it_is(name: str) -> None:
    reason, changed = GUARDED[name]
    server = _server(changed(item_of(MESSAGE)))
    before = server.items
    verdict = await attempt(JOB, server, settings())
    assert (verdict.state, verdict.reason) == (SKIPPED, reason)
    assert reasons.explained(reason)
    assert server.items == before
    assert server.calls == ["find", "read"]


async def test_a_subject_that_its_owner_has_edited() -> None:
    server = _server(item_of(MESSAGE, subject="Offer to Tom", mime=MESSAGE.replace(b": Offer", b": Offer to Tom")))
    tagged = job_with(copy_of(MESSAGE, tag="[ext]"))
    assert await attempt(tagged, server, settings()) == Verdict(SKIPPED, reasons.EDITED)
    assert (await attempt(JOB, server, settings())).state is DONE
    assert [item.subject for item in server.items] == ["Offer to Tom"]


async def test_a_header_that_is_too_long_for_us() -> None:
    people = tuple(Participant(f"somebody-{number}@example.com") for number in range(5000))
    server = _server(item_of(MESSAGE, bcc=()), distorts=lambda item: item)
    server.change("item-1", bcc=people)
    verdict = await attempt(JOB, server, settings())
    assert (verdict.state, verdict.reason) == (SKIPPED, reasons.UNREADABLE)
    assert [_is_stamped(item) for item in server.items] == [False]


async def test_a_copy_that_is_too_large_is_not_looked_for() -> None:
    server = _server(item_of(MESSAGE))
    verdict = await attempt(JOB, server, settings(largest=100))
    assert (verdict.state, verdict.reason) == (SKIPPED, reasons.TOO_LARGE)
    assert server.calls == []


async def test_what_an_attempt_left_beside_an_item_that_is_edited_since_goes() -> None:
    server = _server(item_of(MESSAGE), faults={READ_BACK: Fault.BUSY})
    server.happenings[FIND_AGAIN] = lambda server: server.change("item-1", html="<p>Called him.</p>")
    assert (await worked(JOB, server, settings())).reason == reasons.EDITED
    assert _texts(server) == ["<p>Called him.</p>"]


# --- what servers make of it ------------------------------------------------------------------------------------------

DISTORTED: dict[str, tuple[str, Callable[[SentItem], SentItem]]] = {
    "draft": ("draft", lambda item: replace(item, is_draft=True)),
    "stamp": ("stamp", lambda item: replace(item, stamp=item.stamp[:-1])),
    "id": ("Message-ID", lambda item: replace(item, message_id="<new@server.example.com>")),
    "time": ("time sent", lambda item: replace(item, sent_at=SENT_AT + timedelta(seconds=2))),
    "no time": ("time sent", lambda item: replace(item, sent_at=None)),
    "to": ("To", lambda item: replace(item, to=(Participant("tim@example.net"),))),
    "cc": ("Cc", lambda item: replace(item, cc=(Participant("tim@example.net"),))),
    "bcc": ("Bcc", lambda item: replace(item, bcc=())),
    "attachments": (
        "attachments", lambda item: replace(item, attachments=(StoredAttachment("ATT00001.txt"),), mime=b"")
    ),
    "text": ("text", lambda item: replace(item, html="", text="")),
}  # fmt: skip


@pytest.mark.parametrize("name", DISTORTED)
async def test_a_new_item_that_is_not_what_it_should_be_goes_again(name: str) -> None:
    word, distorts = DISTORTED[name]
    original = item_of(MESSAGE, bcc=("boss@example.com",))
    server = _server(original, distorts=distorts)
    before = server.items
    assert await attempt(JOB, server, settings()) == Verdict(GIVEN_UP, reasons.NOT_VERIFIED, word)
    assert server.items == before


async def test_small_differences_are_none() -> None:
    def distorts(item: SentItem) -> SentItem:
        return replace(
            item, sent_at=SENT_AT + timedelta(milliseconds=400), to=(Participant("Tom@Example.NET", "Tom"),),
            html=f"<html><body>{item.html}</body></html>", mime=b"",
        )  # fmt: skip

    server = _server(item_of(MESSAGE), distorts=distorts)
    assert (await attempt(JOB, server, settings())).state is DONE


async def test_people_whom_the_server_names_in_its_own_way_are_counted() -> None:
    server = _server(item_of(MESSAGE, to=(Participant("/o=Example/cn=Recipients/cn=tom", "Tom"),)))
    server.distorts = lambda item: replace(item, to=(Participant("tom@example.net"),))
    assert (await attempt(JOB, server, settings())).state is DONE


@pytest.mark.parametrize("error", [RefusedError, AccessDeniedError, QuotaError])
async def test_what_the_server_will_never_do_leaves_the_original_by_itself(
    error: type[RefusedError], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = _server(item_of(MESSAGE))
    remove, refused = server.remove, [error("ErrorX")]

    async def refuse_once(*arguments: object, **how: bool) -> None:
        if refused:
            raise refused.pop()
        await remove(*arguments, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(server, "remove", refuse_once)
    with pytest.raises(error):
        await attempt(JOB, server, settings())
    assert [_is_stamped(item) for item in server.items] == [False]


# --- in place ---------------------------------------------------------------------------------------------------------

IN_PLACE = settings(method="in-place", category="Sent")


async def test_in_place_the_item_stays_what_it_is() -> None:
    server = _server(item_of(MESSAGE, conversation_index=b"\x01", has_votes=False), can_rewrite=True)
    assert await attempt(JOB, server, IN_PLACE) == Verdict(DONE, placed="q1.0")
    (item,) = server.items
    assert item.ref.id == "item-1"
    assert _is_stamped(item)
    assert item.marks.categories == ("Sent",)
    assert server.calls == ["find", "read", "rewrite", "read"]
    assert (await attempt(JOB, server, IN_PLACE)).state is DONE
    assert server.calls == ["find", "read", "rewrite", "read", "find"]


async def test_in_place_a_late_copy_takes_the_place_of_ours() -> None:
    server = _server(item_of(MESSAGE), can_rewrite=True)
    await attempt(job_with(INTERNAL), server, IN_PLACE)
    assert await attempt(SIBLING, server, IN_PLACE) == Verdict(DONE, placed="q2.0")
    (item,) = server.items
    assert (item.ref.id, stamped_copy(item.stamp)) == ("item-1", "q2.0")
    assert _is_stamped(item, "external")
    assert not _is_stamped(item, "internal")


async def test_in_place_an_item_that_is_edited_meanwhile_stays() -> None:
    server = _server(item_of(MESSAGE), can_rewrite=True)
    server.happenings[2] = lambda server: server.change("item-1", html="<p>Called him.</p>")
    assert await attempt(JOB, server, IN_PLACE) == Verdict(SKIPPED, reasons.EDITED)
    assert _texts(server) == ["<p>Called him.</p>"]


async def test_in_place_marks_that_change_meanwhile_stay() -> None:
    server = _server(item_of(MESSAGE), can_rewrite=True)
    server.happenings[2] = lambda server: server.change("item-1", marks=Marks(is_read=False))
    assert (await attempt(JOB, server, IN_PLACE)).state is DONE
    assert [item.marks for item in server.items] == [Marks(is_read=False, categories=("Sent",))]


async def test_in_place_half_done_is_done_again() -> None:
    """The text is there, the stamp isn't yet."""
    server = _server(item_of(MESSAGE), can_rewrite=True)
    server.distorts = lambda item: replace(item, stamp="")
    server.faults = {2: Fault.UNKNOWN_AFTER}
    assert (await attempt(JOB, server, IN_PLACE)).reason == reasons.OUTCOME_UNKNOWN
    server.distorts = lambda item: item
    assert (await attempt(JOB, server, IN_PLACE)).state is DONE


async def test_in_place_conflicts_end() -> None:
    server = _server(item_of(MESSAGE), can_rewrite=True, faults=dict.fromkeys(range(40), Fault.CONFLICT))
    assert await attempt(JOB, server, IN_PLACE) == Verdict(WAITING, reasons.CONFLICT)
    assert server.calls.count("rewrite") == 3


async def test_in_place_what_is_not_right_is_told() -> None:
    server = _server(item_of(MESSAGE), can_rewrite=True, distorts=lambda item: replace(item, is_draft=True))
    assert await attempt(JOB, server, IN_PLACE) == Verdict(GIVEN_UP, reasons.NOT_VERIFIED, "rewritten, but: draft")


@pytest.mark.parametrize("values", [{"copies": "all"}, {"keep_original": True}])
async def test_what_can_not_be_in_place_is_replaced(values: dict[str, object]) -> None:
    server = _server(item_of(MESSAGE), can_rewrite=True)
    await attempt(job_with(INTERNAL, EXTERNAL), server, settings(method="in-place", **values))
    assert "rewrite" not in server.calls
    assert "create" in server.calls


async def test_a_server_that_can_not_rewrite_replaces() -> None:
    server = _server(item_of(MESSAGE))
    assert (await attempt(JOB, server, IN_PLACE)).state is DONE
    assert [item.ref.id for item in server.items] == ["item-2"]


async def test_conflicts_with_our_own_item_are_followed() -> None:
    """Its owner opens the new item while it is withdrawn."""
    server = _server(item_of(MESSAGE), distorts=lambda item: replace(item, is_draft=True))
    server.happenings[4] = lambda server: server.change("item-2", marks=Marks(is_read=False))
    assert (await attempt(JOB, server, settings())).reason == reasons.NOT_VERIFIED
    assert [item.ref.id for item in server.items] == ["item-1"]
