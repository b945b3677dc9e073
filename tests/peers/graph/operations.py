"""What each request does to a mailbox (learn.microsoft.com/graph/api, v1.0)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from tests.peers.graph.answers import GraphError, answered, bad_body, not_found
from tests.peers.graph.call import Call
from tests.peers.graph.filters import compiled, sorting
from tests.peers.graph.mime import mime_of, read_mime
from tests.peers.graph.reading import attachment_of, change, entity, make
from tests.peers.graph.sending import send
from tests.peers.graph.store import PURGES, Attachment, Folder, Item, Person
from tests.peers.graph.writing import View, attachment_fields, attachment_json, message_json, view_of
from tests.peers.https import Response

_LIST_OPTIONS = {"$top", "$skip", "$skiptoken", "$select", "$expand", "$filter", "$orderby", "$count"}
_GET_OPTIONS = {"$select", "$expand"}
_FOLDER_OPTIONS = {"$top", "$skip", "$skiptoken", "$select", "$filter", "includeHiddenFolders"}
_FOLDER_FILTER = re.compile(r"displayName eq '((?:[^']|'')*)'")


def _shown(status: int, item: Item, call: Call, view: View | None = None) -> Response:
    view = view or view_of({}, call.request.headers, call.url)
    context = f"{call.base}/$metadata#users('{call.mailbox.id}')/messages/$entity"
    return answered(status, {"@odata.context": context, **message_json(item, view)}, _applied(view))


def _applied(view: View) -> dict[str, str]:
    return {"Preference-Applied": ", ".join(view.applied)} if view.applied else {}


def _get(call: Call) -> Response:
    return _shown(200, call.item, call, view_of(call.query(_GET_OPTIONS), call.request.headers, call.url))


def _get_mime(call: Call) -> Response:
    return Response(200, mime_of(call.item), "text/plain")


def _list(call: Call) -> Response:
    """api/user-list-messages: 10 on a page unless $top says otherwise, at most 1000."""
    query = call.query(_LIST_OPTIONS)
    view = view_of(query, call.request.headers, call.url)
    test, named = compiled(query.get("$filter", ""))
    found = [item for item in call.mailbox.listed(_folder(call)) if test(item)]
    for key, downwards in reversed(sorting(query.get("$orderby", ""), named)):
        found.sort(key=key, reverse=downwards)
    answer: dict[str, Any] = {"@odata.context": f"{call.base}/$metadata#users('{call.mailbox.id}')/messages"}
    if query.get("$count") == "true":
        answer["@odata.count"] = len(found)
    answer |= _paged(call, query, found)
    answer["value"] = [message_json(item, view) for item in answer["value"]]
    return answered(200, answer, _applied(view))


def _paged(call: Call, query: dict[str, str], found: list[Any]) -> dict[str, Any]:
    """A page of them, and where the next one is."""
    start = _number(query, "$skiptoken", 0) + _number(query, "$skip", 0)
    top = _number(query, "$top", 10)
    if not 1 <= top <= 1000:
        raise GraphError(400, "ErrorInvalidUrlQuery", "$top is from 1 to 1000.")
    end = start + min(top, call.settings.page)
    answer: dict[str, Any] = {"value": found[start:end]}
    if end < len(found):
        kept = {name: value for name, value in query.items() if name not in ("$skip", "$skiptoken")}
        root = call.settings.next_page_at or call.base.removesuffix("/v1.0")
        answer["@odata.nextLink"] = f"{root}{call.request.path}?{urlencode({**kept, '$skiptoken': end})}"
    return answer


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdigit():
        raise GraphError(400, "ErrorInvalidUrlQuery", f"{name} is a number.")
    return int(text)


def _folder(call: Call) -> Folder | None:
    return call.mailbox.folder(call.route.folder) if call.route.folder else None


def _create(call: Call) -> Response:
    """api/mailfolder-post-messages; MIME as base64 makes drafts, always (graph/outlook-send-mime-message)."""
    item = Item(call.mailbox, _folder(call) or call.mailbox.folders["drafts"])
    if call.is_mime:
        read_mime(item, call.mime())
    else:
        make(item, call.body())
    owner = Person(call.mailbox.name, call.mailbox.address)
    item.author = item.author or owner
    item.sender = item.sender or item.author
    if item.size > call.settings.largest_message:
        raise GraphError(413, "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.")
    return _shown(201, call.mailbox.add(item), call)


def _update(call: Call) -> Response:
    item = call.item
    call.check_version(item)
    was_read, wants_receipt = item.is_read, item.wants_receipt
    change(item, call.body(), rewrites_sent=call.settings.rewrites_sent)
    if item.is_read and not was_read and wants_receipt:
        item.tell_sender("read")
    item.touch()
    return _shown(200, item, call)


def _delete(call: Call) -> Response:
    item = call.item
    call.check_version(item)
    item.deleted()
    call.mailbox.move(item, call.mailbox.folders[call.settings.delete_goes_to])
    return Response(204)


def _permanent_delete(call: Call) -> Response:
    """api/message-permanentdelete: into Purges, which no client sees."""
    item = call.item
    item.deleted()
    call.mailbox.move(item, call.mailbox.folders[PURGES])
    return Response(204)


def _destination(call: Call) -> Folder:
    given = entity(call.body(), "move", {"destinationId", "DestinationId"})
    wanted = next(iter(given.values()), None)
    if not isinstance(wanted, str):
        raise bad_body("destinationId is required.")
    return call.mailbox.folder(wanted)


def _move(call: Call) -> Response:
    item, target = call.item, _destination(call)
    if target.name in ("deleteditems", "recoverableitemsdeletions"):
        item.deleted()
    return _shown(201, call.mailbox.move(item, target), call)


def _copy(call: Call) -> Response:
    item = call.item
    return _shown(201, call.mailbox.copy(item, _destination(call)), call)


def _list_attachments(call: Call) -> Response:
    fields = attachment_fields(call.query({"$select", "$top"}).get("$select", ""))
    return answered(200, {"value": [attachment_json(one, fields) for one in call.item.attachments]})


def _attach(call: Call) -> Response:
    item, attachment = call.item, attachment_of(call.body())
    if item.size + attachment.size > call.settings.largest_message:
        raise GraphError(413, "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.")
    call.mailbox.check_room(attachment.size)
    item.attachments.append(attachment)
    item.touch()
    return answered(201, attachment_json(attachment))


def _create_upload(call: Call) -> Response:
    largest = call.settings.largest_message
    return call.uploads.create(call.item, call.body(), call.app, largest, call.upload_base)


def _attachment(call: Call) -> Attachment:
    for one in call.item.attachments:
        if one.id == call.route.attachment:
            return one
    raise not_found()


def _get_attachment(call: Call) -> Response:
    return answered(200, attachment_json(_attachment(call)))


def _get_attachment_content(call: Call) -> Response:
    one = _attachment(call)
    return Response(200, one.data, one.content_type)


def _delete_attachment(call: Call) -> Response:
    item = call.item
    item.attachments.remove(_attachment(call))
    item.touch()
    return Response(204)


def _folder_json(call: Call, folder: Folder) -> dict[str, Any]:
    inside = [item for item in call.mailbox.items.values() if item.folder is folder]
    return {
        "id": folder.id,
        "displayName": folder.shown,
        "parentFolderId": call.mailbox.folders[folder.parent or folder.name].id,
        "childFolderCount": len(call.mailbox.children(folder)),
        "unreadItemCount": sum(not item.is_read for item in inside),
        "totalItemCount": len(inside),
        "isHidden": folder.is_hidden,
    }


def _get_folder(call: Call) -> Response:
    return answered(200, _folder_json(call, call.mailbox.folder(call.route.folder)))


def _list_folders(call: Call) -> Response:
    """api/user-list-mailfolders: 10 on a page unless $top says otherwise; hidden ones only where they are asked for."""
    query = call.query(_FOLDER_OPTIONS)
    wanted = _FOLDER_FILTER.fullmatch(query.get("$filter", ""))
    if "$filter" in query and wanted is None:
        raise GraphError(400, "ErrorInvalidUrlQueryFilter", "The filter is not supported here.")
    inside = [
        one for one in call.mailbox.children(_folder(call) or call.mailbox.folders["msgfolderroot"])
        if (not one.is_hidden or query.get("includeHiddenFolders") == "true")
        and (wanted is None or one.shown.casefold() == wanted[1].replace("''", "'").casefold())
    ]  # fmt: skip
    fields = tuple(name.strip() for name in query.get("$select", "").split(",") if name.strip())
    shown = [_folder_json(call, one) for one in inside]
    chosen = [{name: one[name] for name in ("id", *fields)} if fields else one for one in shown]
    return answered(200, _paged(call, query, chosen))


def _create_folder(call: Call) -> Response:
    """api/user-post-mailfolders, api/mailfolder-post-childfolders."""
    given = entity(call.body(), "microsoft.graph.mailFolder", {"displayName", "isHidden"})
    shown = given.get("displayName")
    if not isinstance(shown, str) or not shown.strip():
        raise GraphError(400, "ErrorInvalidArgument", "displayName is required.")
    folder = call.mailbox.make_folder(shown, _folder(call) or call.mailbox.folders["msgfolderroot"])
    folder.is_hidden = given.get("isHidden") is True
    return answered(201, _folder_json(call, folder))


OPERATIONS: dict[str, Callable[[Call], Response]] = {
    "attach": _attach,
    "copy": _copy,
    "create": _create,
    "create-folder": _create_folder,
    "create-upload": _create_upload,
    "delete": _delete,
    "delete-attachment": _delete_attachment,
    "get": _get,
    "get-attachment": _get_attachment,
    "get-attachment-content": _get_attachment_content,
    "get-folder": _get_folder,
    "get-mime": _get_mime,
    "list": _list,
    "list-attachments": _list_attachments,
    "list-folders": _list_folders,
    "move": _move,
    "permanentDelete": _permanent_delete,
    "send": send,
    "update": _update,
}
WRITES = frozenset({"Mail.ReadWrite"})
PERMISSIONS: dict[str, frozenset[str]] = {
    **{name: WRITES | {"Mail.Read"} for name in OPERATIONS if name.startswith(("get", "list"))},
    "send": frozenset({"Mail.Send"}),
}
"""Which of them is enough; of all others those that `WRITES`."""
