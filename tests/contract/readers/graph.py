"""Exchange Online as the test server of Microsoft Graph has it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import trustme

from mta.adapters.mailbox import open_reader
from mta.config.tracking_schema import GraphMailbox
from mta.ports.mailbox_reader import MailboxReader
from tests.contract.readers.harness import Fault, Lying, Trait
from tests.peers.graph import AUDIENCE, GraphServer, graph_server
from tests.peers.https import Authority
from tests.peers.oauth import oauth_server

_BEGINNING = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
_numbers = count(1)


class Graph:
    """Fulfils `Harness`."""

    traits = frozenset({Trait.FOLDERS})
    faults = frozenset(Fault)

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="graph-readers-")))
        self._authority = Authority(self._folder)
        self.oauth = self._stack.enter_context(oauth_server(self._authority))
        self.app = self.oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)})
        self.server: GraphServer = self._stack.enter_context(graph_server(self.oauth, self._authority))
        trustme.CA().cert_pem.write_to_path(str(self._folder / "other.pem"))

    def add_mailbox(self) -> str:
        address = f"desk{next(_numbers)}@example.com"
        self.server.add_mailbox(address)
        return address

    def open(self, mailbox: str, **settings: Any) -> MailboxReader:
        own = {
            "kind": "graph", "name": "desk", "address": mailbox, "url": self.server.url,
            "oauth": self.oauth_of(self.app.secret), "tls": {"ca_file": str(self._authority.file)},
        }  # fmt: skip
        return open_reader(GraphMailbox.model_validate(own | settings), set_aside_folder=self._folder / "aside")

    def oauth_of(self, secret: str) -> dict[str, Any]:
        file = self._folder / f"secret{next(_numbers)}"
        file.write_text(secret)
        return {
            "tenant": self.oauth.tenant, "client_id": self.app.client_id, "client_secret": {"file": str(file)},
            "authority": self.oauth.authority_url, "scope": f"{AUDIENCE}/.default",
        }  # fmt: skip

    def deliver(self, mailbox: str, data: bytes) -> None:
        moment = _BEGINNING + timedelta(seconds=next(_numbers))
        self.server.add_item(mailbox, data, folder="inbox", is_read=False, received_at=moment)

    def lying(self, mailbox: str, folder: str = "") -> list[Lying]:
        found = self.server.items(mailbox, folder or "inbox")
        found.sort(key=lambda each: str(each.received_at))
        return [Lying(each.message_id, each.is_read) for each in found]

    def take_away(self, mailbox: str, message_id: str) -> None:
        for each in self.server.items(mailbox, "inbox"):
            if each.message_id == message_id:
                self.server.delete_item(each.id)

    def fault(self, fault: Fault, mailbox: str) -> AbstractContextManager[MailboxReader]:
        settings: dict[Fault, dict[str, Any]] = {
            Fault.PASSWORD: {"oauth": self.oauth_of("wrong-secret")},
            Fault.UNTRUSTED: {"tls": {"ca_file": str(self._folder / "other.pem")}},
            Fault.DOWN: {"url": "https://localhost:9"},
            Fault.NO_FOLDER: {"folder": "Inbox/Absent"},
        }
        return self._with(self.open(mailbox, **settings[fault]))

    def restart(self) -> None:
        """It is not restarted."""

    def close(self) -> None:
        self._stack.close()

    @contextmanager
    def _with(self, reader: MailboxReader) -> Iterator[MailboxReader]:
        yield reader
