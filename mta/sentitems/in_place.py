"""The original stays what it is, with its conversation and named properties, and gets the content that was sent."""

from __future__ import annotations

from mta.crash import crash_point
from mta.message.contents import Contents
from mta.model.mailbox_item import ItemRef, SentItem
from mta.model.sentitem import JobState
from mta.ports.mailbox import ConflictError
from mta.sentitems import reasons
from mta.sentitems.copies import Content, off_the_loop
from mta.sentitems.guard import Refusal, said_by, said_in
from mta.sentitems.replace import TRIES, Replacement
from mta.sentitems.same_text import is_same
from mta.sentitems.situation import Situation
from mta.sentitems.verdict import Verdict
from mta.sentitems.verify import differences


def can_be_in_place(situation: Situation) -> bool:
    """Whether it is asked for, the server can do it, and there is one item, to hold one copy."""
    settings, located = situation.settings, situation.located
    return (
        settings.method == "in-place"
        and situation.server.can_rewrite
        and not settings.keep_original
        and len(situation.missing) == len(situation.copies) == 1
        and len(located.originals) + len(located.ours) == 1
    )


async def rewrite(situation: Situation) -> Verdict:
    """Put the copy into the item. Raises MailboxError."""
    content = await situation.content(situation.missing[0])
    if any(file.is_message for file in Contents(content.sent).files):
        return await Replacement(situation).run()  # servers name attached messages as they please: which is which?
    ref = situation.source.ref
    for _ in range(TRIES):
        item = await situation.server.read(situation.mailbox, ref)
        refusal = await _refusal(situation, item, content)
        if refusal is not None:
            return Verdict(JobState.SKIPPED, refusal.reason, refusal.detail, situation.placed)
        try:
            return await _rewrite(situation, item, content)
        except ConflictError:
            ref = ItemRef(item.ref.id)
    return Verdict(JobState.WAITING, reasons.CONFLICT, placed=situation.placed)


async def _refusal(situation: Situation, item: SentItem, content: Content) -> Refusal | None:
    refusal = await situation.refusal(item, content)
    if refusal is None or refusal.reason not in (reasons.EDITED, reasons.ATTACHMENTS):
        return refusal
    # An attempt that broke off may have left the new text there, without its pictures and the stamp.
    sent = said_in(content.sent)
    is_half_done = not item.stamp and is_same(said_by(item), sent) and not is_same(said_in(content.received), sent)
    return None if is_half_done else refusal


async def _rewrite(situation: Situation, item: SentItem, content: Content) -> Verdict:
    new = await situation.new_item(content, item)
    ref = await situation.server.rewrite(situation.mailbox, item.ref, new)
    crash_point("sentitem-rewritten")
    found = await situation.server.read(situation.mailbox, ref)
    wrong = await off_the_loop(found.size_octets, differences, new, found)
    if wrong:
        return Verdict(JobState.GIVEN_UP, reasons.NOT_VERIFIED, f"rewritten, but: {', '.join(wrong)}")
    return Verdict(JobState.DONE, placed=content.copy.key)
