"""What an attempt has before it: the copies that are to stand in Sent Items, and the items that stand there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mta.config.sentitems_schema import SentItemsSettings
from mta.model.mailbox_item import FoundItem, NewItem, SentItem, stamped_copy
from mta.model.sentitem import JobCopy, SentItemJob
from mta.ports.mailbox import SentItems
from mta.sentitems.build import new_item
from mta.sentitems.copies import Content, content_of, has_bytes, off_the_loop, size_octets
from mta.sentitems.guard import Refusal, by_content, by_itself, by_stamp, by_structure, by_subject
from mta.sentitems.locate import Located


@dataclass(frozen=True)
class Situation:
    """The way is the same after a crash as the first time: it follows from what is found."""

    job: SentItemJob
    mailbox: str
    server: SentItems
    settings: SentItemsSettings
    copies: tuple[JobCopy, ...]
    """That are to stand there."""
    located: Located
    sample: Content | None = None
    """By which the original is looked for where its Message-ID is no help."""

    @property
    def original(self) -> FoundItem | None:
        """The sender's own item, where it is still there."""
        return self.located.originals[0] if self.located.originals else None

    @cached_property
    def standing(self) -> dict[str, FoundItem]:
        """Items of ours that are to stay, by their copy's key."""
        found: dict[str, FoundItem] = {}
        for item in self.located.ours:
            if (key := stamped_copy(item.stamp)) in {copy.key for copy in self.copies}:
                found.setdefault(key, item)
        return found

    @cached_property
    def missing(self) -> tuple[JobCopy, ...]:
        """Copies yet to be made. One without bytes was there once, and its owner has taken it away."""
        return tuple(copy for copy in self.copies if copy.key not in self.standing and has_bytes(copy))

    @cached_property
    def surplus(self) -> tuple[FoundItem, ...]:
        """Items of ours in whose place others are to stand; none where nothing would stand there instead."""
        if not self.standing and not self.missing:
            return ()
        staying = {item.ref.id for item in self.standing.values()}
        return tuple(item for item in self.located.ours if item.ref.id not in staying)

    @property
    def at_hand(self) -> tuple[JobCopy, ...]:
        """Copies that are to stand there and whose bytes we have: not yet made, or not known to be as they should."""
        return tuple(copy for copy in self.copies if has_bytes(copy))

    @property
    def placed(self) -> str:
        """Keys of the copies that stand there, as jobs note them."""
        return " ".join(dict.fromkeys(stamped_copy(item.stamp) for item in self.located.ours))

    @property
    def source(self) -> FoundItem:
        """The item whose properties the new ones get."""
        return self.original or (self.surplus or self.located.ours)[0]

    async def refusal(self, item: SentItem, content: Content) -> Refusal | None:
        """Why `item`, the source, is left as it is, by what is to stand in its place."""
        return await off_the_loop(item.size_octets + size_octets(content.copy), self._refusal, item, content)

    def _refusal(self, item: SentItem, content: Content) -> Refusal | None:
        refusal = by_itself(item, self.settings.largest) or by_structure(content.sent)
        if refusal is not None:
            return refusal
        if item.stamp:
            return by_stamp(item, content.received)
        return by_subject(item, content) or by_content(item, content.received)

    async def content(self, copy: JobCopy) -> Content:
        """Raises UnusableCopyError."""
        return await off_the_loop(size_octets(copy), content_of, copy)

    async def new_item(self, content: Content, item: SentItem) -> NewItem:
        """What is to stand there for a copy, with the properties of `item`."""
        mark, category = self.settings.subject_mark, self.settings.category
        work = off_the_loop(
            size_octets(content.copy), new_item, self.job, content, item, subject_mark=mark, category=category
        )
        return await work
