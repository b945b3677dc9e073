"""Create, read back, verify, and only then remove what was there before.

Whoever removes the original has a verified item standing and leaves it standing. Where an attempt can't come to that
end, it takes away what it has made, so that the original stays by itself.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from mta.crash import crash_point
from mta.model.mailbox_item import FoundItem, ItemRef, Marks, NewItem, Removal, SentItem
from mta.model.sentitem import JobState
from mta.ports.mailbox import (
    AccessDeniedError,
    ConflictError,
    ItemGoneError,
    MailboxError,
    OutcomeUnknownError,
    QuotaError,
    RefusedError,
)
from mta.sentitems import reasons
from mta.sentitems.build import with_category
from mta.sentitems.copies import Content, off_the_loop
from mta.sentitems.guard import Refusal, by_digest
from mta.sentitems.locate import Located, locate
from mta.sentitems.situation import Situation
from mta.sentitems.verdict import Verdict
from mta.sentitems.verify import differences

TRIES = 3
"""So often an item is read again that was changed under our hands."""
_FINAL = (RefusedError, AccessDeniedError, QuotaError)


@dataclass(slots=True)
class _Made:
    """An item of ours that stands in the mailbox since this attempt, or since one before it."""

    new: NewItem
    ref: ItemRef
    is_new: bool


class Replacement:
    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._server, self._mailbox = situation.server, situation.mailbox
        self._contents: list[Content] = []
        self._made: list[_Made] = []
        self._placed = situation.placed.split()

    async def run(self) -> Verdict:
        """Raises MailboxError."""
        situation = self._situation
        if not situation.at_hand:
            for item in situation.surplus:
                await self._take_away_unless_edited(item.ref, Removal(situation.settings.remove))
            return Verdict(JobState.DONE, placed=" ".join(situation.standing) or situation.placed)
        if not situation.missing and not self._outgoing:
            return Verdict(JobState.DONE, placed=situation.placed)
        try:
            return await self._work()
        except _FINAL:
            # It is not tried again soon, or never.
            with suppress(MailboxError):
                await self._withdraw(self._made)
            raise
        except MailboxError as exc:
            exc.placed = " ".join(self._placed)
            raise

    @property
    def _outgoing(self) -> tuple[FoundItem, ...]:
        """What is to go when the new items stand."""
        situation = self._situation
        if situation.original is None or situation.settings.keep_original:
            return situation.surplus
        return (situation.original, *situation.surplus)

    async def _work(self) -> Verdict:
        situation = self._situation
        source = await self._server.read(self._mailbox, situation.source.ref)
        self._contents = [await situation.content(copy) for copy in situation.at_hand]
        refusal = await self._refusal(source)
        if refusal is not None:
            return await self._left_alone(refusal)
        for content in self._contents:
            await self._make(content, source)
        found = [await self._server.read(self._mailbox, made.ref) for made in self._made]
        if any(by_digest(item) is not None for made, item in zip(self._made, found, strict=True) if not made.is_new):
            # Its owner has edited what an attempt before this one made; he has it beside the original, and may choose.
            await self._withdraw([made for made in self._made if made.is_new])
            return Verdict(JobState.SKIPPED, reasons.EDITED, placed=situation.placed)
        wrong = [problem for made, item in zip(self._made, found, strict=True) for problem in await _wrong(made, item)]
        if wrong:
            await self._withdraw(self._made)
            return Verdict(JobState.GIVEN_UP, reasons.NOT_VERIFIED, ", ".join(dict.fromkeys(wrong)))
        await self._take_over_marks(found)
        crash_point("sentitem-verified")
        return await self._remove_outgoing(source)

    async def _refusal(self, source: SentItem) -> Refusal | None:
        for content in self._contents:
            refusal = await self._situation.refusal(source, content)
            if refusal is not None:
                return refusal
        return None

    async def _left_alone(self, refusal: Refusal) -> Verdict:
        """The source stays; what an attempt before this one has made beside the original goes."""
        situation = self._situation
        placed = situation.placed
        if situation.original is not None and not situation.settings.keep_original:
            for item in situation.located.ours:
                await self._take_away_unless_edited(item.ref, Removal.FOR_GOOD)
            placed = ""
        return Verdict(JobState.SKIPPED, refusal.reason, refusal.detail, placed)

    async def _make(self, content: Content, source: SentItem) -> None:
        new = await self._situation.new_item(content, source)
        standing = self._situation.standing.get(content.copy.key)
        if standing is not None:
            self._made.append(_Made(new, standing.ref, is_new=False))
            return
        try:
            ref = await self._server.create(self._mailbox, new)
        except OutcomeUnknownError:
            self._placed.append(content.copy.key)
            raise
        self._placed.append(content.copy.key)
        self._made.append(_Made(new, ref, is_new=True))
        crash_point("sentitem-created")

    async def _take_over_marks(self, found: list[SentItem]) -> None:
        """What was made before has the marks that the source had then."""
        for made, item in zip(self._made, found, strict=True):
            if not made.is_new and item.marks != made.new.marks:
                made.ref = await self._server.set_marks(self._mailbox, item.ref, made.new.marks)

    # --- what stood there before ---

    async def _remove_outgoing(self, source: SentItem) -> Verdict:
        for item in self._outgoing:
            if item.ref.id != source.ref.id:
                await self._take_away_unless_edited(item.ref, Removal(self._situation.settings.remove))
            elif (verdict := await self._remove_source(source)) is not None:
                return verdict
        keys = " ".join(copy.key for copy in self._situation.copies if self._stands(copy.key))
        return Verdict(JobState.DONE, placed=keys)

    def _stands(self, key: str) -> bool:
        made = {content.copy.key for content in self._contents}
        return key in made or key in self._situation.standing

    async def _remove_source(self, source: SentItem) -> Verdict | None:
        """Remove it if it is still what it was; None where that went well."""
        for _ in range(TRIES):
            situation = self._situation
            located = await locate(situation.job, self._mailbox, self._server, situation.sample)
            if self._has_twin(located):
                await self._withdraw([made for made in self._made if made.is_new])
                return Verdict(JobState.WAITING, reasons.CONFLICT, "made twice")
            there = _item(located, source.ref)
            if there is None:
                return await self._gone()
            is_fresh = source.ref == there.ref
            try:
                if _has_changed(source.ref, there.ref):
                    latest = await self._server.read(self._mailbox, there.ref)
                    if (verdict := await self._follow(source, latest)) is not None:
                        return verdict
                    source = latest
                how = Removal(situation.settings.remove)
                await self._server.remove(self._mailbox, source.ref, how, is_fresh=is_fresh)
            except (ConflictError, ItemGoneError):
                continue
            crash_point("sentitem-removed")
            return None
        await self._withdraw(self._made)
        return Verdict(JobState.WAITING, reasons.CONFLICT)

    def _has_twin(self, located: Located) -> bool:
        """Whether an item that an earlier attempt made has shown up only now."""
        known = {item.ref.id for item in self._situation.located.ours} | {made.ref.id for made in self._made}
        stamps = {made.new.stamp for made in self._made}
        return any(item.ref.id not in known and item.stamp in stamps for item in located.ours)

    async def _follow(self, source: SentItem, latest: SentItem) -> Verdict | None:
        """What somebody did to the source meanwhile is done to the new items, too; else they go."""
        refusal = await self._refusal(latest)
        if refusal is not None:
            await self._withdraw(self._made)
            return Verdict(JobState.SKIPPED, refusal.reason, refusal.detail)
        if _unmarked(source) != _unmarked(latest):
            await self._withdraw(self._made)
            return Verdict(JobState.WAITING, reasons.CONFLICT)
        if source.marks != latest.marks:
            for made in self._made:
                marks = with_category(latest.marks, self._situation.settings.category)
                made.ref = await self._server.set_marks(self._mailbox, made.ref, marks)
            crash_point("sentitem-marked")
        return None

    async def _gone(self) -> Verdict:
        """Its owner has moved or deleted the source while we were at it: that counts, and nothing new appears."""
        await self._withdraw([made for made in self._made if made.is_new])
        if all(made.is_new for made in self._made):
            return Verdict(JobState.SKIPPED, reasons.GONE)
        return Verdict(JobState.DONE, placed=self._situation.placed)

    # --- back to what was ---

    async def _withdraw(self, which: list[_Made]) -> None:
        """Take away what was made, for good: it can be made again. The source stands, or its owner wants it so."""
        for made in which:
            try:
                await self._server.remove(self._mailbox, made.ref, Removal.FOR_GOOD)
            except ConflictError:
                await self._take_away_unless_edited(made.ref, Removal.FOR_GOOD)
        crash_point("sentitem-withdrawn")

    async def _take_away_unless_edited(self, ref: ItemRef, how: Removal) -> None:
        """Remove an item of ours, but not what its owner has written into it."""
        for _ in range(TRIES):
            try:
                latest = await self._server.read(self._mailbox, ref)
                if by_digest(latest) is None:
                    await self._server.remove(self._mailbox, latest.ref, how, is_fresh=True)
            except ItemGoneError:
                return
            except ConflictError:
                continue
            return


async def _wrong(made: _Made, found: SentItem) -> list[str]:
    return await off_the_loop(found.size_octets, differences, made.new, found)


def _item(located: Located, ref: ItemRef) -> FoundItem | None:
    return next((item for item in (*located.originals, *located.ours) if item.ref.id == ref.id), None)


def _has_changed(before: ItemRef, now: ItemRef) -> bool:
    return bool(before.change_key and now.change_key) and before.change_key != now.change_key


def _unmarked(item: SentItem) -> SentItem:
    """What can't be carried over to another item, but for the content, which is compared otherwise."""
    return replace(item, ref=ItemRef(""), marks=Marks(), mime=b"", html=None, text=None, size_octets=0, attachments=())
