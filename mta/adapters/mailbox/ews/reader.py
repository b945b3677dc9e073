"""A monitored mailbox of Exchange by EWS, as the port `mta.ports.mailbox_reader`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from mta.adapters.mailbox.ews import fetching
from mta.adapters.mailbox.ews.calls import Answer
from mta.adapters.mailbox.ews.endpoint import Endpoint, product
from mta.adapters.mailbox.ews.fetching import Seen
from mta.adapters.mailbox.ews.folders import Folders, is_last
from mta.adapters.mailbox.ews.names import Element
from mta.adapters.mailbox.mime_item import as_crlf
from mta.config.tracking_schema import EwsMailbox
from mta.model.printable import in_a_line
from mta.ports.mailbox import ConflictError, ItemGoneError, MailboxError, RefusedError
from mta.ports.mailbox_reader import WaitingMessage

_PAGE = 200
_MORE_PAGES = 20
"""For drafts that somebody has left among the messages: they are passed over."""
_NO_FOLDER = frozenset({"ErrorFolderNotFound", "ErrorToFolderNotFound"})
_ENVELOPE_OCTETS = 20_000
"""Of an answer, around the MIME."""
_STORED = 4
"""An item may be so many times larger in the store than its MIME: text in two octets a character, and as HTML."""


class EwsReader:
    """Fulfils `mta.ports.mailbox_reader.MailboxReader`; a `ref` is an item's id, which changes when it is moved."""

    def __init__(self, settings: EwsMailbox) -> None:
        """Asks no server. Raises OSError or KeyError if a secret or a file can't be read."""
        impersonates = settings.impersonate or settings.sign_in == "oauth"  # an app is nobody itself
        self._settings = settings
        self._mailbox = settings.shared_mailbox or settings.address
        self._endpoint = Endpoint(settings, connections=1, impersonates=impersonates)
        self._folders = Folders(self._call, "" if impersonates else settings.shared_mailbox)
        self._seen: dict[str, Seen] = {}

    async def sign_in(self) -> str:
        """As the port says."""

        def ask() -> str:
            answer = self._in_folder(fetching.get_folder)
            return f"{product(answer)}, {self._settings.folder} of {self._mailbox}: {fetching.counts_in(answer)}"

        return await self._endpoint.run(ask)

    async def folders(self) -> Sequence[str]:
        """As the port says."""
        return await self._endpoint.run(self._folders.paths)

    async def waiting(self, limit: int) -> Sequence[WaitingMessage]:
        """As the port says; drafts wait for whoever is writing them."""

        def ask() -> Sequence[WaitingMessage]:
            self._seen = {each.id: each for each in self._oldest(limit)}
            return [WaitingMessage(each.id, each.size_octets, each.received_at) for each in self._seen.values()]

        return await self._endpoint.run(ask)

    async def fetch(self, ref: str, largest: int) -> bytes:
        """As the port says. RefusedError also for tasks, contacts and such, and what Exchange has no MIME of."""
        return await self._endpoint.run(lambda: self._fetch(ref, largest))

    async def mark_read(self, ref: str) -> None:
        """As the port says; no read receipt leaves for it."""
        await self._end_with(lambda: self._mark_read(ref))

    async def delete(self, ref: str) -> None:
        """As the port says: at once; recoverable by its owner, unless the settings want it purged."""
        request = fetching.delete(ref, for_good=self._settings.after.purge)
        await self._end_with(lambda: self._call(request))

    async def move(self, ref: str, folder: str) -> None:
        """As the port says."""
        await self._end_with(lambda: self._at(folder, lambda place: fetching.move(ref, place), make=True))

    async def end_session(self, *, purge: bool) -> None:
        """As the port says; `delete` has done all that `purge` is about."""
        self._seen = {}
        self._folders.forget()
        await self._endpoint.run(self._endpoint.hang_up)

    async def close(self) -> None:
        """As the port says."""
        await self._endpoint.close()

    async def _end_with(self, ask: Callable[[], object]) -> None:
        with suppress(ItemGoneError):
            await self._endpoint.run(ask)

    # --- in a thread ---

    def _oldest(self, limit: int) -> list[Seen]:
        found: dict[str, Seen] = {}
        offset, most = 0, min(_PAGE, limit)
        is_unread = self._settings.after.do == "mark-read"
        for _ in range(limit // most + _MORE_PAGES):
            start = offset
            answer = self._in_folder(
                lambda place: fetching.find(place, offset=start, most=most, is_unread=is_unread)  # noqa: B023
            )
            page = list(fetching.seen_in(answer))
            found |= {each.id: each for each in page if not each.is_draft}
            offset += len(page)
            if len(found) >= limit or not page or is_last(answer):
                break
        return list(found.values())[:limit]

    def _fetch(self, ref: str, largest: int) -> bytes:
        seen = self._look(ref)
        if not seen.is_message:
            raise RefusedError("no-message", f"somebody has put a {seen.kind} there")
        if seen.size_octets > largest * _STORED:
            raise RefusedError("too-large", f"an item of {seen.size_octets} octets")
        answer = self._call(fetching.get_mime(ref), most_octets=_ENVELOPE_OCTETS + largest * 4 // 3)
        mime, item_class = fetching.mime_in(answer)
        if not mime:
            raise RefusedError("no-mime", f"Exchange gives no MIME of an item of class {in_a_line(item_class, 80)}")
        if len(mime) > largest:
            raise RefusedError("too-large", f"a message of {len(mime)} octets")
        return as_crlf(mime)

    def _mark_read(self, ref: str) -> None:
        seen = self._look(ref)
        try:
            self._call(fetching.mark_read(seen))
        except ConflictError:
            del self._seen[ref]
            self._call(fetching.mark_read(self._look(ref)))

    def _look(self, ref: str) -> Seen:
        if ref not in self._seen:
            found = next(fetching.seen_in(self._call(fetching.look(ref))), None)
            if found is None:
                raise ItemGoneError("no-item", "the server answered without one")
            self._seen[ref] = found
        return self._seen[ref]

    def _in_folder(self, request: Callable[[Element], Element]) -> Answer:
        return self._at(self._settings.folder, request)

    def _at(self, path: str, request: Callable[[Element], Element], *, make: bool = False) -> Answer:
        """A request at a folder; if it isn't where it was, it is looked for once more."""
        try:
            return self._call(request(self._folders.place(path, make=make)))
        except MailboxError as exc:
            if exc.code not in _NO_FOLDER:
                raise
        self._folders.forget()
        return self._call(request(self._folders.place(path, make=make)))

    def _call(self, request: Element, *, most_octets: int | None = None) -> Answer:
        return self._endpoint.call(self._mailbox, request, most_octets=most_octets)
