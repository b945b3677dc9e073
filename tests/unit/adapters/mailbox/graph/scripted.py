"""A server that answers as a test tells it, under the address of Graph, and keeps what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mta.adapters.mailbox.graph import GraphSentItems
from mta.config.mailbox_schema import GraphMailboxes
from tests.peers.https import Authority, HttpsServer, Request, Response
from tests.peers.oauth import OAuthServer, oauth_server

MAILBOX = "ann@example.com"
Reply = Response | Callable[[Request], Response]


def of_json(value: object, status: int = 200, **headers: str) -> Response:
    return Response(status, json.dumps(value).encode(), headers={k.replace("_", "-"): v for k, v in headers.items()})


def error(status: int, code: str, **headers: str) -> Response:
    return of_json({"error": {"code": code, "message": "what was sent: top secret"}}, status, **headers)


@dataclass(slots=True)
class Scripted:
    """Answers in their turn; the last one again and again."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        self.requests.append(request)
        reply = self.replies[0] if len(self.replies) == 1 else self.replies.pop(0)
        return reply if isinstance(reply, Response) else reply(request)

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]


def adapter(oauth: OAuthServer, folder: Path, url: str, *, cloud: str = "global", **more: Any) -> GraphSentItems:
    """Of an app that has all it needs, and trusts the authority of the tests."""
    app = oauth.add_app(roles={url: ("Mail.ReadWrite",)})
    (folder / "secret").write_text(app.secret)
    settings = {
        "kind": "graph", "name": "online", "url": url, "tls": {"ca_file": str(oauth.ca_file)},
        "oauth": {
            "tenant": oauth.tenant, "client_id": app.client_id, "authority": oauth.authority_url, "cloud": cloud,
            "client_secret": {"file": str(folder / "secret")},
        },
    }  # fmt: skip
    return GraphSentItems(GraphMailboxes.model_validate(settings | more))


@contextmanager
def scripted_graph(folder: Path) -> Iterator[tuple[Scripted, OAuthServer]]:
    authority = Authority(folder)
    script = Scripted()
    with oauth_server(authority) as oauth, HttpsServer(script.answer, authority.ca) as https:
        script.url = https.url
        yield script, oauth
