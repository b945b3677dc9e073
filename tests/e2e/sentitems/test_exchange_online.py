"""A whole relay, and senders' mailboxes behind Microsoft Graph: what the customer received stands in Sent Items."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.sentitems.mailboxes import RULES, STAMP, TEMPLATES, counts, kill_process, sent_items, submit
from tests.peers.graph import AUDIENCE, GraphServer, PeerItem, graph_server
from tests.peers.https import Authority
from tests.peers.oauth import App, OAuthServer, oauth_server
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

DENIED = "boss@example.com"
SENT_AT = datetime(2026, 11, 16, 10, tzinfo=UTC)
_numbers = count(1)


@dataclass(frozen=True)
class Online:
    relay: Relay
    graph: GraphServer
    oauth: OAuthServer
    app: App

    def mailbox(self) -> str:
        address = f"user{next(_numbers)}@example.com"
        self.graph.add_mailbox(address)
        return address

    def send(self, mailbox: str, *, large: bytes = b"") -> str:
        """What Outlook does: an item in Sent Items, the message to the relay. Gives the item's id."""
        made = _message(mailbox, large)
        item = self.graph.add_item(mailbox, made.as_bytes(), categories=["Red"])
        self.graph.change_item(item, flag="flagged")
        del made["Bcc"]
        submit(self.relay, made.as_bytes(), "bob@example.net", "cy@example.net", sender=mailbox)
        return item

    def sent(self, mailbox: str) -> list[PeerItem]:
        return self.graph.items(mailbox, "sentitems")

    def is_replaced(self, mailbox: str) -> bool:
        items = self.sent(mailbox)
        return len(items) == 1 and STAMP in (items[0].html or "")

    def until_replaced(self, mailbox: str) -> PeerItem:
        """What waits to be tried again is hastened."""

        def replaced() -> bool:
            if self.is_replaced(mailbox):
                return True
            told = [event for event in self.relay.events("sent-item") if event["mailbox"] == mailbox]
            if told and told[-1]["state"] == "waiting":  # again and again: what is being worked on can't be hastened
                self.relay.cli_here("sentitems", "retry", "--mailbox", mailbox)
            return False

        wait_until(replaced, 60, lambda: f"one stamped item of {mailbox}: {counts(self.relay)}")
        return self.sent(mailbox)[0]


def _message(mailbox: str, large: bytes) -> EmailMessage:
    made = EmailMessage(SMTP)
    made["From"], made["To"], made["Bcc"] = mailbox, "bob@example.net", "cy@example.net"
    made["Subject"], made["Message-ID"] = "An offer", f"<{next(_numbers)}.graph@example.com>"
    made["Date"] = format_datetime(SENT_AT)
    made.set_content("Dear Bob, the offer.\n")
    made.add_alternative("<p>Dear Bob, the <img src='cid:logo'> offer.</p>\n", subtype="html")
    part = made.get_payload()[1]  # type: ignore[index]
    assert isinstance(part, EmailMessage)
    part.add_related(b"\x89PNG logo", "image", "png", cid="<logo>", filename="logo.png", disposition="inline")
    made.add_attachment(b"%PDF offer", maintype="application", subtype="pdf", filename="offer.pdf")
    if large:
        made.add_attachment(large, maintype="application", subtype="octet-stream", filename="large.bin")
    return made


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Online]:
    folder = tmp_path_factory.mktemp("online")
    authority = Authority(folder)
    with oauth_server(authority) as oauth, graph_server(oauth, authority) as graph, Sink() as sink:
        oauth.resources.add(AUDIENCE)
        oauth.resources.add(graph.url)
        app = oauth.add_app()  # no rights of Entra's: Exchange gives them, within a scope
        graph.grant(app, ["user*@example.com"])
        (folder / "secret").write_text(app.secret)
        (folder / "secret").chmod(0o600)
        settings = {
            "name": "online",
            "kind": "graph",
            "url": graph.url,
            "tls": {"ca_file": str(authority.file)},
            "oauth": {
                "tenant": oauth.tenant,
                "client_id": app.client_id,
                "client_secret": {"file": str(folder / "secret")},
                "authority": oauth.authority_url,
                "scope": f"{AUDIENCE}/.default",
            },
        }
        organisation = sent_items(settings)
        with running_relay(
            folder / "relay", sink.port, rules=RULES, templates=TEMPLATES, organisation=organisation
        ) as relay:
            yield Online(relay, graph, oauth, app)
            assert not relay.events("internal-error")


def test_what_was_received_takes_the_originals_place_with_everything_that_it_had(online: Online) -> None:
    mailbox = online.mailbox()
    original = online.send(mailbox)
    item = online.until_replaced(mailbox)
    before = online.graph.item(original)
    assert before is not None
    assert before.folder == "recoverableitemsdeletions"
    assert (item.is_draft, item.is_read, item.flag, item.categories) == (False, True, "flagged", ["Red"])
    assert (item.sent_at, item.received_at, item.message_id) == (SENT_AT, before.received_at, before.message_id)
    assert (item.to, item.bcc) == (["bob@example.net"], ["cy@example.net"])
    assert item.properties["0x0071"] == before.properties["0x0071"]
    files = {(one.name, one.data, one.content_id, one.is_inline) for one in item.attachments}
    assert files == {("logo.png", b"\x89PNG logo", "logo", True), ("offer.pdf", b"%PDF offer", "", False)}


def test_whichever_answer_is_lost_one_item_stands_in_the_end(online: Online) -> None:
    large = os.urandom(4_500_000)
    mailboxes = {}
    for operation in ("list", "get", "create", "upload", "update", "move"):
        mailbox = mailboxes[operation] = online.mailbox()
        online.graph.fail("drop", operation=operation, mailbox=mailbox)
        online.send(mailbox, large=large if operation in ("upload", "update") else b"")
    for operation, mailbox in mailboxes.items():
        item = online.until_replaced(mailbox)
        files = [one.data for one in item.attachments]
        assert len(files) == (3 if operation in ("upload", "update") else 2), operation
        assert (large in files) is (operation in ("upload", "update")), operation
        assert not item.is_draft, operation
    assert online.graph.faults_left() == 0


def test_a_half_made_item_is_taken_back(online: Online) -> None:
    mailbox = online.mailbox()
    online.graph.fail("drop", operation="create-upload", mailbox=mailbox)
    original = online.send(mailbox, large=os.urandom(4_500_000))
    online.relay.wait_for_event("sent-item", mailbox=mailbox, reason="outcome-unknown")
    assert [item.id for item in online.sent(mailbox)] == [original]
    assert online.graph.counters().by_operation["create-upload"] >= 1


def test_killed_while_an_item_is_made(online: Online) -> None:
    mailbox = online.mailbox()
    online.graph.fail("hang", operation="create", mailbox=mailbox)
    online.send(mailbox)
    wait_until(lambda: len(online.sent(mailbox)) == 2, 60, "an item that was made and not answered")
    kill_process(online.relay)
    online.until_replaced(mailbox)


@pytest.mark.long
def test_a_process_killed_while_it_uploads_leaves_one_item(online: Online) -> None:
    mailbox, large = online.mailbox(), os.urandom(9_000_000)
    online.graph.forget()
    online.graph.fail("slow", operation="upload", mailbox=mailbox, after=1, delay_s=60)
    original = online.send(mailbox, large=large)
    wait_until(lambda: online.graph.counters().by_operation.get("upload") == 1, 60, "an upload under way")
    assert len(online.sent(mailbox)) == 2  # the sender's own, and the unfinished one
    kill_process(online.relay)
    online.graph.heal()
    online.relay.wait_for_event("sent-item", mailbox=mailbox, reason="outcome-unknown")
    assert [item.id for item in online.sent(mailbox)] == [original]  # what was unfinished went with the search
    assert large in [one.data for one in online.until_replaced(mailbox).attachments]


def test_a_mailbox_out_of_scope_is_denied_and_left_alone(online: Online) -> None:
    online.graph.add_mailbox(DENIED)
    original = online.send(DENIED)
    online.relay.wait_for_event("sent-item", mailbox=DENIED, reason="access-denied")
    assert [item.id for item in online.sent(DENIED)] == [original]
    checked = online.relay.cli_here(
        "sentitems", "check", "--outside", DENIED, "--mailbox", online.mailbox(), check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_throttling_is_waited_for_and_one_request_at_a_time_is_made_for_a_mailbox(online: Online) -> None:
    mailbox = online.mailbox()
    online.graph.forget()
    online.graph.fail("code", status=429, code="ApplicationThrottled", retry_after="1", mailbox=mailbox, after=2)
    for _ in range(3):
        online.send(mailbox)
    wait_until(
        lambda: sum(STAMP in (item.html or "") for item in online.sent(mailbox)) == 3 == len(online.sent(mailbox)),
        60,
        lambda: f"three stamped items: {counts(online.relay)}",
    )
    assert online.graph.counters().most_at_once_by_mailbox[mailbox] == 1


def test_tokens_are_asked_for_once_and_again_when_they_are_refused(online: Online, tmp_path: Path) -> None:
    online.until_replaced(_sent_from(online))
    before = online.oauth.token_requests
    online.until_replaced(_sent_from(online))
    assert online.oauth.token_requests == before
    online.graph.fail("code", status=401, code="InvalidAuthenticationToken")
    online.until_replaced(_sent_from(online))
    assert online.oauth.token_requests == before + 1
    log = (online.relay.folder / "log").glob("*.log")
    assert all(online.app.secret not in path.read_text() for path in log)


def _sent_from(online: Online) -> str:
    mailbox = online.mailbox()
    online.send(mailbox)
    return mailbox
