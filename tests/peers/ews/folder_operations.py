"""Operations on folders ([MS-OXWSFOLD] 3.1.4, [MS-OXWSSRCH] 3.1.4.1)."""

from __future__ import annotations

from collections.abc import Callable

from tests.peers.ews.access import open_folder
from tests.peers.ews.calls import Call
from tests.peers.ews.errors import EwsError
from tests.peers.ews.ids import change_key
from tests.peers.ews.mailboxes import Folder, Mailbox
from tests.peers.ews.properties import path_from, tag, write_property
from tests.peers.ews.xml import Element, add, children, find, local_name, text_of

Filler = Callable[[Element], None]
_DEFAULT = (
    "folder:FolderId",
    "folder:DisplayName",
    "folder:TotalCount",
    "folder:ChildFolderCount",
    "folder:UnreadCount",
)
_ALL = (
    *_DEFAULT,
    "folder:ParentFolderId",
    "folder:FolderClass",
    "folder:EffectiveRights",
    "folder:DistinguishedFolderId",
)
_ELEMENTS = {"calendar": "t:CalendarFolder", "contacts": "t:ContactsFolder", "tasks": "t:TasksFolder"}
_FOLDER_CLASS = tag(0x3613)


def _asked(call: Call) -> tuple[set[str], list[Element]]:
    """Fields, and extended properties, of a FolderShape."""
    shape = find(call.request, "m:FolderShape")
    assert shape is not None  # the schema says so
    base = text_of(find(shape, "t:BaseShape"))
    asked = set({"IdOnly": _DEFAULT[:1], "Default": _DEFAULT}.get(base, _ALL))
    extended = []
    more = find(shape, "t:AdditionalProperties")
    for path in children(more) if more is not None else ():
        if local_name(path) == "ExtendedFieldURI":
            extended.append(path)
        elif path.get("FieldURI") in _ALL:
            asked.add(path.get("FieldURI"))
        elif not str(path.get("FieldURI")).startswith("folder:"):
            raise EwsError("ErrorInvalidPropertyRequest")
    return asked, extended


def _write(parent: Element, mailbox: Mailbox, folder: Folder, asked: set[str], extended: list[Element]) -> None:
    node = add(parent, _ELEMENTS.get(folder.distinguished, "t:Folder"))
    add(node, "t:FolderId", Id=folder.id, ChangeKey=change_key("folder", folder.change))
    if "folder:ParentFolderId" in asked and folder.parent:
        add(node, "t:ParentFolderId", Id=folder.parent, ChangeKey=change_key("folder", 1))
    if "folder:FolderClass" in asked and folder.parent:
        add(node, "t:FolderClass", folder.folder_class)
    if "folder:DisplayName" in asked:
        add(node, "t:DisplayName", folder.name)
    if "folder:TotalCount" in asked:
        add(node, "t:TotalCount", str(len(folder.items)))
    if "folder:ChildFolderCount" in asked:
        add(node, "t:ChildFolderCount", str(sum(other.parent == folder.id for other in mailbox.folders.values())))
    for path_node in extended:
        path = path_from(path_node)
        if path.key == _FOLDER_CLASS:
            write_property(node, path, folder.folder_class, nanoseconds=False, longest=None)
    if "folder:EffectiveRights" in asked:
        rights = add(node, "t:EffectiveRights")
        for name in ("CreateAssociated", "CreateContents", "CreateHierarchy", "Delete", "Modify", "Read"):
            add(rights, f"t:{name}", "true")
    if "folder:DistinguishedFolderId" in asked and folder.distinguished:
        add(node, "t:DistinguishedFolderId", folder.distinguished)
    if "folder:UnreadCount" in asked and folder.distinguished not in ("calendar", "contacts"):
        add(node, "t:UnreadCount", str(sum(not item.is_read for item in folder.items.values())))


def get_folder(call: Call) -> Element:
    asked, extended = _asked(call)

    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            mailbox, folder, _ = open_folder(node, call.caller, call.store)
            _write(add(message, "m:Folders"), mailbox, folder, asked, extended)

        return fill

    return call.answer([one(node) for node in children(find(call.request, "m:FolderIds"))], empty="m:Folders")


def find_folder(call: Call) -> Element:
    asked, extended = _asked(call)
    deep = call.request.get("Traversal") == "Deep"

    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            mailbox, folder, _ = open_folder(node, call.caller, call.store)
            found = [other for other in _below(mailbox, folder, deep=deep) if _matches(call, other)]
            start, end = _view(call, len(found))
            is_last = str(end >= len(found)).lower()
            attributes = {"TotalItemsInView": str(len(found)), "IncludesLastItemInRange": is_last}
            root = add(message, "m:RootFolder", **attributes, IndexedPagingOffset=str(end))
            folders = add(root, "t:Folders")
            for other in found[start:end]:
                _write(folders, mailbox, other, asked, extended)

        return fill

    return call.answer([one(node) for node in children(find(call.request, "m:ParentFolderIds"))])


def _view(call: Call, count: int) -> tuple[int, int]:
    """IndexedPageFolderView's part, never more than the server gives ([MS-OXWSSRCH] 2.2.4.20)."""
    view = find(call.request, "m:IndexedPageFolderView")
    if view is None:
        return 0, min(count, call.settings.largest_page)
    offset, most = int(view.get("Offset")), int(view.get("MaxEntriesReturned", call.settings.largest_page))
    if offset < 0 or most < 1 or view.get("BasePoint") != "Beginning":
        raise EwsError("ErrorInvalidPagingMaxRows" if most < 1 else "ErrorInvalidIndexedPagingParameters")
    return offset, min(offset + min(most, call.settings.largest_page), count)


def _below(mailbox: Mailbox, folder: Folder, *, deep: bool) -> list[Folder]:
    found = []
    for other in mailbox.folders.values():
        if other.parent == folder.id:
            found.append(other)
            found += _below(mailbox, other, deep=True) if deep else []
    return found


def _matches(call: Call, folder: Folder) -> bool:
    """Only by display name or class: no client of ours asks for more."""
    restriction = find(call.request, "m:Restriction")
    if restriction is None:
        return True
    test = children(restriction)[0]
    path = children(test)[0]
    constant = find(test, ".//t:Constant")
    values = {"folder:DisplayName": folder.name, "folder:FolderClass": folder.folder_class}
    uri = path.get("FieldURI")
    if local_name(test) != "IsEqualTo" or constant is None or uri not in values:
        raise EwsError("ErrorUnsupportedPathForQuery")
    return values[uri].casefold() == str(constant.get("Value")).casefold()


def create_folder(call: Call) -> Element:
    parent_node = children(find(call.request, "m:ParentFolderId"))[0]

    def one(node: Element) -> Filler:
        def fill(message: Element) -> None:
            mailbox, parent, rights = open_folder(parent_node, call.caller, call.store)
            name = text_of(find(node, "t:DisplayName"))
            if rights != "full":
                raise EwsError("ErrorAccessDenied")
            if any(other.name.casefold() == name.casefold() for other in _below(mailbox, parent, deep=False)):
                raise EwsError("ErrorFolderExists", "A folder with the specified name already exists.")
            folder = mailbox.add_folder(name, parent.id, text_of(find(node, "t:FolderClass")) or "IPF.Note")
            _write(add(message, "m:Folders"), mailbox, folder, {"folder:FolderId"}, [])

        return fill

    return call.answer([one(node) for node in children(find(call.request, "m:Folders"))], empty="m:Folders")
