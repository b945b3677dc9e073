"""What somebody who knows Exchange looks at: a whole relay, and each item as Exchange's store has it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.sentitems.mailboxes import RULES, STAMP, TEMPLATES, counts, message, submit
from tests.peers.ews import EwsServer, PeerItem, ews_server
from tests.peers.ews.control import PeerAttachment
from tests.servers.relay import Relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

SENT_AT = datetime(2026, 11, 16, 10, tzinfo=UTC)
ACCOUNT, PASSWORD = "EXAMPLE\\stampline", "correct horse battery staple"
POLICIES: dict[str, dict[str, Any]] = {
    "example.com": {},
    "first.example": {"copies": "first", "remove": "for-good"},
    "last.example": {"copies": "last", "remove": "deleted-items"},
    "all.example": {"copies": "all"},
    "kept.example": {"keep_original": True, "category": "Stamped", "subject_mark": "[sent] "},
    "place.example": {"method": "in-place", "category": "Stamped"},
}
"""Settings of Sent Items, each of an organisation with that domain."""
_numbers = count(1)
_STAMPS = [
    {"name": "partner", "when": {"recipient": {"domain": "partner.example"}},
     "actions": [{"tag-subject": {"text": "[Partner]"}}]},
    {"name": "inside", "when": {"recipient": {"scope": "internal"}},
     "actions": [{"tag-subject": {"text": "[Inside]"}}]},
]  # fmt: skip


@dataclass(frozen=True)
class Exchange:
    relay: Relay
    server: EwsServer
    sink: Sink

    def mailbox(self, domain: str = "example.com", **settings: Any) -> str:
        address = f"user{next(_numbers)}@{domain}"
        self.server.add_mailbox(address, **settings)
        return address

    def items(self, mailbox: str, message_id: str = "", folder: str = "sentitems") -> list[PeerItem]:
        return [item for item in self.server.items(mailbox, folder) if message_id in ("", item.message_id)]

    def attempts(self, mailbox: str, message_id: str) -> list[dict[str, Any]]:
        """What the log tells of each."""
        events = self.relay.events("sent-item")
        return [event for event in events if (event["mailbox"], event["message_id"]) == (mailbox, message_id)]

    def outcome(self, mailbox: str, message_id: str) -> str:
        """Of the last attempt: state and reason."""

        def last() -> str:
            told = self.attempts(mailbox, message_id)
            return f"{told[-1]['state']} {told[-1].get('reason', '')}".strip() if told else ""

        return wait_until(last, 60, lambda: f"an attempt for {message_id}: {counts(self.relay)}")

    def until_replaced(self, mailbox: str, message_id: str) -> PeerItem:
        """The one item that stands there then."""
        wait_until(
            lambda: self.outcome(mailbox, message_id) == "done", 60,
            lambda: f"the end of {message_id}: {counts(self.relay)}",
        )  # fmt: skip
        [item] = self.items(mailbox, message_id)
        assert is_stamped(item)
        return item

    def send(self, mailbox: str, made: bytes | EmailMessage, *recipients: str, **put: Any) -> str:
        """As Outlook and Exchange do: the item, and the message through the relay. Gives the Message-ID."""
        content = made if isinstance(made, bytes) else made.as_bytes()
        self.server.add_item(mailbox, content, **put)
        submit(self.relay, without_bcc(content), *recipients, sender=mailbox)
        return message_id_of(content)


def is_stamped(item: PeerItem) -> bool:
    return STAMP in f"{item.html}{item.text}"


def message_id_of(content: bytes) -> str:
    return content.lower().partition(b"message-id:")[2].partition(b"\r\n")[0].strip().decode()


def without_bcc(content: bytes) -> bytes:
    head, _, body = content.partition(b"\r\n\r\n")
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"Bcc:")) + b"\r\n\r\n" + body


def new_id() -> str:
    return f"<{next(_numbers)}.items@example.com>"


def letter(mailbox: str, **fields: str) -> EmailMessage:
    made = EmailMessage(SMTP)
    made["From"], made["To"] = mailbox, "bob@example.net"
    made["Subject"], made["Message-ID"] = "RE: An offer", new_id()
    made["Date"] = "Mon, 16 Nov 2026 10:00:00 +0000"
    for name, value in fields.items():
        made[name.replace("_", "-")] = value
    made.set_content("Dear Bob, the offer.\n")
    return made


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    folder = tmp_path_factory.mktemp("items")
    (folder / "password").write_text(PASSWORD)
    with ews_server() as server, Sink() as sink:
        server.add_account(ACCOUNT, PASSWORD, impersonates=["user*"])
        relay = Relay(folder / "relay", sink.port)
        try:
            _equip(relay, server, folder / "password")
            relay.start()
            yield Exchange(relay, server, sink)
            assert not relay.events("internal-error")
            assert all(entry.valid for entry in server.log())
        finally:
            relay.clean_up()


def _equip(relay: Relay, server: EwsServer, password: Path) -> None:
    rules = yaml.safe_load(RULES)
    rules["rules"] += _STAMPS
    relay.write_rules(yaml.safe_dump(rules))
    relay.write_template("stamp", *TEMPLATES["stamp"])
    first = relay.settings.pop("organisation")
    relay.settings["organisations"] = [
        first | {
            "name": domain.partition(".")[0], "accepted_domains": [domain],
            "sent_items": {"servers": [_server(domain, server, password)], "wait": "0s", **policy},
        }
        for domain, policy in POLICIES.items()
    ]  # fmt: skip
    relay.write_settings()


def _server(name: str, server: EwsServer, password: Path) -> dict[str, Any]:
    return {
        "name": name, "kind": "ews", "url": server.url, "user": ACCOUNT, "sign_in": "basic",
        "password": {"file": str(password)}, "tls": {"ca_file": str(server.ca_file)},
    }  # fmt: skip


# --- nothing but the text is another ----------------------------------------------------------------------------------

_OTHERS = {
    "0x1000", "0x1013",  # the text
    "0x3007", "0x3008",  # when it was made and changed
    "0x0e07",  # the flags; whether it is a draft is asked for by itself
    "68c741fb-aad1-4553-b637-020e1c540914/StamplineItem",
    "InternetHeaders/x-priority",  # Exchange writes it beside Importance where it makes MIME
}  # fmt: skip


def differing(old: PeerItem, new: PeerItem) -> set[str]:
    kinds = set(old.properties) | set(new.properties)
    return {key for key in kinds if old.properties.get(key) != new.properties.get(key)}


def test_everything_that_the_sender_sees_is_as_it_was_but_for_the_text(exchange: Exchange) -> None:
    mailbox = exchange.mailbox()
    made = letter(
        mailbox,
        Sender=mailbox, Cc="eve@example.net", Bcc="hidden@example.net", Reply_To="offers@example.com",
        Importance="high", Sensitivity="company-confidential", Disposition_Notification_To=mailbox,
        Return_Receipt_To=mailbox, In_Reply_To="<2@example.net>", References="<1@example.net> <2@example.net>",
        Thread_Topic="An offer", Thread_Index=base64.b64encode(bytes(range(27))).decode(), X_Customer="4711",
    )  # fmt: skip
    due = SENT_AT + timedelta(days=3)
    marks = {
        "0x1090": 2, "Task/0x8105": due, "Task/0x8104": SENT_AT, "Common/0x8503": True, "Common/0x8502": due,
        "Common/0x8501": 15, "0x1080": 0x105, "0x1081": 102, "0x1082": SENT_AT + timedelta(hours=1),
        "0x0e06": SENT_AT + timedelta(seconds=3),
    }  # fmt: skip
    name = exchange.send(mailbox, made, categories=["Red", "Müller & Söhne"], properties=marks, is_read=False)
    new = exchange.until_replaced(mailbox, name)
    [old] = exchange.items(mailbox, folder="recoverableitemsdeletions")
    assert differing(old, new) <= _OTHERS
    assert (new.is_draft, new.is_read, new.sent_at) == (False, False, SENT_AT)
    assert (new.to, new.cc, new.bcc) == (["bob@example.net"], ["eve@example.net"], ["hidden@example.net"])
    assert new.subject == old.subject == "RE: An offer"
    assert is_stamped(new)
    assert not is_stamped(old)


def test_pictures_attachments_and_attached_messages_are_the_same_octets(exchange: Exchange) -> None:
    mailbox = exchange.mailbox()
    made = letter(mailbox)
    made.add_alternative('<p>Dear Bob,</p><img src="cid:a@b"><p>the offer.</p>', subtype="html")
    [_, html] = made.iter_parts()
    assert isinstance(html, EmailMessage)
    html.add_related(b"\x89PNG", "image", "png", cid="<a@b>", filename="logo.png", disposition="inline")
    made.add_attachment(os.urandom(70_000), maintype="application", subtype="pdf", filename="Angebot für Bob.pdf")
    made.add_attachment(b"", maintype="application", subtype="octet-stream", filename="empty.bin")
    made.add_attachment(letter("eve@example.net"))
    name = exchange.send(mailbox, made)
    new = exchange.until_replaced(mailbox, name)
    [old] = exchange.items(mailbox, folder="recoverableitemsdeletions")
    assert [_file(each) for each in new.attachments] == [_file(each) for each in old.attachments]
    assert [each.content_id for each in new.attachments if each.is_inline] == ["a@b"]
    assert "cid:a@b" in (new.html or "")


def _file(each: PeerAttachment) -> tuple[object, ...]:
    content = each.content.strip() if each.is_item else each.content
    return each.name, each.content_type, content, each.content_id, each.is_inline, each.is_item


@pytest.mark.long
def test_34_megabytes(exchange: Exchange) -> None:
    mailbox, octets = exchange.mailbox(), os.urandom(24_500_000)
    made = letter(mailbox)
    made.add_attachment(octets, maintype="application", subtype="zip", filename="plans.zip")
    content = made.as_bytes()
    assert 33_500_000 < len(content) < 34_500_000
    new = exchange.until_replaced(mailbox, exchange.send(mailbox, content))
    assert [each.content == octets for each in new.attachments] == [True]


def test_sent_on_behalf_it_stands_so_in_both_mailboxes(exchange: Exchange) -> None:
    boss, secretary = exchange.mailbox(), exchange.mailbox()
    made = letter(boss, Sender=secretary)
    exchange.server.add_item(boss, made.as_bytes())
    name = exchange.send(secretary, made)
    for mailbox in (boss, secretary):
        new = exchange.until_replaced(mailbox, name)
        assert (new.properties["0x5d02"], new.properties["0x5d01"]) == (boss, secretary)


# --- what is left as it is --------------------------------------------------------------------------------------------


def _structured(mailbox: str, content_type: str, body: str) -> bytes:
    head = message(new_id(), mailbox).partition(b"Content-Type:")[0]
    return head + f"Content-Type: {content_type}\r\n\r\n{body}".encode()


_PART = "Content-Type: text/plain\r\n\r\nDear Bob, the offer.\r\n"
_SIGNED = f"--b\r\n{_PART}--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nMII\r\n--b--\r\n"
_MEETING = f"--b\r\n{_PART}--b\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n--b--\r\n"
_TNEF = f"--b\r\n{_PART}--b\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\n\r\nx\r\n--b--\r\n"
_RPMSG = f"--b\r\n{_PART}--b\r\nContent-Type: application/x-microsoft-rpmsg-message\r\n\r\nx\r\n--b--\r\n"
_VOTES = bytes.fromhex("0201 01000000 04000000 03 596573 00 00 03 596573".replace(" ", "")) + bytes(29)
LEFT_ALONE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "signed": ('multipart/signed; protocol="application/pkcs7-signature"; boundary=b', _SIGNED, {}),
    "encrypted": ("application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", "MII\r\n", {}),
    "meeting": ("multipart/alternative; boundary=b", _MEETING, {}),
    "tnef": ("multipart/mixed; boundary=b", _TNEF, {}),
    "rights-protected": ("multipart/mixed; boundary=b", _RPMSG, {}),
    "votes": ("text/plain", "Dear Bob, the offer.\r\n", {"properties": {"Common/0x8520": _VOTES}}),
    "not-a-note": ("text/plain", "Dear Bob, the offer.\r\n", {"item_class": "IPM.Note.Custom"}),
    "draft": ("text/plain", "Dear Bob, the offer.\r\n", {"is_draft": True}),
}
"""By the reason; what rules would leave alone too is sent as an ordinary message of the same Message-ID."""


def test_what_can_not_be_made_anew_is_left_as_it_is(exchange: Exchange) -> None:
    sent: dict[str, tuple[str, str, PeerItem]] = {}
    for reason, (content_type, body, put) in LEFT_ALONE.items():
        mailbox = exchange.mailbox()
        content = _structured(mailbox, content_type, body)
        exchange.server.add_item(mailbox, content, **put)
        name = message_id_of(content)
        [item] = exchange.items(mailbox, name)
        sent[reason] = mailbox, name, item
        submit(exchange.relay, message(name, mailbox), sender=mailbox)
    for reason, (mailbox, name, item) in sent.items():
        assert exchange.outcome(mailbox, name) == f"skipped {reason}"
        assert exchange.items(mailbox) == [item]


def test_a_groups_mail_and_a_deleted_item_are_nobodys(exchange: Exchange) -> None:
    group = f"group{next(_numbers)}@example.com"
    exchange.server.add_group(group)
    submit(exchange.relay, message(name := new_id(), group), sender=group)
    assert exchange.outcome(group, name) == "skipped no-mailbox"
    mailbox = exchange.mailbox()
    item = exchange.server.add_item(mailbox, message(name := new_id(), mailbox))
    exchange.server.move_item(item, "deleteditems")
    submit(exchange.relay, message(name, mailbox), sender=mailbox)
    assert exchange.outcome(mailbox, name) == "waiting not-found"
    assert len(exchange.items(mailbox, folder="deleteditems")) == 1


def test_two_of_one_message_id_are_left_alone(exchange: Exchange) -> None:
    mailbox = exchange.mailbox()
    exchange.server.add_item(mailbox, message(name := new_id(), mailbox))
    exchange.send(mailbox, message(name, mailbox))
    assert exchange.outcome(mailbox, name) == "skipped ambiguous"
    assert [is_stamped(item) for item in exchange.items(mailbox)] == [False, False]


# --- what its owner does between our looking and our removing ---------------------------------------------------------


def test_what_its_owner_does_meanwhile_counts(exchange: Exchange) -> None:
    """While the answer to CreateItem is on its way, so that both items stand there."""
    boxes = {deed: exchange.mailbox() for deed in ("edit", "mark", "move", "delete")}
    names = {}
    for deed, mailbox in boxes.items():
        exchange.server.fail("slow", operation="CreateItem", mailbox=mailbox, delay_s=1.5)
        names[deed] = exchange.send(mailbox, message(new_id(), mailbox))
    for deed, mailbox in boxes.items():
        wait_until(partial(_are_two, exchange, mailbox), 60, f"two items: {deed}")
        [original] = [item for item in exchange.items(mailbox) if not is_stamped(item)]
        if deed == "edit":
            exchange.server.change_item(original.id, text="Dear Bob, no offer.")
        elif deed == "mark":
            exchange.server.change_item(original.id, categories=["Blue"], flag="Complete", is_read=False)
        elif deed == "move":
            exchange.server.move_item(original.id, "Customers")
        else:
            exchange.server.delete_item(original.id)
    marked = exchange.until_replaced(boxes["mark"], names["mark"])
    assert (marked.categories, marked.flag, marked.is_read) == (["Blue"], "Complete", False)
    assert exchange.outcome(boxes["edit"], names["edit"]) == "skipped edited"
    assert [item.text for item in exchange.items(boxes["edit"])] == ["Dear Bob, no offer."]
    for deed in ("move", "delete"):
        assert exchange.outcome(boxes[deed], names[deed]) == "skipped gone"
        assert exchange.items(boxes[deed]) == []
    assert [is_stamped(item) for item in exchange.items(boxes["move"], folder="Customers")] == [False]


def _are_two(exchange: Exchange, mailbox: str) -> bool:
    return len(exchange.items(mailbox)) == 2


# --- copies -----------------------------------------------------------------------------------------------------------

_INSIDE, _PARTNER = "[Inside] An offer", "[Partner] An offer"


def test_which_of_two_siblings_stands_there(exchange: Exchange) -> None:
    """Exchange hands over one message in several transactions; the second one may come when the first is done."""
    in_the_end = {
        "example.com": [("An offer", True)],
        "first.example": [(_INSIDE, False)],
        "last.example": [("An offer", True)],
        "all.example": [("An offer", True), (_INSIDE, False)],
    }
    boxes = {domain: exchange.mailbox(domain) for domain in in_the_end}
    names = {}
    for domain, mailbox in boxes.items():
        names[domain] = exchange.send(mailbox, message(new_id(), mailbox), f"colleague@{domain}")
    for domain, mailbox in boxes.items():
        assert exchange.outcome(mailbox, names[domain]) == "done"
        assert [item.subject for item in exchange.items(mailbox)] == [_INSIDE]
        submit(exchange.relay, message(names[domain], mailbox), sender=mailbox)
    for domain, mailbox in boxes.items():
        wait_until(partial(_has_ended_twice, exchange, mailbox, names[domain]), 60, f"a second end: {domain}")
        items = sorted((item.subject, is_stamped(item)) for item in exchange.items(mailbox))
        assert items == in_the_end[domain], domain


def _has_ended_twice(exchange: Exchange, mailbox: str, message_id: str) -> bool:
    return len(exchange.attempts(mailbox, message_id)) == 2


def test_a_message_that_splits_has_each_of_its_copies(exchange: Exchange) -> None:
    mailbox = exchange.mailbox("all.example")
    name = exchange.send(mailbox, message(new_id(), mailbox), "bob@example.net", "eve@partner.example")
    assert exchange.outcome(mailbox, name) == "done"
    assert sorted(item.subject for item in exchange.items(mailbox, name)) == ["An offer", _PARTNER]
    assert all(is_stamped(item) for item in exchange.items(mailbox, name))


def test_where_the_original_goes(exchange: Exchange) -> None:
    folders = {"last.example": "deleteditems", "first.example": "recoverableitemspurges"}
    boxes = {domain: exchange.mailbox(domain) for domain in folders}
    names = {domain: exchange.send(mailbox, message(new_id(), mailbox)) for domain, mailbox in boxes.items()}
    for domain, mailbox in boxes.items():
        exchange.until_replaced(mailbox, names[domain])
        assert [is_stamped(item) for item in exchange.items(mailbox, folder=folders[domain])] == [False]


def test_the_original_may_stay_and_the_new_item_is_marked(exchange: Exchange) -> None:
    mailbox = exchange.mailbox("kept.example")
    name = exchange.send(mailbox, message(new_id(), mailbox), categories=["Red"])
    assert exchange.outcome(mailbox, name) == "done"
    shown = [(item.subject, item.categories, is_stamped(item)) for item in exchange.items(mailbox, name)]
    assert shown == [("An offer", ["Red"], False), ("[sent] An offer", ["Red", "Stamped"], True)]


def test_in_place_the_item_stays_the_same_one(exchange: Exchange) -> None:
    mailbox = exchange.mailbox("place.example", keeps_deleted=False)
    name = exchange.send(mailbox, letter(mailbox, Bcc="hidden@example.net"), categories=["Red"])
    [before] = exchange.items(mailbox)
    item = exchange.until_replaced(mailbox, name)
    assert item.id == before.id
    assert differing(before, item) <= _OTHERS | {"PublicStrings/Keywords"}
    assert (item.is_draft, item.bcc, item.categories) == (False, ["hidden@example.net"], ["Red", "Stamped"])
    assert [entry.folder for entry in exchange.server.items(mailbox)] == ["sentitems"]


# --- once and only once -----------------------------------------------------------------------------------------------


def test_two_addresses_of_one_mailbox_make_two_jobs_and_one_item(exchange: Exchange) -> None:
    alias = f"user-alias{next(_numbers)}@example.com"
    mailbox = exchange.mailbox(aliases=[alias])
    name = exchange.send(mailbox, letter(alias, Sender=mailbox))
    ends = sorted([exchange.outcome(mailbox, name), exchange.outcome(alias, name)])
    assert ends == ["done", "skipped other-job"]
    assert [is_stamped(item) for item in exchange.items(mailbox)] == [True]


def test_what_was_made_is_known_again_where_searches_are_late(exchange: Exchange) -> None:
    mailbox = exchange.mailbox(find_delay_s=2)
    exchange.server.fail("drop", operation="CreateItem", mailbox=mailbox)
    name = exchange.send(mailbox, message(new_id(), mailbox))
    assert exchange.outcome(mailbox, name) == "waiting outcome-unknown"
    wait_until(lambda: len(exchange.items(mailbox)) == 2, 60, "the item whose answer was lost")
    exchange.relay.cli_here("sentitems", "retry", "--message-id", name)
    exchange.server.release(mailbox)
    exchange.relay.cli_here("sentitems", "retry", "--message-id", name)
    exchange.until_replaced(mailbox, name)
    assert [entry.operation for entry in exchange.server.log() if entry.mailbox == mailbox].count("CreateItem") == 1
