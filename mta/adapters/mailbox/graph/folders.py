"""A mailbox's folders by their paths (https://learn.microsoft.com/graph/api/resources/mailfolder)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import quote

from mta.adapters.mailbox.folder_path import parts_of, path_of, well_known
from mta.adapters.mailbox.graph.connection import Connection
from mta.adapters.mailbox.graph.writing import encoded
from mta.ports.mailbox import MailboxError, NoMailboxError

_PAGE = 100
_MOST_PAGES = 20
_MOST_FOLDERS = 1000
_DEEPEST = 50
_TOP = ""


class Folders:
    """Looked for once; remembered until `forget`."""

    def __init__(self, connection: Connection, mailbox: str) -> None:
        """`mailbox` is its quoted address, `/users/ann@example.com`."""
        self._connection = connection
        self._mailbox = mailbox
        self._known: dict[str, str] = {}

    def forget(self) -> None:
        self._known.clear()

    async def place(self, path: str, *, make: bool = False) -> str:
        """What names the folder in requests: its id, or a well-known name. Raises NoMailboxError without one."""
        if path not in self._known:
            self._known[path] = await self._walk(path, make=make)
        return self._known[path]

    async def paths(self) -> Sequence[str]:
        """Of all folders of mail, sorted; of a mailbox that has more than is sensible the first ones."""
        found: list[tuple[str, ...]] = []
        above: list[tuple[str, tuple[str, ...]]] = [(_TOP, ())]
        while above and len(found) < _MOST_FOLDERS:
            place, names = above.pop()
            async for each in self._below(place):
                child = (*names, _text(each, "displayName"))
                found.append(child)
                if each.get("childFolderCount") != 0 and len(child) < _DEEPEST:
                    above.append((_text(each, "id"), child))
        return sorted(map(path_of, found))

    async def _walk(self, path: str, *, make: bool) -> str:
        names = parts_of(path)
        place = well_known(names[0]) or _TOP
        for name in names[1:] if place else names:
            child = await self._child(place, name)
            if not child and make:
                child = await self._made(place, name)
            if not child:
                raise NoMailboxError("no-folder", f"the mailbox has no folder {path}")
            place = child
        return place

    async def _child(self, place: str, name: str) -> str:
        """Its id, or "". Exchange lets no two names stand beside each other that differ in case alone."""
        async for each in self._below(place):
            if _text(each, "displayName").casefold() == name.casefold():
                return _text(each, "id")
        return ""

    async def _made(self, place: str, name: str) -> str:
        try:
            answer = await self._connection.post(self._list(place), encoded({"displayName": name}))
        except MailboxError as exc:
            if exc.code != "ErrorFolderExists":
                raise
            return await self._child(place, name)  # somebody else was quicker
        return _text(answer.data, "id")

    def _below(self, place: str) -> AsyncIterator[dict[str, Any]]:
        return self._connection.entries(
            f"{self._list(place)}?$select=id,displayName,childFolderCount&$top={_PAGE}",
            most=_PAGE * _MOST_PAGES, most_pages=_MOST_PAGES,
        )  # fmt: skip

    def _list(self, place: str) -> str:
        return f"{self._mailbox}/mailFolders" + (f"/{quote(place, safe='=')}/childFolders" if place else "")


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
