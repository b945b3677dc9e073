"""Which operation a request is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.peers.graph.answers import GraphError
from tests.peers.https import Request

_PATHS: tuple[tuple[str, dict[str, str]], ...] = (
    (r"", {"GET": "get-user"}),
    (r"/sendMail", {"POST": "send"}),
    (r"/mailFolders", {"GET": "list-folders", "POST": "create-folder"}),
    (r"/mailFolders/(?P<folder>[^/]+)", {"GET": "get-folder"}),
    (r"/mailFolders/(?P<folder>[^/]+)/childFolders", {"GET": "list-folders", "POST": "create-folder"}),
    (r"(?:/mailFolders/(?P<folder>[^/]+))?/messages", {"GET": "list", "POST": "create"}),
    (r"(?:/mailFolders/(?P<folder>[^/]+))?/messages/(?P<item>[^/]+)",
     {"GET": "get", "PATCH": "update", "DELETE": "delete"}),
    (r"(?:/mailFolders/(?P<folder>[^/]+))?/messages/(?P<item>[^/]+)/\$value", {"GET": "get-mime"}),
    (r"(?:/mailFolders/(?P<folder>[^/]+))?/messages/(?P<item>[^/]+)/(?P<action>move|copy|permanentDelete)",
     {"POST": "{action}"}),
    (r"(?:/mailFolders/(?P<folder>[^/]+))?/messages/(?P<item>[^/]+)/attachments",
     {"GET": "list-attachments", "POST": "attach"}),
    (r"(?:/mailFolders/(?P<folder>[^/]+))?/messages/(?P<item>[^/]+)/attachments/createUploadSession",
     {"POST": "create-upload"}),
    (r"(?:/mailFolders/(?P<folder>[^/]+))?/messages/(?P<item>[^/]+)/attachments/(?P<attachment>[^/]+)",
     {"GET": "get-attachment", "DELETE": "delete-attachment"}),
    (r"(?:/mailFolders/(?P<folder>[^/]+))?/messages/(?P<item>[^/]+)/attachments/(?P<attachment>[^/]+)/\$value",
     {"GET": "get-attachment-content"}),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern), methods) for pattern, methods in _PATHS)
_UPLOAD = {"PUT": "upload", "GET": "get-upload", "DELETE": "delete-upload"}


@dataclass(frozen=True, slots=True)
class Route:
    operation: str
    """`create`, `list`, …; `?` where there is none."""
    user: str = ""
    folder: str = ""
    item: str = ""
    attachment: str = ""


def route(request: Request) -> Route:
    """Raises GraphError."""
    parts = request.segments
    if parts[:2] == ("api", "v2.0"):
        return Route(_method(request, _UPLOAD))
    if parts[:1] != ("v1.0",):
        raise GraphError(400, "BadRequest", "Invalid version")
    if parts[1:2] != ("users",):
        raise GraphError(400, "BadRequest", f"Resource not found for the segment '{'/'.join(parts[1:2])}'.")
    if len(parts) == 2:
        return Route(_method(request, {"GET": "find-users"}))
    rest = "".join(f"/{part}" for part in parts[3:] if "/" not in part)
    for pattern, methods in _COMPILED:
        match = pattern.fullmatch(rest)
        if match is not None:
            found = {name: text or "" for name, text in match.groupdict().items()}
            operation = _method(request, methods).format(**found)
            return Route(
                operation, parts[2], found.get("folder", ""), found.get("item", ""), found.get("attachment", "")
            )
    raise GraphError(400, "BadRequest", f"Resource not found for the segment '{parts[-1]}'.")


def _method(request: Request, methods: dict[str, str]) -> str:
    if request.method not in methods:
        raise GraphError(405, "BadRequest", "Specified HTTP method is not allowed for the request target.")
    return methods[request.method]
