"""A whole relay whose senders' mailboxes are in Exchange Online."""

from __future__ import annotations

import base64
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.sentitems.mailboxes import RULES, STAMP, TEMPLATES, message, process, sent_items, submit
from tests.peers.graph import AUDIENCE, GraphServer, PeerItem, graph_server
from tests.peers.https import Authority
from tests.peers.oauth import OAuthServer, oauth_server
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

JANE = "jane@example.com"


@dataclass(frozen=True)
class Running:
    relay: Relay
    graph: GraphServer

    def standing(self, name: str) -> list[PeerItem]:
        """Items of Sent Items with this Message-ID."""
        return [item for item in self.graph.items(JANE, "sentitems") if item.message_id == name]

    def wait_until_stamped(self, name: str, *, urges: bool = False) -> PeerItem:
        """`urges`: an administrator doesn't wait for what may show up late."""

        def is_stamped() -> bool:
            if urges:
                self.relay.cli("sentitems", "retry", "--message-id", name)
            items = self.standing(name)
            return len(items) == 1 and STAMP in ((items[0].html or "") + (items[0].text or ""))

        wait_until(is_stamped, 30, f"{name}: {self.relay.events('sent-item')}")
        return self.standing(name)[0]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("graph")
    authority = Authority(folder)
    with oauth_server(authority) as oauth, graph_server(oauth, authority) as graph, Sink() as sink:
        graph.add_mailbox(JANE)
        settings = sent_items(_settings(folder, oauth, graph))
        with running_relay(
            folder / "relay", sink.port, rules=RULES, templates=TEMPLATES, organisation=settings
        ) as relay:  # fmt: skip
            yield Running(relay, graph)
            assert not relay.events("internal-error")


def _settings(folder: Path, oauth: OAuthServer, graph: GraphServer) -> dict[str, Any]:
    app = oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)})
    (folder / "secret").write_text(app.secret)
    return {
        "name": "online", "kind": "graph", "url": graph.url, "tls": {"ca_file": str(graph.ca_file)}, "timeout": "10s",
        "oauth": {
            "tenant": oauth.tenant, "client_id": app.client_id, "authority": oauth.authority_url,
            "scope": f"{AUDIENCE}/.default", "client_secret": {"file": str(folder / "secret")},
        },
    }  # fmt: skip


def _with_file(name: str, octets: bytes) -> bytes:
    text = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return (
        f"From: <{JANE}>\r\nTo: bob@example.net\r\nSubject: Drawings\r\nMessage-ID: {name}\r\n"
        "Date: Mon, 16 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nDear Bob, see below.\r\n"
        "--b\r\nContent-Type: application/pdf; name=plan.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    ).encode() + text + b"--b--\r\n"  # fmt: skip


def test_the_stamped_copy_takes_the_originals_place(running: Running) -> None:
    name = "<online@example.com>"
    running.graph.add_item(JANE, message(name), categories=["Customers"])
    submit(running.relay, message(name))
    item = running.wait_until_stamped(name)
    assert (item.is_draft, item.is_read, item.categories) == (False, True, ["Customers"])
    running.relay.wait_for_event("sent-item", message_id=name, state="done")
    assert [one.message_id for one in running.graph.items(JANE, "recoverableitemsdeletions")] == [name]


def test_a_process_killed_while_it_uploads_leaves_one_item(running: Running) -> None:
    name = "<large@example.com>"
    octets = os.urandom(9_000_000)
    content = _with_file(name, octets)
    running.graph.add_item(JANE, content)
    running.graph.forget()
    running.graph.fail("slow", operation="upload", after=1, delay_s=60)
    submit(running.relay, content)
    wait_until(lambda: running.graph.counters().by_operation.get("upload") == 1, 30, "an upload under way")
    assert len(running.standing(name)) == 2  # the sender's own, and the unfinished one
    os.kill(process(running.relay), signal.SIGKILL)
    running.graph.heal()
    running.relay.wait_for_event("sent-item", message_id=name, reason="outcome-unknown")
    assert len(running.standing(name)) == 1  # the sender's own; what was unfinished went with the search
    item = running.wait_until_stamped(name, urges=True)
    assert [(one.name, one.data) for one in item.attachments] == [("plan.pdf", octets)]
