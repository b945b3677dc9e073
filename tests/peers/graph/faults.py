"""Faults that tests order: which of the next requests go wrong, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.peers.graph.answers import GraphError
from tests.peers.https import Response

FaultKind = Literal["code", "busy", "status", "html", "garbage", "empty", "truncated", "reset", "drop", "hang", "slow"]
"""`code`: Graph's answer with `status` and `code`. `busy`: 429 with Retry-After. `status`: that status with a page of
HTML, as a gateway has it. `html`, `garbage`, `empty`, `truncated`: that instead of the answer, everything is done.
`reset`: the connection ends before anything is done. `drop`: everything is done, and the connection ends. `hang`: done,
but never answered. `slow`: answered `delay_s` later."""
_PAGE = b"<!DOCTYPE html><html><body><h1>Our services aren't available right now</h1></body></html>"


@dataclass(slots=True)
class Fault:
    kind: FaultKind
    times: int = 1
    after: int = 0
    operation: str = ""
    mailbox: str = ""
    code: str = ""
    status: int = 503
    retry_after: str = ""
    delay_s: float = 0

    def strikes(self, operation: str, mailbox: str) -> bool:
        """Whether this request goes wrong; counts it."""
        if self.times == 0 or (self.operation and operation not in self.operation.split()):
            return False
        if self.mailbox and self.mailbox.lower() != mailbox.lower():
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True

    def before(self) -> Response | None:
        """What is answered without doing anything; None: the request is carried out."""
        headers = {"Retry-After": self.retry_after} if self.retry_after else {}
        match self.kind:
            case "reset":
                return Response(is_dropped=True)
            case "busy":
                headers = headers or {"Retry-After": "10"}
                return GraphError(429, self.code or "TooManyRequests", "Too many requests.", headers).response()
            case "code":
                return GraphError(self.status, self.code or "UnknownError", "", headers).response()
            case "status":
                return Response(self.status, _PAGE, "text/html", headers)
            case _:
                return None

    def after_all(self, answer: Response) -> Response:
        """What is answered when everything is done."""
        match self.kind:
            case "html":
                return Response(200, _PAGE, "text/html")
            case "garbage":
                return Response(answer.status, b'{"value": [\xff\xfe', answer.content_type)
            case "empty":
                return Response(answer.status, b"", answer.content_type)
            case "truncated":
                return Response(answer.status, answer.body, answer.content_type, is_truncated=True)
            case "drop":
                return Response(is_dropped=True)
            case _:
                return answer
