"""One request at one mailbox, as operations see it."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from tests.peers.graph.answers import GraphError, not_found
from tests.peers.graph.routes import Route
from tests.peers.graph.settings import Settings
from tests.peers.graph.store import Item, Mailbox
from tests.peers.graph.uploads import Uploads
from tests.peers.https import Request


@dataclass(frozen=True, slots=True)
class Call:
    """One request at one mailbox."""

    request: Request
    route: Route
    mailbox: Mailbox
    app: str
    settings: Settings
    uploads: Uploads
    base: str
    """`https://localhost:PORT/v1.0`"""
    upload_base: str
    everybody: dict[str, Mailbox]
    """All mailboxes, by user principal name in lower case."""

    @property
    def url(self) -> str:
        return f"{self.base}/users/{self.mailbox.id}"

    @property
    def item(self) -> Item:
        item = self.mailbox.item(self.route.item)
        if (
            self.settings.checks_folder
            and self.route.folder
            and item.folder is not self.mailbox.folder(self.route.folder)
        ):
            raise not_found()
        return item

    def query(self, allowed: set[str]) -> dict[str, str]:
        """Raises GraphError for an option that isn't there, or is there twice."""
        found: dict[str, str] = {}
        for name, value in self.request.query:
            if name not in allowed or name in found:
                text = f"The query parameter '{name}' is not supported here, or given twice."
                raise GraphError(400, "ErrorInvalidUrlQuery", text)
            found[name] = value
        return found

    def body(self) -> Any:
        """The JSON. Raises GraphError."""
        if not self.request.headers.get("content-type", "").lower().startswith("application/json"):
            raise GraphError(415, "UnsupportedMediaType", "Content-Type has to be application/json.")
        if not self.request.body:
            raise GraphError(400, "BadRequest", "Empty Payload. JSON content expected.")
        try:
            return json.loads(self.request.body)
        except ValueError as error:
            raise GraphError(400, "BadRequest", "Unable to read JSON request payload.") from error

    @property
    def is_mime(self) -> bool:
        return self.request.headers.get("content-type", "").lower().startswith("text/plain")

    def mime(self) -> bytes:
        """graph/outlook-send-mime-message: base64. Raises GraphError."""
        try:
            return base64.b64decode(self.request.body, validate=True)
        except binascii.Error as error:
            text = "Invalid base64 string for MIME content."
            raise GraphError(400, "ErrorMimeContentInvalidBase64String", text) from error

    def check_version(self, item: Item) -> None:
        """If-Match (RFC 9110 §13.1.1). Raises GraphError."""
        wanted = self.request.headers.get("if-match", "*")
        if self.settings.honours_if_match and wanted not in ("*", f'W/"{item.change_key}"'):
            text = "The change key passed in the request does not match the current change key for the item."
            raise GraphError(412, "ErrorIrresolvableConflict", text)
