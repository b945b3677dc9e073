"""Marks on filed messages in people's mailboxes, by the real processes, in an organisation without `sent_items`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.sentitems.mailboxes import kill_process, process
from tests.peers.ews import EwsServer, PeerItem, ews_server
from tests.peers.graph import AUDIENCE, GraphServer, graph_server
from tests.peers.https import Authority
from tests.peers.oauth import oauth_server
from tests.servers.dovecot import MASTER, MASTER_PASSWORD, Dovecot, missing, running_dovecot
from tests.servers.plugins import install_example
from tests.servers.relay import Relay
from tests.servers.wait import wait_until

SUPPORT = "support@example.com"
ANN, BOB, GWEN, IAN, MARY = (f"{name}@example.com" for name in ("ann", "bob", "gwen", "ian", "mary"))
"""On EWS, there but not of the audience, on Graph, on Dovecot, in a Maildir."""
URL = "https://desk.example.com/{module}/{id}"
RULES = """\
rules:
  - name: new
    when: {outcome: new}
    actions:
      - create: {module: ticket, fields: {priority: high}}
      - note
      - write-back
"""
_numbers = count(1)


@dataclass(frozen=True)
class Office:
    relay: Relay
    folder: Path
    ews: EwsServer
    graph: GraphServer
    imap: Dovecot

    def file(self, *addressed: str) -> str:
        """A message that arrives at the desk; gives its Message-ID."""
        message_id = f"<{next(_numbers)}.filed@customer.example>"
        mime = _mime(message_id, *addressed)
        number = next(_numbers)
        (self.folder / "support" / "tmp" / str(number)).write_bytes(mime)
        (self.folder / "support" / "tmp" / str(number)).rename(self.folder / "support" / "new" / str(number))
        return message_id

    def poll(self) -> None:
        self.relay.cli_here("mailbox", "poll", "support")

    def copies(self, mailbox: str, message_id: str) -> list[PeerItem]:
        """By EWS, by folder; without what Exchange keeps of former versions."""
        found = [item for item in self.ews.items(mailbox) if not item.folder.startswith("recoverable")]
        return sorted((item for item in found if item.message_id == message_id), key=lambda item: item.folder)

    def jobs(self, *arguments: str) -> list[dict[str, Any]]:
        return list(json.loads(self.relay.cli_here("sentitems", "list", *arguments, "--json").stdout))

    def marked(self, message_id: str, mailbox: str) -> dict[str, Any]:
        """The job, when it is done."""
        event = self.relay.wait_for_event("sent-item", 60, message_id=message_id, mailbox=mailbox, state="done")
        return next(job for job in self.jobs("--state", "done") if job["id"] == event["job"])


def _mime(message_id: str, *addressed: str) -> bytes:
    return (
        f"From: Carl <carl@customer.example>\r\nTo: {', '.join((SUPPORT, *addressed))}\r\nSubject: Printer\r\n"
        f"Message-ID: {message_id}\r\nDate: Mon, 16 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>It burns.</p></body></html>\r\n"
    ).encode()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    if reason := missing():
        (pytest.fail if "CI" in os.environ else pytest.skip)(reason)
    folder = tmp_path_factory.mktemp("write-back")
    authority = Authority(folder)
    relay = Relay(folder / "relay", 1)
    with ExitStack() as stack:
        oauth = stack.enter_context(oauth_server(authority))
        graph = stack.enter_context(graph_server(oauth, authority))
        ews = stack.enter_context(ews_server())
        imap = stack.enter_context(running_dovecot([IAN]))
        for address in (ANN, BOB):
            ews.add_mailbox(address)
        ews.add_folder(ANN, "inbox/Tickets")
        ews.add_account("EXAMPLE\\svc", "secret", impersonates=["*"])
        graph.add_mailbox(GWEN)
        app = oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)})
        for name, secret in (
            ("ews", "secret"),
            ("graph", app.secret),
            ("imap", MASTER_PASSWORD),
            ("tracking", "k" * 32),
        ):
            (folder / name).write_text(secret)
            (folder / name).chmod(0o600)
        for place in ("support", "mail/mary"):
            for part in ("new", "cur", "tmp"):
                (folder / place / part).mkdir(parents=True)
        (folder / "mail/mary/dovecot-keywords").write_text("0 Filed\n")
        (relay.folder / "business").mkdir()
        (relay.folder / "business" / "rules.yaml").write_text(RULES)
        install_example(folder / "site")
        paths = [str(folder / "site"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        relay.environment["PYTHONPATH"] = os.pathsep.join(paths)
        relay.settings["organisation"]["tracking"] = {
            "keys": [{"file": str(folder / "tracking")}],
            "modules": [{"name": "ticket", "staff_url": URL, "self_service_url": URL}],
            "rules": "business",
            "mailboxes": [{
                "name": "support", "kind": "maildir", "address": SUPPORT, "path": str(folder / "support"),
                "poll": {"every": 9999},
            }],
            "correlation": {"verify_dkim": "never"},
            "write_back": {
                "audience": {"addresses": [ANN, GWEN, IAN, MARY]}, "category": "Filed", "link": True,
                "link_in_body": True, "columns": "record-fields",
                "columns_settings": {"fields": {"Priority": "priority"}},
                "servers": [
                    {
                        "name": "exchange", "kind": "ews", "url": ews.url, "user": "EXAMPLE\\svc",
                        "password": {"file": str(folder / "ews")}, "tls": {"ca_file": str(ews.ca_file)},
                        "timeout": "20s",
                    },
                    {
                        "name": "online", "kind": "graph", "url": graph.url, "serves": {"addresses": [GWEN]},
                        "oauth": {
                            "tenant": oauth.tenant, "client_id": app.client_id, "authority": oauth.authority_url,
                            "client_secret": {"file": str(folder / "graph")}, "scope": f"{AUDIENCE}/.default",
                        },
                        "tls": {"ca_file": str(authority.file)},
                    },
                    {
                        "name": "dovecot", "kind": "imap", "host": "127.0.0.1", "port": imap.imap, "user": MASTER,
                        "password": {"file": str(folder / "imap")}, "tls": {"mode": "none"},
                        "serves": {"addresses": [IAN]},
                    },
                    {
                        "name": "local", "kind": "maildir", "folder": f"{folder}/mail/{{local}}",
                        "serves": {"addresses": [MARY]},
                    },
                ],
            },
        }  # fmt: skip
        relay.write_settings()
        relay.write_rules("rules: []\n")
        try:
            relay.start()
            yield Office(relay, folder, ews, graph, imap)
        finally:
            relay.clean_up()


def _columns(properties: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Those in PublicStrings but categories."""
    found = {key.partition("/")[2]: value for key, value in properties.items() if key.startswith(prefix)}
    found.pop("Keywords", None)
    return found


def test_copies_of_the_audience_are_marked_and_nobody_elses(office: Office) -> None:
    message_id = office.file(ANN, BOB, GWEN, IAN, MARY)
    mime = _mime(message_id, ANN, BOB, GWEN, IAN, MARY)
    for address, folder in ((ANN, "inbox/Tickets"), (ANN, "inbox"), (BOB, "inbox")):
        office.ews.add_item(address, mime, folder=folder, categories=["Blue"])
    office.ews.add_item(ANN, _mime("<other@customer.example>", ANN), folder="inbox")
    office.graph.add_item(GWEN, mime, folder="inbox")
    with office.imap.session(IAN) as session:
        session.append("INBOX", "", '"16-Nov-2026 10:00:03 +0000"', mime)
    (office.folder / "mail/mary/cur/1795300000.M1P1.host:2,S").write_bytes(mime)
    office.poll()
    jobs = [office.marked(message_id, mailbox) for mailbox in (ANN, GWEN, IAN, MARY)]

    records = json.loads(office.relay.cli_here("records", "list", "--json").stdout)
    (record,) = [each for each in records if {f"ticket-{each['number']}"} == {job["record"] for job in jobs}]
    link = URL.format(module="ticket", id=f"{record['number']:06}")
    columns = {"Ticket": record["number"], "State": "open", "Priority": "high", "StamplineLink": link}
    filed = office.copies(ANN, message_id)
    assert [(item.folder, item.categories) for item in filed] == [
        ("inbox", ["Blue", "Filed"]), ("inbox/Tickets", ["Blue", "Filed"])
    ]  # fmt: skip
    for item in filed:
        assert _columns(item.properties, "PublicStrings/") == columns
        assert (item.html or "").count(f'href="{link}"') == 1
    (bobs,), (other,) = office.copies(BOB, message_id), office.copies(ANN, "<other@customer.example>")
    assert [(item.categories, _columns(item.properties, "PublicStrings/")) for item in (bobs, other)] == [
        (["Blue"], {}), ([], {})
    ]  # fmt: skip
    (online,) = office.graph.items(GWEN)
    assert (online.categories, _columns(online.properties, "00020329-")) == (["Filed"], columns)
    with office.imap.session(IAN) as session:
        session.select("INBOX", readonly=True)
        assert "Filed" in str(session.fetch("1", "(FLAGS)")[1])
    assert [path.name.partition(":2,")[2] for path in (office.folder / "mail/mary/cur").iterdir()] == ["Sa"]


def test_marks_are_told_of_as_such(office: Office) -> None:
    message_id = office.file(ANN)
    office.ews.add_item(ANN, _mime(message_id, ANN), folder="inbox")
    office.poll()
    job = office.marked(message_id, ANN)
    assert (job["kind"], job["category"], job["copies"]) == ("mark", "Filed", [])
    assert office.jobs("--state", "done", "--kind", "copy") == []
    assert job["id"] in {each["id"] for each in office.jobs("--state", "done", "--kind", "mark")}
    shown = office.relay.cli_here("sentitems", "show", job["id"]).stdout
    assert "a mark on the copies of a filed message" in shown
    assert job["record"] in shown
    assert "Priority" in shown
    status = json.loads(office.relay.cli_here("sentitems", "status", "--json").stdout)
    assert status["marks"] == status["jobs"] != []
    event = office.relay.wait_for_event("sent-item", job=job["id"], state="done")
    assert (event["record"], event["mailbox"]) == (job["record"], ANN)


def test_killed_between_two_copies_both_are_marked_once_in_the_end(office: Office) -> None:
    message_id = office.file(ANN)
    for folder in ("inbox", "sentitems"):
        office.ews.add_item(ANN, _mime(message_id, ANN), folder=folder)
    office.ews.forget()
    office.ews.fail("hang", operation="GetItem", after=1)
    office.poll()
    wait_until(lambda: _asked(office, "UpdateItem") == 1, 60, "the first copy's mark")
    first = kill_process(office.relay)
    office.ews.heal()
    job = office.marked(message_id, ANN)
    assert job["detail"] == "2 of 2 copies"
    assert process(office.relay) not in (0, first)
    copies = office.copies(ANN, message_id)
    assert [(item.folder, item.categories) for item in copies] == [("inbox", ["Filed"]), ("sentitems", ["Filed"])]
    assert [(item.html or "").count("stampline-link") for item in copies] == [1, 1]


def _asked(office: Office, operation: str) -> int:
    return sum(1 for entry in office.ews.log() if entry.operation == operation)


def test_what_nobody_keeps_is_looked_for_and_harms_nobody(office: Office) -> None:
    """And an administrator may let go of it."""
    message_id = office.file(ANN)
    office.poll()
    wait_until(
        lambda: any(job["reason"] == "not-found" for job in office.jobs("--message-id", message_id)), 60, "a look"
    )
    office.relay.cli_here("sentitems", "skip", "--kind", "mark", "--message-id", message_id)
    assert office.jobs("--message-id", message_id) == []
    (job,) = office.jobs("--message-id", message_id, "--state", "skipped")
    assert job["reason"] == "by-administrator"


def test_the_servers_can_be_tried(office: Office) -> None:
    done = office.relay.cli_here("sentitems", "check", "--mailbox", ANN)
    assert "takes part" in done.stdout
    assert "exchange (ews) is tried" in done.stdout
