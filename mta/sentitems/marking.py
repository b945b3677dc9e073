"""One attempt at marking the copies of a filed message in one mailbox: found by Message-ID, marked each by itself.

Marking twice is marking once, so an attempt that broke off is simply made again.
"""

from __future__ import annotations

from dataclasses import replace

from mta.model.sentitem import JobState, SentItemJob
from mta.model.writeback import FiledItem, FiledMark
from mta.ports.mailbox import ConflictError, ItemGoneError, OutcomeUnknownError, SentItems
from mta.sentitems import reasons
from mta.sentitems.verdict import Verdict

COPIES_MAX = 20
"""Of one message in one mailbox that are marked; more are no copies but a loop."""


async def put_mark(job: SentItemJob, mailbox: str, server: SentItems) -> Verdict:
    """Try once. `mailbox` is its primary address. Any MailboxError that tells of server or mailbox passes."""
    assert job.mark is not None, "a job that marks"
    found = await server.find_filed(mailbox, job.message_id)
    if not found:
        return Verdict(JobState.WAITING, reasons.NOT_FOUND)
    try:
        for item in found[:COPIES_MAX]:
            await _put(mailbox, server, item, job.mark)
    except (ConflictError, ItemGoneError) as exc:
        return Verdict(JobState.WAITING, reasons.CONFLICT, exc.code)
    except OutcomeUnknownError as exc:
        return Verdict(JobState.WAITING, reasons.OUTCOME_UNKNOWN, exc.code)
    return Verdict(JobState.DONE, detail=f"{len(found[:COPIES_MAX])} copies")


async def _put(mailbox: str, server: SentItems, item: FiledItem, mark: FiledMark) -> None:
    """What is signed, encrypted or protected by rights keeps its body."""
    await server.put_mark(mailbox, item.ref, replace(mark, link_text="") if item.is_protected else mark)
