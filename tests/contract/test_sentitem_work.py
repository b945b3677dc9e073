"""One attempt at a job on every kind of mailbox server: what the sender sees before and after."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from mta.message.contents import Contents
from mta.message.parse import parse
from mta.model.sentitem import JobCopy, JobState, SentItemJob, job_id
from mta.ports.mailbox import SentItems
from mta.sentitems import reasons
from mta.sentitems.verdict import Verdict
from mta.sentitems.work import work
from tests.contract.mailboxes.harness import Fault, Harness, Shown
from tests.contract.mailboxes.kinds import KINDS
from tests.contract.mailboxes.samples import SENT_AT, new_id, reply
from tests.unit.sentitems.samples import copy_of, let_go, settings

STAMP = "Example Ltd, London"
LOSE_ANSWERS = sorted(kind for kind, made in KINDS.items() if Fault.LOST_ANSWER in made.faults)


@pytest.fixture(scope="module", params=sorted(KINDS))
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    made = KINDS[request.param]()
    yield made
    made.close()


@pytest.fixture
async def server(harness: Harness) -> AsyncIterator[SentItems]:
    opened = harness.open()
    yield opened
    await opened.close()


@dataclass
class Sent:
    """A message that its sender's program has stored, and the job that its delivery made."""

    harness: Harness
    mailbox: str
    message_id: str
    data: bytes
    job: SentItemJob

    def shown(self) -> list[Shown]:
        return self.harness.shown(self.mailbox)

    def with_copies(self, *copies: JobCopy, **values: Any) -> SentItemJob:
        return replace(self.job, copies=copies, **values)


@pytest.fixture
def sent(harness: Harness) -> Sent:
    mailbox, original = harness.add_mailbox(), reply(new_id())
    harness.put(mailbox, original)
    message_id = original.mime.partition(b"Message-ID: ")[2].partition(b"\r\n")[0].decode()
    # What goes out has no Bcc.
    data = original.mime.replace(b"Bcc: hidden@example.com\r\n", b"")
    job = SentItemJob(
        job_id(mailbox, message_id, SENT_AT), mailbox, "example", message_id, SENT_AT, JobState.WAITING, SENT_AT,
        SENT_AT, copies=(copy_of(data, stamp=STAMP),),
    )  # fmt: skip
    return Sent(harness, mailbox, message_id, data, job)


async def _attempt(sent: Sent, server: SentItems, job: SentItemJob | None = None, **values: Any) -> Verdict:
    return await work(job or sent.job, sent.mailbox, server, settings(**values))


async def test_the_sender_finds_what_was_sent(sent: Sent, server: SentItems) -> None:
    (before,) = sent.shown()
    assert await _attempt(sent, server) == Verdict(JobState.DONE, placed="q1.0")
    (after,) = sent.shown()
    assert STAMP in after.words
    assert STAMP not in before.words
    assert replace(after, words=before.words) == before
    assert (after.is_draft, after.bcc) == (False, ("hidden@example.com",))
    assert len(after.files) == 2
    assert await _attempt(sent, server) == Verdict(JobState.DONE, placed="q1.0")
    assert sent.shown() == [after]


async def test_beside_the_original(sent: Sent, server: SentItems) -> None:
    assert (await _attempt(sent, server, keep_original=True)).state is JobState.DONE
    assert sorted(STAMP in item.words for item in sent.shown()) == [False, True]


async def test_in_place_where_the_server_can(sent: Sent, server: SentItems) -> None:
    assert (await _attempt(sent, server, method="in-place")).state is JobState.DONE
    (item,) = sent.shown()
    assert STAMP in item.words
    assert (item.is_draft, item.bcc, len(item.files)) == (False, ("hidden@example.com",), 2)


async def test_a_late_copy_that_counts_more(sent: Sent, server: SentItems) -> None:
    first = copy_of(sent.data, stamp="internal", external=False)
    assert (await _attempt(sent, server, sent.with_copies(first))).state is JobState.DONE
    late = sent.with_copies(let_go(first), copy_of(sent.data, stamp=STAMP, queue_id="q2", after_s=9), placed=first.key)
    assert await _attempt(sent, server, late) == Verdict(JobState.DONE, placed="q2.0")
    (item,) = sent.shown()
    assert STAMP in item.words
    assert "internal" not in item.words
    assert (item.bcc, len(item.files)) == (("hidden@example.com",), 2)


@pytest.mark.parametrize("harness", LOSE_ANSWERS, indirect=True)
async def test_an_answer_that_was_lost(sent: Sent) -> None:
    with sent.harness.fault(Fault.LOST_ANSWER, sent.mailbox) as server:
        verdict = await _attempt(sent, server)
        await server.close()
    assert (verdict.state, verdict.reason) == (JobState.WAITING, reasons.OUTCOME_UNKNOWN)
    server = sent.harness.open()
    verdict = await _attempt(sent, server, replace(sent.job, reason=reasons.OUTCOME_UNKNOWN, attempts=1))
    await server.close()
    assert verdict.state is JobState.DONE
    assert [STAMP in item.words for item in sent.shown()] == [True]


class _Between:
    """A server before whose n-th call its mailbox's owner does something."""

    def __init__(self, server: SentItems, verb: str, happens: Callable[[], None]) -> None:
        self._server, self._verb, self._happens = server, verb, happens

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._server, name)
        return self._called(found) if name == self._verb else found

    def _called(self, call: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def after_it_happened(*arguments: object) -> object:
            self._happens()
            return await call(*arguments)

        return after_it_happened


async def test_its_owner_marks_it_meanwhile(sent: Sent, server: SentItems) -> None:
    def mark() -> None:
        if not done:
            sent.harness.mark(sent.mailbox, sent.message_id, is_read=False, is_flagged=True)
        done.append(True)

    done: list[bool] = []
    between = cast("SentItems", _Between(server, "create", mark))
    assert (await _attempt(sent, between)).state is JobState.DONE
    (item,) = sent.shown()
    assert (STAMP in item.words, item.is_read, item.is_flagged) == (True, False, True)


async def test_its_owner_deletes_it_meanwhile(sent: Sent, server: SentItems) -> None:
    between = _Between(server, "create", lambda: sent.harness.delete(sent.mailbox, sent.message_id))
    assert (await _attempt(sent, cast("SentItems", between))).reason == reasons.GONE
    assert sent.shown() == []


def _with_other_files(data: bytes) -> bytes:
    """As many octets in each, and one of them another one."""
    for file in Contents(parse(data)).files:
        raw = file.part.raw_body
        data = data.replace(raw, raw.replace(raw[:1], bytes([raw[0] ^ 1]), 1))
    return data


async def test_files_of_the_same_name_and_size_that_somebody_else_sent(sent: Sent, server: SentItems) -> None:
    before = sent.shown()
    forged = _with_other_files(sent.data)
    assert forged != sent.data
    verdict = await _attempt(sent, server, sent.with_copies(copy_of(forged, stamp=STAMP)))
    assert (verdict.state, verdict.reason) == (JobState.SKIPPED, reasons.ATTACHMENTS)
    assert sent.shown() == before


async def test_another_message_that_comes_later_under_the_same_name(sent: Sent, server: SentItems) -> None:
    first = sent.job.copies[0]
    verdict = await _attempt(sent, server)
    before = sent.shown()
    forged = copy_of(_with_other_files(sent.data), stamp="x", queue_id="q2", after_s=60)
    job = sent.with_copies(let_go(first), forged, placed=verdict.placed)
    late = await _attempt(sent, server, job, copies="last")
    assert (late.state, late.reason) == (JobState.SKIPPED, reasons.ANOTHER_MESSAGE)
    assert sent.shown() == before
