"""One attempt at marking the copies of a filed message in one mailbox: found by Message-ID, marked each by itself.

Marking twice is marking once, so an attempt that broke off is simply made again.
"""

from __future__ import annotations

from dataclasses import replace

from mta.model.sentitem import JobState, SentItemJob
from mta.model.writeback import FiledItem, FiledMark
from mta.ports.mailbox import (
    AccessDeniedError,
    ConflictError,
    ItemGoneError,
    MailboxError,
    OutcomeUnknownError,
    RefusedError,
    SentItems,
)
from mta.sentitems import reasons
from mta.sentitems.verdict import Verdict

COPIES_MAX = 20
"""Of one message in one mailbox that are marked; more are no copies but a loop."""
_REASONS: dict[type[MailboxError], str] = {
    OutcomeUnknownError: reasons.OUTCOME_UNKNOWN,
    ConflictError: reasons.CONFLICT,
    ItemGoneError: reasons.CONFLICT,
    RefusedError: reasons.REFUSED,
    AccessDeniedError: reasons.REFUSED,
}
"""What may be wrong with one copy while others can be marked; who may find a copy has been let into the mailbox."""


async def put_mark(job: SentItemJob, mailbox: str, server: SentItems) -> Verdict:
    """Try once. `mailbox` is its primary address. Any MailboxError that tells of server or mailbox passes."""
    assert job.mark is not None, "a job that marks"
    found = (await server.find_filed(mailbox, job.message_id))[:COPIES_MAX]
    if not found:
        return Verdict(JobState.WAITING, reasons.NOT_FOUND)
    failed: list[tuple[str, str]] = []
    for item in found:
        try:
            await _put(mailbox, server, item, job.mark)
        except tuple(_REASONS) as exc:
            reason = next(reason for kind, reason in _REASONS.items() if isinstance(exc, kind))
            failed.append((reason, f"{exc.code}, in {item.folder}"))
    for reason, detail in failed:
        if reason != reasons.REFUSED:
            return Verdict(JobState.WAITING, reason, detail)
    marked = f"{len(found) - len(failed)} of {len(found)} copies"
    if len(failed) == len(found):
        return Verdict(JobState.GIVEN_UP, reasons.REFUSED, failed[0][1])
    return Verdict(JobState.DONE, detail=f"{marked}; {failed[0][1]}" if failed else marked)


async def _put(mailbox: str, server: SentItems, item: FiledItem, mark: FiledMark) -> None:
    """What is signed, encrypted or protected by rights keeps its body, and so does what the server wouldn't change."""
    if mark.link_text and not item.is_protected:
        try:
            await server.put_mark(mailbox, item.ref, mark)
            return
        except RefusedError:
            pass
    await server.put_mark(mailbox, item.ref, replace(mark, link_text=""))
