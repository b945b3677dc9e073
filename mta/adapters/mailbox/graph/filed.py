"""Filed messages by Microsoft Graph: their copies below Inbox and Sent Items, and marks on them.

The link never goes into a body: Graph changes the body of drafts only
(https://learn.microsoft.com/graph/api/message-update).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from mta.adapters.mailbox import mapi
from mta.adapters.mailbox.graph import reading
from mta.adapters.mailbox.graph.connection import Connection
from mta.adapters.mailbox.graph.properties import property_of
from mta.adapters.mailbox.graph.writing import encoded
from mta.model.mailbox_item import ItemRef
from mta.model.writeback import FiledItem, FiledMark
from mta.ports.mailbox import ItemGoneError, NoMailboxError, OutcomeUnknownError

REMEMBERED_S = 300.0
"""How long a mailbox's folders are taken to be the same: of one message several marks follow each other."""
_REMEMBERED_MAX = 1000
_TOPS = ("inbox", "sentitems")
_COPIES_MAX = 100
_PAGES_MAX = 10
_DEPTH_MAX = 30
_FIELDS = "id,changeKey,internetMessageId,parentFolderId"
_IN_QUERY = "$=(),'/:"


class _Folders:
    """Of one mailbox, as far as they were asked for."""

    def __init__(self) -> None:
        self.until = time.monotonic() + REMEMBERED_S
        self.tops: frozenset[str] = frozenset()
        """Ids of Inbox and Sent Items."""
        self.known: dict[str, tuple[str, str]] = {}
        """Name and parent by id."""


class FiledMessages:
    """Finds and marks, over an endpoint's connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._folders: dict[str, _Folders] = {}
        """By mailbox."""

    async def find(self, mailbox: str, message_id: str) -> Sequence[FiledItem]:
        """Graph looks through the whole mailbox; what lies elsewhere than below Inbox and Sent Items is left out."""
        if not message_id.isprintable():
            return ()
        found, folders = [], self._folders_of(mailbox)
        for each in await self._copies(mailbox, message_id):
            place = str(each.get("parentFolderId"))
            if await self._is_filing(mailbox, folders, place):
                found.append(FiledItem(reading.ref(each), folders.known.get(place, ("", ""))[0]))
        return found

    async def _copies(self, mailbox: str, message_id: str) -> list[Mapping[str, Any]]:
        """No more than a loop would make; Exchange compares without regard to case."""
        condition = quote(f"internetMessageId eq '{message_id.replace(chr(39), chr(39) * 2)}'", safe=_IN_QUERY)
        path = f"{_user(mailbox)}/messages?$filter={condition}&$select={_FIELDS}&$top={_COPIES_MAX}"
        copies: list[Mapping[str, Any]] = []
        async for each in self._connection.entries(path, most=_COPIES_MAX * _PAGES_MAX, most_pages=_PAGES_MAX):
            if each.get("internetMessageId") == message_id and reading.ref(each).id:
                copies.append(each)
            if len(copies) >= _COPIES_MAX:
                break
        return copies

    async def _is_filing(self, mailbox: str, folders: _Folders, folder: str) -> bool:
        """Whether it is Inbox, Sent Items, or below; no folder that is gone is."""
        if not folders.tops:
            folders.tops = frozenset([await self._ask(mailbox, folders, name) for name in _TOPS])
        for _ in range(_DEPTH_MAX):
            if folder in folders.tops:
                return True
            if folder not in folders.known:
                try:
                    folder = await self._ask(mailbox, folders, folder)
                except (ItemGoneError, NoMailboxError):
                    return False
            parent = folders.known[folder][1]
            if parent in ("", folder):
                return False
            folder = parent
        return False

    async def _ask(self, mailbox: str, folders: _Folders, name: str) -> str:
        """The folder's id; what else is told of it is remembered."""
        path = f"{_user(mailbox)}/mailFolders/{quote(name, safe='=')}?$select=id,parentFolderId,displayName"
        told = (await self._connection.get(path)).data
        identity = str(told.get("id") or name)
        folders.known[identity] = str(told.get("displayName")), str(told.get("parentFolderId") or "")
        return identity

    def _folders_of(self, mailbox: str) -> _Folders:
        found = self._folders.get(mailbox)
        if found is None or time.monotonic() >= found.until:
            if len(self._folders) >= _REMEMBERED_MAX:
                self._folders.clear()
            found = self._folders[mailbox] = _Folders()
        return found

    async def put_mark(self, mailbox: str, ref: ItemRef, mark: FiledMark) -> ItemRef:
        """Categories are added to those that are there now; refused where somebody changes them in this moment."""
        path = f"{_user(mailbox)}/messages/{quote(ref.id, safe='=')}"
        now = (await self._connection.get(f"{path}?$select=id,changeKey,categories")).data
        categories = now.get("categories")
        present = [each for each in categories if isinstance(each, str)] if isinstance(categories, list) else []
        change: dict[str, Any] = {}
        if mark.category and mark.category.lower() not in {each.lower() for each in present}:
            change["categories"] = [*present, mark.category]
        if properties := _properties(mark):
            change["singleValueExtendedProperties"] = properties
        if not change:
            return reading.ref(now)
        answer = await self._connection.patch(path, encoded(change), if_match=reading.ref(now).change_key)
        made = reading.ref(answer.data)
        if not made.id:
            raise OutcomeUnknownError("bad-answer", "the answer doesn't name the item")
        return made


def _properties(mark: FiledMark) -> list[dict[str, str]]:
    """Named properties with their values, the link among them."""
    named = {**mark.columns, **({mapi.LINK_NAME: mark.link} if mark.link else {})}
    return [
        property_of(f"{mapi.column_type(value)} {{{mapi.PUBLIC_STRINGS}}} Name {name}", mapi.column_text(value))
        for name, value in named.items()
    ]


def _user(mailbox: str) -> str:
    return f"/users/{quote(mailbox, safe='@')}"
