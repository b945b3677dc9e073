"""A monitored mailbox of Exchange Online by Microsoft Graph, as the port `mta.ports.mailbox_reader`.

Needs the application permission Mail.ReadWrite.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import quote

from mta.adapters.mailbox.graph import properties as known
from mta.adapters.mailbox.graph.connection import Connection
from mta.adapters.mailbox.graph.folders import Folders
from mta.adapters.mailbox.graph.writing import encoded
from mta.adapters.mailbox.mime_item import as_crlf
from mta.config.tracking_schema import GraphMailbox
from mta.ports.mailbox import (
    ConflictError,
    ItemGoneError,
    MailboxUnavailableError,
    NoMailboxError,
    RefusedError,
)
from mta.ports.mailbox_reader import WaitingMessage

_T = TypeVar("_T")
_PAGE = 200
_MORE_PAGES = 20
"""For drafts that somebody has left among the messages: they are passed over."""
_EPOCH = "1900-01-01T00:00:00Z"


class GraphReader:
    """Fulfils `mta.ports.mailbox_reader.MailboxReader`; a `ref` is an item's ordinary id.

    That changes when the message is moved, other than an immutable one: what somebody has moved elsewhere since it was
    found is gone for us, and a move whose answer was lost isn't done twice.
    """

    def __init__(self, settings: GraphMailbox) -> None:
        """Asks no server. Raises OSError or KeyError if a secret or a file can't be read."""
        self._settings = settings
        self._address = settings.shared_mailbox or settings.address
        self._mailbox = f"/users/{quote(self._address, safe='@')}"
        self._knows_permanent_delete = settings.oauth.cloud == "global"
        self._connection = Connection(settings, connections=1)
        self._folders = Folders(self._connection, self._mailbox)
        self._wants_receipt: dict[str, bool] = {}
        """By ref: whether its sender asked for a read receipt."""

    async def sign_in(self) -> str:
        """As the port says."""
        roles = await self._connection.roles()
        answer = await self._in_folder(lambda folder: self._connection.get(f"{folder}?$select={_COUNTS}"))
        total, unread = (answer.data.get(name) for name in _COUNTS.split(","))
        where = f"Microsoft Graph at {self._connection.host} ({roles})"
        return f"{where}, {self._settings.folder} of {self._address}: {total} messages, {unread} unread"

    async def folders(self) -> Sequence[str]:
        """As the port says."""
        return await self._folders.paths()

    async def waiting(self, limit: int) -> Sequence[WaitingMessage]:
        """As the port says; drafts wait for whoever is writing them."""
        listed = await self._in_folder(lambda folder: self._oldest(folder, limit))
        self._wants_receipt = {each["id"]: each.get("isReadReceiptRequested") is True for each in listed}
        return [
            WaitingMessage(
                each["id"], max(0, known.Properties(each).integer(known.SIZE) or 0),
                known.moment(each.get("receivedDateTime")),
            )
            for each in listed
        ]  # fmt: skip

    async def fetch(self, ref: str, largest: int) -> bytes:
        """As the port says."""
        mime = await self._connection.octets(f"{await self._message(ref)}/$value", largest)
        if not mime:
            raise RefusedError("no-mime", "Microsoft Graph gives no MIME of it")
        return as_crlf(mime)

    async def mark_read(self, ref: str) -> None:
        """As the port says; no read receipt leaves for it."""
        with suppress(ItemGoneError):
            path = await self._message(ref)
            await self._without_receipt(path, ref)
            await self._changed(path, {"isRead": True})

    async def delete(self, ref: str) -> None:
        """As the port says: at once; recoverable by its owner, unless the settings want it purged.

        Not by DELETE, of which no document says where it puts what it deletes.
        """
        with suppress(ItemGoneError):
            path = await self._message(ref)
            await self._without_receipt(path, ref)
            if self._settings.after.purge and self._knows_permanent_delete:
                # In the global cloud only (https://learn.microsoft.com/graph/api/message-permanentdelete).
                await self._connection.post(f"{path}/permanentDelete", b"")
            else:
                await self._moved(path, "recoverableitemsdeletions")

    async def move(self, ref: str, folder: str) -> None:
        """As the port says."""
        path = await self._message(ref)
        with suppress(ItemGoneError):
            try:
                await self._moved(path, await self._folders.place(folder, make=True))
            except ItemGoneError:  # the message, or the folder: that isn't told
                self._folders.forget()
                path = await self._message(ref)
                await self._look(path)
                await self._moved(path, await self._folders.place(folder, make=True))

    async def end_session(self, *, purge: bool) -> None:
        """As the port says; `delete` has done all that `purge` is about."""
        self._wants_receipt = {}
        self._folders.forget()

    async def close(self) -> None:
        """As the port says."""
        await self._connection.close()

    async def _oldest(self, folder: str, limit: int) -> list[dict[str, Any]]:
        """A property that sorts has to stand in the filter, before all others.

        https://learn.microsoft.com/graph/api/user-list-messages#using-filter-and-orderby-in-the-same-query
        """
        unread = " and isRead eq false" if self._settings.after.do == "mark-read" else ""
        top = min(_PAGE, limit)
        condition = quote(f"receivedDateTime ge {_EPOCH}{unread}", safe=":")
        path = (
            f"{folder}/messages?$filter={condition}&$orderby=receivedDateTime&$top={top}"
            f"&$select=id,receivedDateTime,isDraft,isReadReceiptRequested&$expand={_SIZE}"
        )
        found: dict[str, dict[str, Any]] = {}
        pages = limit // top + _MORE_PAGES
        async for each in self._connection.entries(path, most=pages * top, most_pages=pages):
            if isinstance(each.get("id"), str) and each.get("isDraft") is not True:
                found[each["id"]] = each
            if len(found) >= limit:
                break
        return list(found.values())

    async def _look(self, path: str) -> dict[str, Any]:
        return (await self._connection.get(f"{path}?$select=id,isReadReceiptRequested")).data

    async def _without_receipt(self, path: str, ref: str) -> None:
        """Exchange answers a request for a receipt when a message is marked as read, or deleted unread."""
        if ref not in self._wants_receipt:
            self._wants_receipt[ref] = (await self._look(path)).get("isReadReceiptRequested") is True
        if self._wants_receipt[ref]:
            await self._changed(path, {"isReadReceiptRequested": False})
            self._wants_receipt[ref] = False

    async def _changed(self, path: str, values: dict[str, Any]) -> None:
        await self._connection.patch(path, encoded(values))

    async def _moved(self, path: str, target: str) -> None:
        await self._connection.post(f"{path}/move", encoded({"destinationId": target}))

    async def _message(self, ref: str) -> str:
        return f"{await self._folder()}/messages/{quote(ref, safe='=')}"

    async def _folder(self) -> str:
        place = await self._folders.place(self._settings.folder)
        return f"{self._mailbox}/mailFolders/{quote(place, safe='=')}"

    async def _in_folder(self, request: Callable[[str], Awaitable[_T]]) -> _T:
        """A request that names no message; if the folder isn't where it was, it is looked for once more.

        Graph tells of conflicts now and then where there is nothing to conflict with.
        """
        try:
            with suppress(ItemGoneError):
                return await request(await self._folder())
            self._folders.forget()
            return await request(await self._folder())
        except ItemGoneError as exc:
            raise NoMailboxError(exc.code, exc.detail) from exc
        except ConflictError as exc:
            raise MailboxUnavailableError(exc.code, exc.detail) from exc


_COUNTS = "totalItemCount,unreadItemCount"
_SIZE = quote(known.expand(known.SIZE), safe="$=()'")
