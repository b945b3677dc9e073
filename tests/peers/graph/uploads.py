"""Upload sessions of large attachments (learn.microsoft.com/graph/outlook-large-attachments).

Their address is another host's, and carries its own token: whoever sends it the bearer token is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import uuid4

from tests.peers.graph.answers import GraphError, answered
from tests.peers.graph.reading import SMALLEST_SESSION, entity
from tests.peers.graph.store import Attachment, Item
from tests.peers.https import Request, Response

LARGEST_FILE = 150 * 1024 * 1024
LARGEST_RANGE = 4 * 1024 * 1024
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(slots=True)
class UploadSession:
    item: Item
    attachment: Attachment
    size: int
    app: str
    key: str = field(default_factory=lambda: uuid4().hex)
    token: str = field(default_factory=lambda: uuid4().hex)
    expires_at: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(hours=1))
    data: bytearray = field(default_factory=bytearray)

    def path(self) -> str:
        user, item = quote(self.item.mailbox.id), quote(self.item.id)
        return f"/api/v2.0/Users('{user}')/Messages('{item}')/AttachmentSessions('{self.key}')?authtoken={self.token}"

    def described(self, url: str = "") -> dict[str, object]:
        shown: dict[str, object] = {"expirationDateTime": self.expires_at.strftime("%Y-%m-%dT%H:%M:%S.0000000Z")}
        if url:
            shown["uploadUrl"] = url
        shown["nextExpectedRanges"] = [f"{len(self.data)}-" if url else f"{len(self.data)}"]
        return shown


class Uploads:
    """All sessions of a server."""

    def __init__(self) -> None:
        self.sessions: dict[str, UploadSession] = {}

    def create(self, item: Item, body: object, app: str, largest_message: int, base: str) -> Response:
        """graph/api/attachment-createuploadsession. Raises GraphError."""
        given = entity(body, "createUploadSession", {"AttachmentItem", "attachmentItem"})
        allowed = {"attachmentType", "name", "size", "contentType", "isInline", "contentId"}
        wanted = next(iter(given.values()), None)
        one = entity(wanted, "microsoft.graph.attachmentItem", allowed)
        size = one.get("size")
        if one.get("attachmentType") != "file" or not isinstance(size, int) or not one.get("name"):
            raise GraphError(400, "ErrorInvalidRequest", "attachmentType 'file', name and size are required.")
        if size < SMALLEST_SESSION:
            code = "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"
            raise GraphError(400, code, "The attachment is smaller than 3 MB: post it.")
        if size > LARGEST_FILE or item.size + size > largest_message:
            raise GraphError(413, "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.")
        item.mailbox.check_room(size)
        attachment = Attachment(
            id=f"{uuid4().hex}=",
            kind="file",
            name=str(one["name"]),
            content_type=str(one.get("contentType") or "application/octet-stream"),
            data=b"",
            content_id=str(one.get("contentId") or ""),
            is_inline=one.get("isInline") is True,
        )
        session = UploadSession(item, attachment, size, app)
        self.sessions[session.key] = session
        return answered(201, session.described(base + session.path()))

    def find(self, request: Request) -> UploadSession:
        """Raises GraphError."""
        match = re.search(r"AttachmentSessions\('([0-9a-f]+)'\)", request.path)
        session = self.sessions.get(match[1]) if match else None
        if "authorization" in request.headers:
            raise GraphError(401, "InvalidAuthenticationToken", "The upload URL is pre-authenticated; send no token.")
        if session is None or dict(request.query).get("authtoken") != session.token:
            raise GraphError(404, "ErrorItemNotFound", "The upload session was not found.")
        if session.expires_at <= datetime.now(UTC):
            del self.sessions[session.key]
            raise GraphError(401, "InvalidAuthenticationToken", "The upload session has expired.")
        if session.item.key not in session.item.mailbox.items:
            raise GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        return session

    def put(self, session: UploadSession, request: Request, base: str) -> Response:
        """The next range; with the last one the file is attached. Raises GraphError."""
        match = _RANGE.fullmatch(request.headers.get("content-range", ""))
        if match is None or not request.headers.get("content-type"):
            raise GraphError(400, "ErrorInvalidRequest", "Content-Range and Content-Type are required.")
        start, end, total = (int(number) for number in match.groups())
        if total != session.size or end - start + 1 != len(request.body) or end >= total:
            raise GraphError(400, "ErrorInvalidRequest", "Content-Range doesn't fit the content, or the session.")
        if len(request.body) > LARGEST_RANGE:
            raise GraphError(413, "ErrorInvalidRequest", "A range has at most 4 MB.")
        if start != len(session.data):
            raise GraphError(416, "ErrorInvalidRange", "Ranges go in order; ask for nextExpectedRanges.")
        session.data += request.body
        if len(session.data) < total:
            return answered(200, session.described())
        del self.sessions[session.key]
        item = session.item
        session.attachment.data = bytes(session.data)
        item.attachments.append(session.attachment)
        item.touch()
        place = session.path().partition("/AttachmentSessions")[0]
        return Response(201, b"", headers={"Location": f"{base}{place}/Attachments('{session.attachment.id}')"})
