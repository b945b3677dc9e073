"""Polled mail in a customer's name, with the real process, a DNS server, and signatures as others make them."""

from __future__ import annotations

from pathlib import Path

import dkim

from mta.message.reference import make_reference
from tests.e2e.tracking.maildirs import Maildirs, message, tracking
from tests.e2e.tracking.test_strangers import entries
from tests.servers.dns import SERVFAIL, dns_server
from tests.servers.relay import running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until
from tests.unit.authenticate.test_dkim import Key

JANE, BOB = "Jane <jane0@example.net>", "Bob <bob@silent.example>"


def test_who_proves_himself_joins_who_is_forged_is_held_and_who_can_t_be_asked_about_waits(tmp_path: Path) -> None:
    key, boxes = Key.make(2048), Maildirs(tmp_path / "boxes", "help")

    def signed(content: bytes, domain: bytes = b"example.net") -> bytes:
        return bytes(dkim.sign(content, b"s1", domain, key.pem)) + content

    zone = {
        "s1._domainkey.example.net": [("TXT", key.record())],
        "_dmarc.example.net": [("TXT", "v=DMARC1; p=quarantine")],
        "s1._domainkey.silent.example": SERVFAIL,
        "_dmarc.silent.example": SERVFAIL,
    }
    organisation = tracking(tmp_path / "desk", boxes.settings("help", poll={"every": 9999}), correlation={})
    boxes.put("help", message(0))
    boxes.put("help", message(10, From=BOB))
    with Sink() as sink, dns_server(zone) as dns:
        to_ask = {"servers": [dns.address], "timeout": "60s"}
        with running_relay(tmp_path / "relay", sink.port, organisation=organisation, dns=to_ask) as relay:
            wait_until(lambda: not boxes.waiting("help"), 60, "the first messages are taken")
            assert not dns.asked, "nothing depended on who wrote them"
            first = next(each for each in entries(relay.folder / "spool") if each.message_id == "<m0@example.net>")
            assert first.transaction is not None
            reference = make_reference((tmp_path / "desk" / "key").read_bytes(), first.transaction)
            fields = {"From": JANE, "References": f"<{reference}@relay.example.com>"}
            for data in (
                signed(message(1, **fields)),
                message(2, **fields),
                signed(message(3, **fields), b"stranger.example"),
                signed(message(4, **fields)).replace(b"It prints nothing", b"Pay to this account"),
                signed(message(5, From=JANE, Subject=f"Re: [Ticket - {first.transaction.number:06}]")),
                message(6, From=JANE, Subject=f"Re: [Ticket - {first.transaction.number:06}]"),
                signed(message(11, From=BOB, In_Reply_To="<m10@example.net>"), b"silent.example"),
                message(7),
            ):
                boxes.put("help", data)
            relay.cli_here("mailbox", "poll", "help")
            held = ("pending", "unproven-sender")
            assert {each.message_id: (each.state.value, each.reason) for each in entries(relay.folder / "spool")} == {
                "<m0@example.net>": ("joined", "rule"),
                "<m10@example.net>": ("joined", "rule"),
                "<m1@example.net>": ("joined", "signed-reference"),
                "<m2@example.net>": held,
                "<m3@example.net>": held,
                "<m4@example.net>": held,
                "<m5@example.net>": ("joined", "subject-token"),
                "<m6@example.net>": held,
                "<m7@example.net>": ("joined", "rule"),
            }
            (left,) = boxes.waiting("help")
            assert b"<m11@example.net>" in left.read_bytes()
            assert "DNS gave no answer about silent.example" in relay.cli_here("trace", "<m11@example.net>").stdout
