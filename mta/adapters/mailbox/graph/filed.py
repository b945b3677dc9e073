"""Filed messages by Microsoft Graph: their copies below Inbox and Sent Items, and marks on them.

The link never goes into a body: Graph changes the body of drafts only
(https://learn.microsoft.com/graph/api/message-update).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from mta.adapters.mailbox import mapi
from mta.adapters.mailbox.graph import reading
from mta.adapters.mailbox.graph.connection import Connection
from mta.adapters.mailbox.graph.properties import property_of
from mta.adapters.mailbox.graph.writing import encoded
from mta.model.mailbox_item import ItemRef
from mta.model.writeback import FiledItem, FiledMark
from mta.ports.mailbox import ItemGoneError

Pages = Callable[[str, int], Awaitable[list[dict[str, Any]]]]
_COPIES_MAX = 100
_DEPTH_MAX = 30
_FIELDS = "id,changeKey,internetMessageId,parentFolderId,isDraft"
_IN_QUERY = "$=(),'/:"


class FiledMessages:
    """`pages` gives all entries of a list."""

    def __init__(self, connection: Connection, pages: Pages) -> None:
        self._connection = connection
        self._pages = pages

    async def find(self, mailbox: str, message_id: str) -> Sequence[FiledItem]:
        """Graph looks through the whole mailbox; what lies elsewhere than below Inbox and Sent Items is left out."""
        if not message_id.isprintable():
            return ()
        condition = quote(f"internetMessageId eq '{message_id.replace(chr(39), chr(39) * 2)}'", safe=_IN_QUERY)
        listed = await self._pages(f"{_user(mailbox)}/messages?$filter={condition}&$select={_FIELDS}", _COPIES_MAX)
        copies = [each for each in listed if each.get("internetMessageId") == message_id and not each.get("isDraft")]
        folders = await self._filing_folders(mailbox, {str(each.get("parentFolderId")) for each in copies})
        return [
            FiledItem(reading.ref(each), folders[place])
            for each in copies
            if (place := str(each.get("parentFolderId"))) in folders
        ]

    async def _filing_folders(self, mailbox: str, wanted: set[str]) -> Mapping[str, str]:
        """Of these folders' ids those that are Inbox, Sent Items or below, with their names."""
        if not wanted:
            return {}
        tops = {str((await self._folder(mailbox, name)).get("id")) for name in ("inbox", "sentitems")}
        found = {}
        for folder in sorted(wanted):
            name, here = "", folder
            for _ in range(_DEPTH_MAX):
                described = await self._folder(mailbox, here)
                name = name or str(described.get("displayName"))
                if here in tops:
                    found[folder] = name
                parent = str(described.get("parentFolderId") or "")
                if here in tops or parent in ("", here):
                    break
                here = parent
        return found

    async def _folder(self, mailbox: str, name: str) -> Mapping[str, Any]:
        path = f"{_user(mailbox)}/mailFolders/{quote(name, safe='=')}?$select=id,parentFolderId,displayName"
        return (await self._connection.get(path)).data

    async def put_mark(self, mailbox: str, ref: ItemRef, mark: FiledMark) -> ItemRef:
        """Categories are added to those that are there now; refused where somebody changes them in this moment."""
        path = f"{_user(mailbox)}/messages/{quote(ref.id, safe='=')}"
        now = (await self._connection.get(f"{path}?$select=id,changeKey,categories")).data
        present = [each for each in now.get("categories") or () if isinstance(each, str)]
        change: dict[str, Any] = {}
        if mark.category and mark.category.lower() not in {each.lower() for each in present}:
            change["categories"] = [*present, mark.category]
        if properties := [*_properties(mark)]:
            change["singleValueExtendedProperties"] = properties
        if not change:
            return reading.ref(now)
        answer = await self._connection.patch(path, encoded(change), if_match=reading.ref(now).change_key)
        made = reading.ref(answer.data)
        if not made.id:
            raise ItemGoneError("bad-answer", "the answer doesn't name the item")
        return made


def _properties(mark: FiledMark) -> Sequence[dict[str, str]]:
    named = {**mark.columns, **({mapi.LINK_NAME: mark.link} if mark.link else {})}
    return [
        property_of(f"{mapi.column_type(value)} {{{mapi.PUBLIC_STRINGS}}} Name {name}", mapi.column_text(value))
        for name, value in named.items()
    ]


def _user(mailbox: str) -> str:
    return f"/users/{quote(mailbox, safe='@')}"
