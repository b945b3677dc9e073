"""A whole relay that monitors mailboxes of Exchange, by EWS and by Graph: what arrives there becomes records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Literal

import pytest

from tests.peers.ews import EwsServer, ews_server
from tests.peers.graph import AUDIENCE, GraphServer, graph_server
from tests.peers.https import Authority
from tests.peers.oauth import OAuthServer, oauth_server
from tests.servers.relay import Relay

CASES, DESK = "cases@example.com", "desk@example.com"
RULES = """\
rules:
  - name: new
    when: {outcome: new}
    actions: [{create: {module: ticket}}, note]
  - name: answer
    when: {outcome: joined}
    actions: [note]
"""
_RECEIVED = datetime(2026, 11, 16, 10, tzinfo=UTC)
_numbers = count(1)
Kind = Literal["ews", "graph"]
KINDS: tuple[Kind, ...] = ("ews", "graph")


def message(subject: str = "Printer on fire") -> bytes:
    return (
        f"From: Jane <jane@customer.example>\r\nTo: {DESK}\r\nSubject: {subject}\r\n"
        f"Message-ID: <{next(_numbers)}.exchange@customer.example>\r\nDate: Mon, 16 Nov 2026 10:00:00 +0000\r\n\r\n"
        "It burns.\r\n"
    ).encode()


@dataclass(frozen=True)
class Office:
    relay: Relay
    ews: EwsServer
    graph: GraphServer
    oauth: OAuthServer

    def deliver(self, kind: Kind, mime: bytes, **more: Any) -> None:
        moment = _RECEIVED + timedelta(seconds=next(_numbers))
        place: dict[str, Any] = {"folder": "inbox/Tickets", "is_read": False, "received_at": moment, **more}
        if kind == "ews":
            self.ews.add_item(CASES, mime, **place)
        else:
            self.graph.add_item(DESK, mime, **place)

    def places(self, kind: Kind) -> list[str]:
        items = self.ews.items(CASES) if kind == "ews" else self.graph.items(DESK)
        return sorted(item.folder for item in items)

    def deliver_unreadable(self, kind: Kind) -> None:
        if kind == "ews":
            self.deliver(kind, message(), item_class="IPM.Task")
        else:
            self.graph.fail("code", operation="get-mime", status=400, code="ErrorItemCorrupt")
            self.deliver(kind, message())

    def poll(self, kind: Kind) -> None:
        self.relay.cli_here("mailbox", "poll", _NAMES[kind])

    def records(self) -> list[dict[str, Any]]:
        return list(json.loads(self.relay.cli_here("records", "list", "--json").stdout))

    def titles(self) -> list[str]:
        return sorted(record["title"] for record in self.records())


_NAMES: dict[Kind, str] = {"ews": "cases", "graph": "desk"}
_AFTER: dict[Kind, str] = {"ews": "MoveItem", "graph": "update"}
"""What is asked of the server when the message is in the store."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("exchange-mailboxes")
    authority = Authority(folder)
    relay = Relay(folder / "relay", 1)
    with (
        oauth_server(authority) as oauth,
        graph_server(oauth, authority) as graph,
        ews_server() as ews,
    ):
        ews.add_mailbox(CASES, folder_names={"inbox": "Posteingang"})
        ews.add_folder(CASES, "inbox/Tickets")
        ews.add_account("EXAMPLE\\svc", "secret", full_access=[CASES])
        graph.add_mailbox(DESK)
        graph.add_folder(DESK, "inbox/Tickets")
        app = oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite", "Mail.Send")})
        for name, secret in (
            ("ews", "secret"),
            ("graph", app.secret),
            ("tracking", "a tracking key that is only for tests"),
        ):
            (folder / name).write_text(secret)
            (folder / name).chmod(0o600)
        (relay.folder / "business").mkdir()
        (relay.folder / "business" / "rules.yaml").write_text(RULES)
        relay.settings["organisation"]["tracking"] = {
            "keys": [{"file": str(folder / "tracking")}],
            "modules": [{"name": "ticket"}],
            "rules": "business",
            "mailboxes": [
                {
                    "name": "cases", "kind": "ews", "address": CASES, "shared_mailbox": CASES, "url": ews.url,
                    "user": "EXAMPLE\\svc", "password": {"file": str(folder / "ews")}, "folder": "Inbox/Tickets",
                    "tls": {"ca_file": str(ews.ca_file)}, "after": {"do": "move"}, "poll": {"every": 9999},
                },
                {
                    "name": "desk", "kind": "graph", "address": DESK, "url": graph.url, "folder": "Inbox/Tickets",
                    "oauth": {
                        "tenant": oauth.tenant, "client_id": app.client_id, "authority": oauth.authority_url,
                        "client_secret": {"file": str(folder / "graph")}, "scope": f"{AUDIENCE}/.default",
                    },
                    "tls": {"ca_file": str(authority.file)}, "after": {"do": "mark-read"}, "poll": {"every": 9999},
                },
            ],
        }  # fmt: skip
        relay.write_settings()
        relay.write_rules("rules: []\n")
        try:
            relay.start()
            yield Office(relay, ews, graph, oauth)
        finally:
            relay.clean_up()


@pytest.mark.parametrize("kind", KINDS)
def test_a_mailbox_can_be_tried(office: Office, kind: Kind) -> None:
    done = office.relay.cli_here("mailbox", "test", _NAMES[kind], "--no-mail")
    assert "Inbox/Tickets" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_what_arrives_becomes_records_once_and_what_cannot_be_read_is_set_aside(office: Office, kind: Kind) -> None:
    first, second = message(f"First by {kind}"), message(f"Second by {kind}")
    before = Counter(office.places(kind))
    office.deliver_unreadable(kind)
    for mime in (first, second, first):  # the same message twice, as by two lists
        office.deliver(kind, mime)
    office.poll(kind)
    after = "StamplineProcessed" if kind == "ews" else "inbox/Tickets"
    assert Counter(office.places(kind)) - before == {"StamplineSetAside": 1, after: 3}
    assert [title for title in office.titles() if f" by {kind}" in title and not title.startswith("Killed")] == [
        f"First by {kind}", f"Second by {kind}",
    ]  # fmt: skip
    if kind == "graph":
        assert all(item.is_read for item in office.graph.items(DESK) if item.folder == after)


@pytest.mark.parametrize("kind", ["ews", pytest.param("graph", marks=pytest.mark.long)])
def test_killed_between_the_commit_and_the_server_it_takes_nothing_twice(office: Office, kind: Kind) -> None:
    office.deliver(kind, message(f"Killed by {kind}"))
    server = office.ews if kind == "ews" else office.graph
    server.fail("reset", operation=_AFTER[kind])  # nothing is done there, and we don't know
    office.relay.cli_here("mailbox", "poll", _NAMES[kind], check=False)
    office.relay.kill()
    office.relay.start()
    office.poll(kind)
    (record,) = [each for each in office.records() if each["title"] == f"Killed by {kind}"]
    assert record["notes"] == 1
    assert office.relay.events("mailbox-polled")[-1]["known"] == 1
