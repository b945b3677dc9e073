"""Answers as Microsoft Graph words them (learn.microsoft.com/graph/errors)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tests.peers.https import Response

_TYPE = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"


class GraphError(Exception):
    """A refusal: HTTP status, Graph's code, and a sentence."""

    def __init__(self, status: int, code: str, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.code, self.text, self.headers = status, code, text, headers or {}

    def response(self) -> Response:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        inner = {"date": moment, "request-id": str(uuid4()), "client-request-id": str(uuid4())}
        body = {"error": {"code": self.code, "message": self.text, "innerError": inner}}
        return Response(self.status, json.dumps(body).encode(), "application/json", self.headers)


def answered(status: int, value: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(status, json.dumps(value).encode(), _TYPE, headers or {})


def bad_body(text: str) -> GraphError:
    """What the OData reader says of JSON that doesn't fit the type."""
    return GraphError(400, "RequestBodyRead", text)


def not_found() -> GraphError:
    return GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
