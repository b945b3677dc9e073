"""The port's calls, each one or two requests of EWS in a thread of a bounded pool."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from mta.adapters.mailbox.ews import reading, writing
from mta.adapters.mailbox.ews.autodiscover import Autodiscover
from mta.adapters.mailbox.ews.calls import Answer, Caller, call
from mta.adapters.mailbox.ews.connection import Connections
from mta.adapters.mailbox.ews.names import Element, tag
from mta.adapters.mailbox.ews.sign_in import Doorkeeper, SignIn
from mta.adapters.mailbox.tls import client_context
from mta.config.mailbox_schema import EwsMailboxes
from mta.model.mailbox_item import FoundItem, ItemRef, Marks, NewAttachment, NewItem, Removal, SentItem, stamped_job
from mta.ports.mailbox import (
    ConflictError,
    EndpointDownError,
    ItemGoneError,
    MailboxError,
    NoMailboxError,
    OutcomeUnknownError,
    SignInError,
)

_T = TypeVar("_T")
_MOST_ADDRESSES = 16
"""Of EWS, by Autodiscover; an organisation has one for each site at most."""
_CANNOT_ASK = frozenset({
    "ErrorContainsFilterWrongType", "ErrorInvalidRestriction", "ErrorUnsupportedPathForQuery",
    "ErrorUnsupportedQueryFilter",
})  # fmt: skip
_VERSIONS = {
    "15.0": "Exchange 2013",
    "15.1": "Exchange 2016",
    "15.2": "Exchange 2019 or later",
    "15.20": "Exchange Online",
}


class EwsSentItems:
    """The Sent Items of one EWS endpoint's mailboxes.

    No state is kept of mailboxes, so it takes no more memory for many of them.
    """

    can_rewrite = True

    def __init__(self, settings: EwsMailboxes) -> None:
        """Asks no server. Raises OSError or KeyError if a secret or a file can't be read."""
        self._settings = settings
        self._context = client_context(settings.tls)
        self._sign_in = SignIn(settings)
        self._door = Doorkeeper()
        self._is_closing = False
        self._threads = ThreadPoolExecutor(settings.connections, thread_name_prefix=f"ews-{settings.name}")
        self._lock = threading.Lock()
        self._places: dict[str, Connections] = {}
        self._autodiscover = None if settings.url else Autodiscover(settings.autodiscover, self._connect)
        self._asks_for_stamps = True

    async def sign_in(self, mailbox: str) -> str:
        def ask() -> str:
            answer = self._call(mailbox, writing.get_folder(self._owner(mailbox)))
            product = _VERSIONS.get(".".join(answer.server.split(".")[:2]), "EWS")
            return f"{product} ({answer.server or 'version not told'}), Sent Items opened"

        return await self._run(ask)

    async def primary_address(self, mailbox: str) -> str:
        return await self._run(lambda: self._primary_address(mailbox))

    async def find(self, mailbox: str, message_id: str, job: str) -> Sequence[FoundItem]:
        return await self._run(lambda: self._find(mailbox, message_id, job))

    async def find_similar(
        self, mailbox: str, subject: str, sent_at: datetime, within: timedelta
    ) -> Sequence[FoundItem]:
        def ask() -> Sequence[FoundItem]:
            request = writing.find_by_subject(self._owner(mailbox), subject, sent_at - within, sent_at + within)
            found = _found(self._call(mailbox, request), lambda item: reading.is_subject(item, subject))
            return [item for item in found if item.sent_at is None or abs(item.sent_at - sent_at) <= within]

        return await self._run(ask)

    async def read(self, mailbox: str, ref: ItemRef) -> SentItem:
        def ask() -> SentItem:
            return reading.sent_item(self._item(mailbox, ref, whole=True), ref)

        return await self._run(ask)

    async def create(self, mailbox: str, item: NewItem) -> ItemRef:
        def ask() -> ItemRef:
            request = writing.create_item(self._owner(mailbox), item)
            answer = self._call(mailbox, request, large=writing.mime_content(item.mime))
            return _made(answer)

        return await self._run(ask)

    async def rewrite(self, mailbox: str, ref: ItemRef, item: NewItem) -> ItemRef:
        return await self._run(lambda: self._rewrite(mailbox, ref, item))

    async def set_marks(self, mailbox: str, ref: ItemRef, marks: Marks) -> ItemRef:
        return await self._run(lambda: _made(self._call(mailbox, writing.update_marks(ref, marks))))

    async def remove(self, mailbox: str, ref: ItemRef, how: Removal, *, is_fresh: bool = False) -> None:
        await self._run(lambda: self._remove(mailbox, ref, how, is_fresh=is_fresh))

    async def close(self) -> None:
        """Requests under way are broken off."""
        self._is_closing = True
        with self._lock:
            places = list(self._places.values())
        self._threads.shutdown(wait=False, cancel_futures=True)
        for connections in places:
            connections.interrupt(only_overdue=False)
        await asyncio.to_thread(self._threads.shutdown)
        for connections in places:
            connections.close()
        self._sign_in.close()

    async def _run(self, ask: Callable[[], _T]) -> _T:
        """In a thread; a request that outstays its time there is broken off."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, ask)
        try:
            while not (await asyncio.wait({future}, timeout=self._settings.timeout.total_seconds()))[0]:
                with self._lock:
                    places = list(self._places.values())
                for connections in places:
                    connections.interrupt(only_overdue=True)
        except asyncio.CancelledError:
            future.cancel()
            raise
        return future.result()

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
                return _found(self._call(mailbox, writing.find_by_message_id(owner, message_id, job)))
            except MailboxError as exc:
                if exc.code not in _CANNOT_ASK:
                    raise
                self._asks_for_stamps = False
        return _found(self._call(mailbox, writing.find_by_message_id(owner, message_id, "")))

    def _item(self, mailbox: str, ref: ItemRef, *, whole: bool) -> Element:
        """As it is now, whatever version `ref` names."""
        answer = self._call(mailbox, writing.get_item(ItemRef(ref.id), whole=whole))
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
            self._call(mailbox, writing.delete_item(ref, how))
        except ItemGoneError:
            pass

    def _rewrite(self, mailbox: str, ref: ItemRef, item: NewItem) -> ItemRef:
        """New pictures first: with a body that needs them they have to be there."""
        added = _pictures_to_add(item)
        if not added:
            return _made(self._call(mailbox, writing.update_content(ref, item)))
        self._check_unchanged(mailbox, ref)
        answer = self._call(mailbox, writing.create_attachments(ref, added))
        ids = list(answer.message.iter(tag("t:AttachmentId")))
        try:
            root = next((each for each in ids if each.get("RootItemChangeKey")), None)
            key = "" if root is None else root.get("RootItemChangeKey")
            return _made(self._call(mailbox, writing.update_content(ItemRef(ref.id, key), item)))
        except OutcomeUnknownError:
            raise  # the body may need them
        except MailboxError:
            self._call(mailbox, writing.delete_attachments(each.get("Id", "") for each in ids))
            raise

    def _primary_address(self, mailbox: str) -> str:
        try:
            answer = self._call(mailbox, writing.resolve_names(mailbox))
        except MailboxError as exc:
            if exc.code not in ("ErrorNameResolutionNoResults", "ErrorNameResolutionMultipleResults"):
                raise
            # Hidden from address lists, it isn't resolved: whether it is there shows when it is opened.
            self._call(mailbox, writing.get_folder(self._owner(mailbox)))
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
        return "" if self._settings.impersonate else mailbox

    def _call(self, mailbox: str, request: Element, *, large: bytes = b"") -> Answer:
        caller = Caller(mailbox, self._connections(mailbox), impersonate=self._settings.impersonate)

        def ask() -> Answer:
            if self._is_closing:
                raise EndpointDownError("closing", "nothing is asked any more")
            try:
                return call(caller, request, large=large)
            except SignInError as exc:
                if exc.code != "401" or not self._sign_in.renew():
                    raise
            return call(caller, request, large=large)

        return self._door.pass_through(ask)

    def _connections(self, mailbox: str) -> Connections:
        url = self._settings.url or (self._autodiscover.ews_url(mailbox) if self._autodiscover else "")
        with self._lock:
            if url not in self._places:
                if len(self._places) >= _MOST_ADDRESSES:
                    raise EndpointDownError("autodiscover", f"names more than {_MOST_ADDRESSES} addresses of EWS")
                self._places[url] = self._connect(url)
            return self._places[url]

    def _connect(self, url: str) -> Connections:
        settings = self._settings
        return Connections(
            url, auth=self._sign_in.auth, context=self._context, connections=settings.connections,
            timeout_s=settings.timeout.total_seconds(),
        )  # fmt: skip


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
