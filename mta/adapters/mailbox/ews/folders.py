"""A mailbox's folders by their paths (MS-OXWSFOLD, MS-OXWSSRCH)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

from mta.adapters.mailbox.ews.calls import Answer
from mta.adapters.mailbox.ews.names import Element, element, field, tag
from mta.adapters.mailbox.folder_path import parts_of, path_of, well_known
from mta.ports.mailbox import EndpointDownError, MailboxError, NoMailboxError

_TOP = "msgfolderroot"
_PAGE = 500
_MOST_PAGES = 20
_DEEPEST = 50
_MAIL = "ipf.note"


@dataclass(frozen=True, slots=True)
class _Found:
    id: str
    parent: str
    name: str
    folder_class: str

    @property
    def is_of_mail(self) -> bool:
        return not self.folder_class or f"{self.folder_class.lower()}.".startswith(f"{_MAIL}.")


class Folders:
    """Looked for once; remembered until `forget`."""

    def __init__(self, ask: Callable[[Element], Answer], owner: str) -> None:
        """`owner`: address of the mailbox, where it isn't that of whom the requests are for."""
        self._ask = ask
        self._owner = owner
        self._known: dict[str, Element] = {}

    def forget(self) -> None:
        self._known.clear()

    def place(self, path: str, *, make: bool = False) -> Element:
        """What names the folder in requests: FolderId or DistinguishedFolderId. Raises NoMailboxError without one."""
        if path not in self._known:
            self._known[path] = self._walk(path, make=make)
        return deepcopy(self._known[path])

    def paths(self) -> Sequence[str]:
        """Of all folders of mail, sorted."""
        found = {each.id: each for each in self._all()}
        return sorted(path_of(_names(each, found)) for each in found.values() if each.is_of_mail)

    def _walk(self, path: str, *, make: bool) -> Element:
        names = parts_of(path)
        known = well_known(names[0])
        place = self._distinguished(known or _TOP)
        for name in names[1:] if known else names:
            child = self._child(place, name)
            if child is None and make:
                child = self._made(place, name)
            if child is None:
                raise NoMailboxError("no-folder", f"the mailbox has no folder {path}")
            place = element("t:FolderId", Id=child)
        return place

    def _child(self, place: Element, name: str) -> str | None:
        """Its id. Exchange compares names without regard to case, and lets no two of them stand beside each other."""
        same = element(
            "t:IsEqualTo", field("folder:DisplayName"),
            element("t:FieldURIOrConstant", element("t:Constant", Value=name)),
        )  # fmt: skip
        request = element(
            "m:FindFolder", _shape(), _view(0), element("m:Restriction", same),
            element("m:ParentFolderIds", deepcopy(place)), Traversal="Shallow",
        )  # fmt: skip
        for each in _folders_in(self._ask(request)):
            if each.name.casefold() == name.casefold():
                return each.id
        return None

    def _made(self, place: Element, name: str) -> str | None:
        folder = element("t:Folder", element("t:FolderClass", "IPF.Note"), element("t:DisplayName", name))
        request = element("m:CreateFolder", element("m:ParentFolderId", deepcopy(place)), element("m:Folders", folder))
        try:
            for each in _folders_in(self._ask(request)):
                return each.id
        except MailboxError as exc:
            if exc.code != "ErrorFolderExists":
                raise
        return self._child(place, name)  # somebody else was quicker

    def _all(self) -> Iterator[_Found]:
        offset = 0
        for _ in range(_MOST_PAGES):
            answer = self._ask(element(
                "m:FindFolder", _shape(), _view(offset),
                element("m:ParentFolderIds", self._distinguished(_TOP)), Traversal="Deep",
            ))  # fmt: skip
            page = list(_folders_in(answer))
            yield from page
            offset += len(page)
            if not page or is_last(answer):
                return
        raise EndpointDownError("bad-answer", "it lists folders without end")

    def _distinguished(self, name: str) -> Element:
        mailbox = element("t:Mailbox", element("t:EmailAddress", self._owner)) if self._owner else None
        return element("t:DistinguishedFolderId", mailbox, Id=name)


def is_last(answer: Answer) -> bool:
    """Whether a page of a search is the last one."""
    root = answer.message.find(tag("m:RootFolder"))
    return root is None or str(root.get("IncludesLastItemInRange", "true")).lower() != "false"


def _shape() -> Element:
    fields = (field(f"folder:{name}") for name in ("ParentFolderId", "DisplayName", "FolderClass"))
    return element("m:FolderShape", element("t:BaseShape", "IdOnly"), element("t:AdditionalProperties", *fields))


def _view(offset: int) -> Element:
    return element("m:IndexedPageFolderView", MaxEntriesReturned=str(_PAGE), Offset=str(offset), BasePoint="Beginning")


def _folders_in(answer: Answer) -> Iterator[_Found]:
    for holder in answer.message.iter(tag("m:Folders"), tag("t:Folders")):
        for each in holder:
            folder_id, parent = each.find(tag("t:FolderId")), each.find(tag("t:ParentFolderId"))
            if folder_id is not None and folder_id.get("Id"):
                yield _Found(
                    folder_id.get("Id"), "" if parent is None else parent.get("Id", ""),
                    each.findtext(tag("t:DisplayName"), ""), each.findtext(tag("t:FolderClass"), ""),
                )  # fmt: skip
        return


def _names(folder: _Found, found: dict[str, _Found]) -> list[str]:
    """From the top down; a server that names a folder as its own ancestor doesn't hold us."""
    names: list[str] = []
    at: _Found | None = folder
    while at is not None and len(names) < _DEEPEST:
        names.append(at.name)
        at = found.get(at.parent)
    return names[::-1]
