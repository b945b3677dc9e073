"""Sent Items by Microsoft Graph: one request or few for each call of the port.

Needs the application permission Mail.ReadWrite and nothing else.

Ids are the ordinary ones, which change when an item is moved, and items are named within Sent Items: what a user has
moved elsewhere since it was found is gone for us, and stays as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from mta.adapters.mailbox.graph import properties as known
from mta.adapters.mailbox.graph import reading
from mta.adapters.mailbox.graph.attaching import LARGEST_REQUEST, attach
from mta.adapters.mailbox.graph.connection import Answer, Connection
from mta.adapters.mailbox.graph.filed import FiledMessages
from mta.adapters.mailbox.graph.properties import written_moment
from mta.adapters.mailbox.graph.writing import encoded, marked, new_attachment, new_message, stamped
from mta.config.mailbox_schema import GraphMailboxes
from mta.model.mailbox_item import FoundItem, ItemRef, Marks, NewItem, Removal, SentItem, stamped_job
from mta.model.writeback import FiledItem, FiledMark
from mta.ports.mailbox import (
    ConflictError,
    EndpointBusyError,
    ItemGoneError,
    MailboxError,
    MailboxUnavailableError,
    NoMailboxError,
    OutcomeUnknownError,
    RefusedError,
)

_T = TypeVar("_T")

_PAGE = 50
_MOST_PAGES = 40
_MOST_ATTACHMENTS = 1000
_ABANDONED = timedelta(hours=1)
"""An unfinished item that is older has no attempt that works on it."""
_PATIENCE = 3
_LONGEST_WAIT = timedelta(seconds=30)
_IN_QUERY = "$=(),'/:"
"""Stands in an address as it is."""
_UNSAFE_HTML = "outlook.allow-unsafe-html"
"""Else Graph takes out what it holds for unsafe, and the text would seem edited."""
_AS_TEXT = 'outlook.body-content-type="text"'
"""Else Graph makes HTML of plain text."""


class GraphSentItems:
    """Fulfils `mta.ports.mailbox.SentItems`."""

    can_rewrite = False
    """Changing the body of what is no draft is not documented."""

    def __init__(self, settings: GraphMailboxes) -> None:
        """Raises OSError or KeyError if a secret or a file can't be read."""
        self._client_id = settings.oauth.client_id
        self._knows_permanent_delete = settings.oauth.cloud == "global"
        self._connection = Connection(settings, connections=settings.connections)
        self._filed = FiledMessages(self._connection)

    async def sign_in(self, mailbox: str) -> str:
        """As the port says."""
        roles = await self._connection.roles()
        folder = await self._in_mailbox(self._connection.get(f"{_folder(mailbox)}?$select=id,totalItemCount"))
        count = folder.data.get("totalItemCount")
        items = f"Sent Items of {count} items" if isinstance(count, int) else "Sent Items"
        return f"Microsoft Graph at {self._connection.host}, application {self._client_id} ({roles}): {items}"

    async def primary_address(self, mailbox: str) -> str:
        """Asks whether there is such a mailbox; to be told its address would need rights to read the directory."""
        await self._in_mailbox(self._connection.get(f"{_folder(mailbox)}?$select=id"))
        return mailbox

    async def find(self, mailbox: str, message_id: str, job: str) -> Sequence[FoundItem]:
        """As the port says. Takes away what an attempt of the job left unfinished."""
        conditions = [
            f"singleValueExtendedProperties/Any(ep: ep/id eq '{known.STAMP}' and startswith(ep/value, '{job} '))"
        ]
        if message_id.isprintable() and message_id:
            conditions.insert(0, f"internetMessageId eq {_literal(message_id)}")
        found: dict[str, dict[str, Any]] = {}
        for condition in conditions:
            for message in await self._search(mailbox, condition):
                found.setdefault(reading.ref(message).id, message)
        items = []
        for message in found.values():
            item = reading.found_item(message)
            is_of_job = stamped_job(item.stamp) == job
            if not item.stamp.endswith(reading.UNFINISHED):
                # Exchange compares without regard to case.
                items += [item] if is_of_job or item.message_id == message_id else []
            elif is_of_job or _is_abandoned(message):
                with suppress(ItemGoneError):
                    await self._take_away(mailbox, item.ref, Removal.FOR_GOOD)
        return items

    async def find_similar(
        self, mailbox: str, subject: str, sent_at: datetime, within: timedelta
    ) -> Sequence[FoundItem]:
        """As the port says; subjects are compared here, so that none stands in an address."""
        first, last = written_moment(sent_at - within), written_moment(sent_at + within)
        listed = await self._search(mailbox, f"sentDateTime ge {first} and sentDateTime le {last}")
        similar = (message for message in listed if message.get("subject") == subject)
        items = (reading.found_item(message) for message in similar)
        return [item for item in items if not item.stamp.endswith(reading.UNFINISHED)]

    async def read(self, mailbox: str, ref: ItemRef) -> SentItem:
        """As the port says; without MIME, which Graph couldn't be given back.

        Of what we didn't make, the files are passed over: a name and a size say nothing of what is in them.
        """
        path = _item(mailbox, ref)
        expand = quote(known.expand(*known.ALL_READ), safe=_IN_QUERY)
        answer = await self._connection.get(
            f"{path}?$select={reading.ITEM_FIELDS}&$expand={expand}", prefer=_UNSAFE_HTML
        )
        message = answer.data
        if reading.is_plain(message):
            plain = await self._connection.get(f"{path}?$select=id,changeKey,body", prefer=_AS_TEXT)
            message = {**message, "body": plain.data.get("body")}
        listed = await self._all(
            f"{_message(mailbox, ref)}/attachments?$select={reading.ATTACHMENT_FIELDS}", _MOST_ATTACHMENTS
        )
        item = reading.sent_item(message, listed)
        if item.stamp:
            return item
        own = f"{_message(mailbox, ref)}/attachments"
        files = [await self._with_sha256(own, entry) for entry in listed]
        return replace(item, attachments=tuple(map(reading.stored_attachment, files)))

    async def _with_sha256(self, attachments: str, entry: dict[str, Any]) -> dict[str, Any]:
        """api/attachment-get: only of files, others have no octets of their own."""
        if not reading.is_file(entry):
            return entry
        path = f"{attachments}/{quote(str(entry.get('id')), safe='=')}/$value"
        with suppress(RefusedError):
            return {**entry, reading.SHA256: await self._connection.sha256(path)}
        return entry

    async def create(self, mailbox: str, item: NewItem) -> ItemRef:
        """As the port says: in one request if that is small enough; else its stamp says so until all is there."""
        path = f"{_folder(mailbox)}/messages"
        whole = self._whole(item)
        if whole is not None:
            answer = await self._in_mailbox(self._connection.post(path, whole))
            return await self._read_as_wanted(mailbox, item, answer)
        body = encoded(new_message(item, item.stamp + reading.UNFINISHED))
        if len(body) > LARGEST_REQUEST:
            raise RefusedError("too-large", "Microsoft Graph takes no text of more than 4 MB")
        answer = await self._in_mailbox(self._connection.post(path, body))
        ref = _made(answer)
        try:
            for attachment in item.attachments:
                await _patiently(partial(attach, self._connection, _message(mailbox, ref), attachment))
        except MailboxError as exc:
            raise await self._taken_back(mailbox, ref, exc) from exc
        stamp = encoded(stamped(item.stamp))
        done = await _patiently(partial(self._connection.patch, _item(mailbox, ref), stamp))
        return await self._read_as_wanted(mailbox, item, done)

    async def rewrite(self, mailbox: str, ref: ItemRef, item: NewItem) -> ItemRef:
        """Not here: `can_rewrite` is false."""
        raise RefusedError("not-supported", "Microsoft Graph changes the text of drafts only")

    async def set_marks(self, mailbox: str, ref: ItemRef, marks: Marks) -> ItemRef:
        """As the port says."""
        await self._expect_unchanged(mailbox, ref)
        answer = await self._connection.patch(_item(mailbox, ref), encoded(marked(marks)), if_match=ref.change_key)
        return _made(answer)

    async def remove(self, mailbox: str, ref: ItemRef, how: Removal, *, is_fresh: bool = False) -> None:
        """As the port says."""
        try:
            if not is_fresh:
                await self._expect_unchanged(mailbox, ref)
            await self._take_away(mailbox, ref, how)
        except ItemGoneError:
            return

    async def _take_away(self, mailbox: str, ref: ItemRef, how: Removal) -> None:
        """Not by DELETE, of which no document says where it puts what it deletes."""
        path = _item(mailbox, ref)
        if how is Removal.FOR_GOOD and self._knows_permanent_delete:
            # Into Purges; there in the global cloud only (https://learn.microsoft.com/graph/api/message-permanentdelete).
            await self._connection.post(f"{path}/permanentDelete", b"")
        else:
            folder = "deleteditems" if how is Removal.DELETED_ITEMS else "recoverableitemsdeletions"
            await self._connection.post(f"{path}/move", encoded({"destinationId": folder}))

    async def find_filed(self, mailbox: str, message_id: str) -> Sequence[FiledItem]:
        """As the port says."""
        return await self._in_mailbox(self._filed.find(mailbox, message_id))

    async def put_mark(self, mailbox: str, ref: ItemRef, mark: FiledMark) -> ItemRef:
        """As the port says, but that the body stays."""
        return await self._filed.put_mark(mailbox, ref, mark)

    async def close(self) -> None:
        """As the port says."""
        await self._connection.close()

    async def _search(self, mailbox: str, condition: str) -> list[dict[str, Any]]:
        expand = known.expand(known.STAMP, known.SUBMIT_TIME)
        first = (
            f"{_folder(mailbox)}/messages?$filter={quote(condition, safe=_IN_QUERY)}&$select={reading.FOUND_FIELDS}"
            f"&$expand={quote(expand, safe=_IN_QUERY)}&$top={_PAGE}"
        )
        return await self._in_mailbox(self._all(first, _PAGE * _MOST_PAGES))

    async def _all(self, path: str, most: int) -> list[dict[str, Any]]:
        return [entry async for entry in self._connection.entries(path, most=most, most_pages=_MOST_PAGES)]

    async def _in_mailbox(self, request: Awaitable[_T]) -> _T:
        """The outcome of a request that names no item: what isn't there is the mailbox, or its folder.

        Graph tells of conflicts now and then where there is nothing to conflict with.
        """
        try:
            return await request
        except ItemGoneError as exc:
            raise NoMailboxError(exc.code, exc.detail) from exc
        except ConflictError as exc:
            raise MailboxUnavailableError(exc.code, exc.detail) from exc

    def _whole(self, item: NewItem) -> bytes | None:
        """The request that makes the item with all attachments; None if it would be too large."""
        if sum(len(attachment.data) for attachment in item.attachments) * 4 / 3 > LARGEST_REQUEST:
            return None
        message = new_message(item, item.stamp)
        if item.attachments:
            message["attachments"] = [new_attachment(attachment) for attachment in item.attachments]
        body = encoded(message)
        return body if len(body) <= LARGEST_REQUEST else None

    async def _read_as_wanted(self, mailbox: str, item: NewItem, answer: Answer) -> ItemRef:
        """What 0x0E07 made read is unread again where the original is."""
        ref = _made(answer)
        if item.marks.is_read or answer.data.get("isRead") is not True:
            return ref
        changed = encoded({"isRead": False})
        return _made(await _patiently(partial(self._connection.patch, _item(mailbox, ref), changed)))

    async def _taken_back(self, mailbox: str, ref: ItemRef, exc: MailboxError) -> MailboxError:
        """Remove the unfinished item, as far as that works now: else the job's next search does. What to raise."""
        with suppress(MailboxError):
            await self._take_away(mailbox, ref, Removal.FOR_GOOD)
        if isinstance(exc, OutcomeUnknownError | ItemGoneError | ConflictError):
            return OutcomeUnknownError(exc.code, f"an attachment was not taken; {exc.detail}")
        return exc

    async def _expect_unchanged(self, mailbox: str, ref: ItemRef) -> None:
        """Raises ConflictError or ItemGoneError. If-Match goes along, but isn't documented for messages."""
        if ref.change_key:
            answer = await self._connection.get(f"{_item(mailbox, ref)}?$select=id,changeKey")
            if reading.ref(answer.data).change_key != ref.change_key:
                raise ConflictError("changed", "the item was changed since it was read")


async def _patiently(request: Callable[[], Awaitable[_T]]) -> _T:
    """For what finishes an item: a short pause that the server asks for is kept, so that not all is done again."""
    for _ in range(_PATIENCE):
        try:
            return await request()
        except EndpointBusyError as exc:
            if exc.retry_after is None or exc.retry_after > _LONGEST_WAIT:
                raise
            await asyncio.sleep(exc.retry_after.total_seconds())
    return await request()


def _folder(mailbox: str) -> str:
    return f"/users/{quote(mailbox, safe='@')}/mailFolders/sentitems"


def _item(mailbox: str, ref: ItemRef) -> str:
    return f"{_folder(mailbox)}/messages/{quote(ref.id, safe='=')}"


def _message(mailbox: str, ref: ItemRef) -> str:
    return f"/users/{quote(mailbox, safe='@')}/messages/{quote(ref.id, safe='=')}"


def _literal(text: str) -> str:
    """A string in an OData filter (OData 4.01 URL Conventions §5.1.1.6.1)."""
    return "'" + text.replace("'", "''") + "'"


def _made(answer: Answer) -> ItemRef:
    ref = reading.ref(answer.data)
    if not ref.id:
        raise OutcomeUnknownError("bad-answer", "the answer doesn't name the item")
    return ref


def _is_abandoned(message: dict[str, Any]) -> bool:
    created = known.moment(message.get("createdDateTime"))
    return created is not None and datetime.now(UTC) - created > _ABANDONED
