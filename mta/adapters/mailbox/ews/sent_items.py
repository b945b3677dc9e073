"""The port's calls, each one or two requests of EWS in a thread of a bounded pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from mta.adapters.mailbox.ews import filed, reading, writing
from mta.adapters.mailbox.ews.calls import Answer
from mta.adapters.mailbox.ews.endpoint import Endpoint, product
from mta.adapters.mailbox.ews.names import Element, tag
from mta.config.mailbox_schema import EwsMailboxes
from mta.model.mailbox_item import FoundItem, ItemRef, Marks, NewAttachment, NewItem, Removal, SentItem, stamped_job
from mta.model.writeback import FiledItem, FiledMark
from mta.ports.mailbox import (
    ConflictError,
    ItemGoneError,
    MailboxError,
    NoMailboxError,
    OutcomeUnknownError,
)

_CANNOT_ASK = frozenset({
    "ErrorContainsFilterWrongType", "ErrorInvalidRestriction", "ErrorUnsupportedPathForQuery",
    "ErrorUnsupportedQueryFilter",
})  # fmt: skip


class EwsSentItems:
    """The Sent Items of one EWS endpoint's mailboxes."""

    can_rewrite = True

    def __init__(self, settings: EwsMailboxes) -> None:
        """Asks no server. Raises OSError or KeyError if a secret or a file can't be read."""
        self._impersonates = settings.impersonate
        self._endpoint = Endpoint(settings, connections=settings.connections, impersonates=settings.impersonate)
        self._filed = filed.FiledMessages(self._endpoint.call)
        self._asks_for_stamps = True

    async def sign_in(self, mailbox: str) -> str:
        def ask() -> str:
            answer = self._endpoint.call(mailbox, writing.get_folder(self._owner(mailbox)))
            return f"{product(answer)}, Sent Items opened"

        return await self._endpoint.run(ask)

    async def primary_address(self, mailbox: str) -> str:
        return await self._endpoint.run(lambda: self._primary_address(mailbox))

    async def find(self, mailbox: str, message_id: str, job: str) -> Sequence[FoundItem]:
        return await self._endpoint.run(lambda: self._find(mailbox, message_id, job))

    async def find_similar(
        self, mailbox: str, subject: str, sent_at: datetime, within: timedelta
    ) -> Sequence[FoundItem]:
        def ask() -> Sequence[FoundItem]:
            request = writing.find_by_subject(self._owner(mailbox), subject, sent_at - within, sent_at + within)
            found = _found(self._endpoint.call(mailbox, request), lambda item: reading.is_subject(item, subject))
            return [item for item in found if item.sent_at is None or abs(item.sent_at - sent_at) <= within]

        return await self._endpoint.run(ask)

    async def read(self, mailbox: str, ref: ItemRef) -> SentItem:
        def ask() -> SentItem:
            return reading.sent_item(self._item(mailbox, ref, whole=True), ref)

        return await self._endpoint.run(ask)

    async def create(self, mailbox: str, item: NewItem) -> ItemRef:
        def ask() -> ItemRef:
            request = writing.create_item(self._owner(mailbox), item)
            answer = self._endpoint.call(mailbox, request, large=writing.mime_content(item.mime))
            return _made(answer)

        return await self._endpoint.run(ask)

    async def rewrite(self, mailbox: str, ref: ItemRef, item: NewItem) -> ItemRef:
        return await self._endpoint.run(lambda: self._rewrite(mailbox, ref, item))

    async def set_marks(self, mailbox: str, ref: ItemRef, marks: Marks) -> ItemRef:
        return await self._endpoint.run(lambda: _made(self._endpoint.call(mailbox, writing.update_marks(ref, marks))))

    async def remove(self, mailbox: str, ref: ItemRef, how: Removal, *, is_fresh: bool = False) -> None:
        await self._endpoint.run(lambda: self._remove(mailbox, ref, how, is_fresh=is_fresh))

    async def find_filed(self, mailbox: str, message_id: str) -> Sequence[FiledItem]:
        return await self._endpoint.run(lambda: self._filed.find(mailbox, self._owner(mailbox), message_id))

    async def put_mark(self, mailbox: str, ref: ItemRef, mark: FiledMark) -> ItemRef:
        def ask() -> ItemRef:
            answer = self._endpoint.call(mailbox, filed.get_marked(ref, mark))
            item = next(reading.items_in(answer.message), None)
            if item is None:
                raise ItemGoneError("no-item", "the server answered without one")
            now = reading.ref_of(item) or ref
            changes = filed.changes(item, mark)
            return _made(self._endpoint.call(mailbox, writing.update(now, changes))) if changes else now

        return await self._endpoint.run(ask)

    async def close(self) -> None:
        """Requests under way are broken off."""
        await self._endpoint.close()

    # --- in a thread ---

    def _find(self, mailbox: str, message_id: str, job: str) -> Sequence[FoundItem]:
        """Exactly these: Exchange compares texts without regard to case."""
        found = self._find_with_stamps(mailbox, message_id, job)
        exact = (
            replace(item, message_id=message_id) for item in found if reading.is_shown(item.message_id, message_id)
        )
        stamped = (item for item in found if stamped_job(item.stamp) == job)
        return list({item.ref.id: item for item in (*stamped, *exact)}.values())

    def _find_with_stamps(self, mailbox: str, message_id: str, job: str) -> Sequence[FoundItem]:
        owner = self._owner(mailbox)
        if self._asks_for_stamps:
            try:
                return _found(self._endpoint.call(mailbox, writing.find_by_message_id(owner, message_id, job)))
            except MailboxError as exc:
                if exc.code not in _CANNOT_ASK:
                    raise
                self._asks_for_stamps = False
        return _found(self._endpoint.call(mailbox, writing.find_by_message_id(owner, message_id, "")))

    def _item(self, mailbox: str, ref: ItemRef, *, whole: bool) -> Element:
        """As it is now, whatever version `ref` names."""
        answer = self._endpoint.call(mailbox, writing.get_item(ItemRef(ref.id), whole=whole))
        for item in reading.items_in(answer.message):
            return item
        raise ItemGoneError("no-item", "the server answered without one")

    def _check_unchanged(self, mailbox: str, ref: ItemRef) -> None:
        """Exchange deletes, and adds attachments, whatever change key it is told; a moment stays open all the same."""
        now = reading.ref_of(self._item(mailbox, ref, whole=False))
        if ref.change_key and now is not None and now.change_key != ref.change_key:
            raise ConflictError("ErrorStaleObject", "it was changed since it was read")

    def _remove(self, mailbox: str, ref: ItemRef, how: Removal, *, is_fresh: bool) -> None:
        try:
            if not is_fresh:
                self._check_unchanged(mailbox, ref)
            self._endpoint.call(mailbox, writing.delete_item(ref, how))
        except ItemGoneError:
            pass

    def _rewrite(self, mailbox: str, ref: ItemRef, item: NewItem) -> ItemRef:
        """New pictures first: with a body that needs them they have to be there."""
        added = _pictures_to_add(item)
        if not added:
            return _made(self._endpoint.call(mailbox, writing.update_content(ref, item)))
        self._check_unchanged(mailbox, ref)
        answer = self._endpoint.call(mailbox, writing.create_attachments(ref, added))
        ids = list(answer.message.iter(tag("t:AttachmentId")))
        try:
            root = next((each for each in ids if each.get("RootItemChangeKey")), None)
            key = "" if root is None else root.get("RootItemChangeKey")
            return _made(self._endpoint.call(mailbox, writing.update_content(ItemRef(ref.id, key), item)))
        except OutcomeUnknownError:
            raise  # the body may need them
        except MailboxError:
            self._endpoint.call(mailbox, writing.delete_attachments(each.get("Id", "") for each in ids))
            raise

    def _primary_address(self, mailbox: str) -> str:
        try:
            answer = self._endpoint.call(mailbox, writing.resolve_names(mailbox))
        except MailboxError as exc:
            if exc.code not in ("ErrorNameResolutionNoResults", "ErrorNameResolutionMultipleResults"):
                raise
            # Hidden from address lists, it isn't resolved: whether it is there shows when it is opened.
            self._endpoint.call(mailbox, writing.get_folder(self._owner(mailbox)))
            return mailbox
        people = list(answer.message.iter(tag("t:Mailbox")))
        kinds = {person.findtext(tag("t:MailboxType"), "Mailbox") for person in people}
        if people and kinds.isdisjoint({"Mailbox", "Unknown"}):
            raise NoMailboxError("no-mailbox", f"{mailbox} is a {', '.join(sorted(kinds))[:60]}")
        addresses = [
            person.findtext(tag("t:EmailAddress"), "").strip() for person in people
            if person.findtext(tag("t:RoutingType"), "SMTP") == "SMTP"
        ]  # fmt: skip
        return addresses[0].lower() if len(addresses) == 1 and "@" in addresses[0] else mailbox

    def _owner(self, mailbox: str) -> str:
        return "" if self._impersonates else mailbox


def _found(answer: Answer, is_wanted: Callable[[Element], bool] = lambda _item: True) -> list[FoundItem]:
    """Each once."""
    items = (reading.found_item(item) for item in reading.items_in(answer.message) if is_wanted(item))
    return list({item.ref.id: item for item in items if item is not None}.values())


def _made(answer: Answer) -> ItemRef:
    for item in reading.items_in(answer.message):
        if (ref := reading.ref_of(item)) is not None:
            return ref
    raise OutcomeUnknownError("bad-answer", "the server doesn't say which item it made or changed")


def _pictures_to_add(item: NewItem) -> list[NewAttachment]:
    """What the new content has and the original hasn't: by content id, or else by name."""
    there = {each.content_id for each in item.original.attachments if each.content_id}
    names = [each.name for each in item.original.attachments]
    added = []
    for each in item.attachments:
        if each.content_id in there:
            continue
        if not each.is_inline and each.name in names:
            names.remove(each.name)
            continue
        added.append(each)
    return added
