"""Microsoft 365 as the test server of Microsoft Graph has it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import trustme

from mta.adapters.outgoing import open_account
from mta.config.tracking_schema import GraphAccount
from mta.ports.outgoing import MailAccount
from tests.contract.accounts.harness import SENDER, Arrived, Fault
from tests.peers.graph import AUDIENCE, graph_server
from tests.peers.https import Authority
from tests.peers.oauth import oauth_server

_numbers = count(1)


class Graph:
    """Fulfils `Harness`."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="graph-accounts-")))
        self._authority = Authority(self._folder)
        trustme.CA().cert_pem.write_to_path(str(self._folder / "other.pem"))
        self.oauth = self._stack.enter_context(oauth_server(self._authority))
        self.app = self.oauth.add_app(roles={AUDIENCE: ("Mail.Send",)})
        self.server = self._stack.enter_context(graph_server(self.oauth, self._authority))
        self.server.add_mailbox(SENDER)

    def open(self, **settings: Any) -> MailAccount:
        own = {
            "kind": "graph", "name": "cloud", "url": self.server.url, "oauth": self._oauth(self.app.secret),
            "senders": [SENDER], "timeout": "20s", "tls": {"ca_file": str(self._authority.file)},
        }  # fmt: skip
        return open_account(GraphAccount.model_validate(own | settings), hostname="relay.example.com")

    def _oauth(self, secret: str) -> dict[str, Any]:
        file = self._folder / f"secret{next(_numbers)}"
        file.write_text(secret)
        return {
            "tenant": self.oauth.tenant, "client_id": self.app.client_id, "client_secret": {"file": str(file)},
            "authority": self.oauth.authority_url, "scope": f"{AUDIENCE}/.default",
        }  # fmt: skip

    def arrived(self) -> Sequence[Arrived]:
        return [Arrived(each.recipients, _without_bcc(each.mime)) for each in self.server.sent()]

    def fault(self, fault: Fault) -> AbstractContextManager[MailAccount]:
        settings: dict[Fault, dict[str, Any]] = {
            Fault.SECRET: {"oauth": self._oauth("wrong-secret")},
            Fault.UNTRUSTED: {"tls": {"ca_file": str(self._folder / "other.pem")}},
            Fault.DOWN: {"url": "https://localhost:9"},
        }
        return self._at(self.open(**settings.get(fault, {})), fault)

    @contextmanager
    def _at(self, account: MailAccount, fault: Fault) -> Iterator[MailAccount]:
        if fault is Fault.BUSY:
            self.server.fail("busy", operation="send", retry_after="120")
        if fault is Fault.REFUSES:
            self.server.fail("code", operation="send", status=400, code="ErrorInvalidRecipients")
        yield account
        self.server.heal()

    def close(self) -> None:
        self._stack.close()


def _without_bcc(message: bytes) -> bytes:
    """As Exchange sends it on."""
    first, _, rest = message.partition(b"\r\n")
    return rest if first.startswith(b"Bcc:") else message
