"""Mail from outside through the real relay: authenticated, stamped, sealed; and what only claims to be ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dkim
import pytest

from mta.message.parse import parse
from tests.servers.client import Answer, send
from tests.servers.dns import BLACK_HOLE, DnsServer, dns_server
from tests.servers.load import simple_message
from tests.servers.mail_dkim import mail_dkim_says
from tests.servers.relay import Relay, make_rsa_key
from tests.servers.sink import Sink
from tests.servers.wait import free_port

RULES = """\
rules:
  - name: refuse-forgeries
    direction: inbound
    when: {all: [{sender: {claims: internal}}, {authentication: {dmarc: fail}}]}
    actions: [{reject: {code: 550, status: 5.7.1, text: A forgery}}]
  - name: banner
    direction: inbound
    actions: [{stamp: {template: banner, place: top}}]
  - name: unverified
    direction: inbound
    when: {authentication: {dmarc: [temperror, permerror, none]}}
    actions: [{tag-subject: {text: '[unverified]'}}]
  - name: signature
    direction: outbound
    actions: [{stamp: {template: signature, place: bottom}}]
"""
NOBODY = "127.0.0.1:9"


@dataclass
class Running:
    relay: Relay
    sink: Sink
    dns: DnsServer
    key: bytes
    sent: int = field(default=0)

    def message(self, sender: str, *extra: str) -> bytes:
        self.sent += 1
        header = [
            *extra, f"From: {sender}", "To: jane@example.com", f"Subject: number {self.sent}",
            "Date: Sun, 22 Nov 2026 10:00:00 +0000", f"Message-ID: <{self.sent}@inbound.test>", "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
        ]  # fmt: skip
        return "\r\n".join([*header, "", "Hello there.", ""]).encode()

    def signed(self, content: bytes, domain: str = "example.org") -> bytes:
        return bytes(dkim.sign(content, b"s1", domain.encode(), self.key)) + content

    def through(self, content: bytes, sender: str, *, port: int = 0, to: str = "jane@example.com") -> bytes:
        """What arrives at the next hop."""
        answer = self.send(content, sender, port=port, to=to)
        self.relay.wait_until_settled(answer.queue_id)
        return self.sink.wait_for_message(f"<{self.sent}@inbound.test>".encode()).data

    def send(self, content: bytes, sender: str, *, port: int = 0, to: str = "jane@example.com") -> Answer:
        return send(port or self.relay.inbound_port, sender, [to], content)


def _laid_out(folder: Path, sink: Sink, dns: str, **overrides: Any) -> Relay:
    relay = Relay(folder, sink.port, dns={"servers": [dns], "timeout": "2s"}, **overrides)
    relay.settings["listeners"][1]["authentication"] = {"mode": "verify"}
    relay.write_rules(RULES)
    relay.write_template("banner", "<p>EXTERNAL SENDER</p>", "EXTERNAL SENDER\n")
    relay.write_template("signature", "<p>SIGNED BY US</p>", "SIGNED BY US\n")
    return relay


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("inbound")
    record = make_rsa_key(folder / "org.pem")
    with Sink() as sink, dns_server({"dark.example": BLACK_HOLE}) as dns:
        relay = _laid_out(folder / "relay", sink, dns.address)
        ours = next(iter(relay.add_dkim_key().values())).decode()
        arc = {"domain": "example.com", "selector": "s1", "key": {"file": "dkim-example.com.pem"}}
        relay.settings["organisation"]["arc"] = arc
        gateway = {"mode": "trust", "authserv_ids": ["gw.example.net"]}
        third = relay.settings["listeners"][1] | {
            "name": "gateway", "port": free_port(), "allowed_networks": ["127.0.0.1/32"], "authentication": gateway,
        }  # fmt: skip
        relay.settings["listeners"].append(third)
        relay.write_settings()
        dns.records |= {
            "example.org": [("TXT", "v=spf1 ip4:127.0.0.1 -all")],
            "_dmarc.example.org": [("TXT", "v=DMARC1; p=reject")],
            "s1._domainkey.example.org": [("TXT", record)],
            "example.com": [("TXT", "v=spf1 -all")],
            "_dmarc.example.com": [("TXT", "v=DMARC1; p=reject")],
            "s1._domainkey.example.com": [("TXT", ours)],
        }
        try:
            relay.start()
            yield Running(relay, sink, dns, (folder / "org.pem").read_bytes())
        finally:
            relay.clean_up()


def _results(copy: bytes) -> str:
    return parse(copy).header("authentication-results")


@pytest.mark.server
@pytest.mark.usefixtures("needs_mail_dkim")
def test_a_good_message_is_verified_stamped_and_sealed(running: Running) -> None:
    copy = running.through(running.signed(running.message("Ann <ann@example.org>")), "ann@example.org")
    said = _results(copy)
    assert said.startswith("relay.example.com;")
    for result in ("spf=pass smtp.mailfrom=example.org", "dkim=pass", "header.d=example.org", "dmarc=pass", "arc=none"):
        assert result in said
    assert b"EXTERNAL SENDER" in copy
    assert mail_dkim_says("arc", copy, running.dns.address).startswith("pass")
    logged = running.relay.wait_for_event("authenticated", spf="pass", dmarc="pass")
    assert (logged["dkim_domains"], logged["arc"]) == ("example.org", "none")


@pytest.mark.server
@pytest.mark.usefixtures("needs_mail_dkim")
def test_a_chain_goes_on_where_it_holds_and_ends_where_it_broke(running: Running) -> None:
    first = running.through(running.signed(running.message("ann@example.org")), "ann@example.org")
    inside = first.replace(b"X-Stampline-Processed", b"X-Other")
    running.sink.arrived.clear()
    second = running.through(inside, "ann@example.org")
    assert "arc=pass" in _results(second)
    assert second.startswith(b"ARC-Seal: i=2;")
    assert mail_dkim_says("arc", second, running.dns.address).startswith("pass")
    running.sink.arrived.clear()
    third = running.through(inside.replace(b"Hello", b"Hullo"), "ann@example.org")
    assert "arc=fail" in _results(third)
    assert b"cv=fail" in parse(third).raw(parse(third).fields_named("arc-seal")[0])
    assert mail_dkim_says("arc", third, running.dns.address).startswith("fail")
    running.sink.arrived.clear()


def test_forged_results_of_ours_are_removed_and_others_stay(running: Running) -> None:
    forged = "Authentication-Results: (by) Relay.Example.COM; dmarc=pass header.from=example.com"
    other = "Authentication-Results: mx.example.net; dmarc=pass header.from=example.org"
    copy = running.through(running.message("ann@example.org", forged, other), "ann@example.org")
    fields = parse(copy).headers("authentication-results")
    assert [each.partition(";")[0] for each in fields] == ["relay.example.com", "mx.example.net"]


def test_a_forgery_is_refused(running: Running) -> None:
    answer = running.send(running.message("Boss <jane@example.com>"), "x@evil.example")
    assert (answer.code, answer.text.partition(" ")[0]) == (550, "5.7.1")
    answer = running.send(running.message("Boss <jane@example.com>"), "jane@example.com")
    assert answer.code == 550


def test_a_domain_whose_servers_are_silent_holds_nobody_up(running: Running) -> None:
    copy = running.through(running.message("x@dark.example"), "x@dark.example")
    assert "spf=temperror" in _results(copy)
    assert "EXTERNAL" in copy.decode()


def test_a_gateway_is_believed_and_its_chain_is_our_own_business(running: Running) -> None:
    port = int(running.relay.settings["listeners"][2]["port"])
    stated = "Authentication-Results: gw.example.net; spf=pass smtp.mailfrom=example.org; dmarc=none"
    copy = running.through(running.message("ann@example.org", stated), "ann@example.org", port=port)
    assert _results(copy).replace("\r\n", "").split(";")[0] == "relay.example.com"
    assert "spf=pass" in _results(copy)
    assert b"[unverified]" in copy
    assert copy.startswith(b"ARC-Seal: i=1;")


@pytest.mark.parametrize(
    ("reverse_path", "header", "is_ours"),
    [
        ("jane@example.com", (), True),
        ("", (), True),
        ("john@example.com", ("Sender: john@example.com",), True),
        ("bounce-1@news.example.com", (), True),
        ("x@evil.example", (), False),
        ("jane+SRS=Ab12=CD=evil.example=x@example.com", (), False),
        ("SRS0=Ab12=CD=evil.example=x@example.com", (), False),
        ("john@example.com", ("X-MS-Exchange-Organization-AuthAs: Anonymous",), False),
        ("john@example.com", ("X-MS-Exchange-Organization-AuthAs: Internal",), True),
        ("john@example.com", ("Authentication-Results: relay.example.com; dmarc=fail",), False),
    ],
)
def test_what_our_own_server_passes_on_for_a_stranger_is_not_ours(
    running: Running, reverse_path: str, header: tuple[str, ...], is_ours: bool
) -> None:
    content = running.message("Jane <jane@example.com>", *header)
    copy = running.through(content, reverse_path, port=running.relay.port, to="bob@customer.example")
    # Mail with the null reverse-path is stamped only where a rule asks for it by name.
    assert (b"SIGNED BY US" in copy) is (is_ours and bool(reverse_path))
    assert parse(copy).has("dkim-signature") is is_ours
    assert not parse(copy).has("arc-seal")


def test_mail_flows_while_dns_is_dead(tmp_path: Path) -> None:
    with Sink() as sink, dns_server({"*": BLACK_HOLE}) as dns:
        relay = _laid_out(tmp_path / "relay", sink, dns.address)
        relay.settings["next_hops"].append({"name": "direct", "kind": "mx"})
        relay.settings["routing"]["domains"] = {"direct.example": "direct"}
        relay.write_settings()
        try:
            relay.start()
            running = Running(relay, sink, dns, b"")
            to_mx = send(relay.port, "jane@example.com", ["r@direct.example"], simple_message("by-mx"))
            copy = running.through(running.message("ann@example.org"), "ann@example.org")
            assert "spf=temperror" in _results(copy)
            assert "dmarc=temperror" in _results(copy)
            assert b"[unverified]" in copy
            assert relay.wait_for_event("deferred", queue_id=to_mx.queue_id)["reply"].startswith("4")
            relay.settings["dns"]["servers"] = [NOBODY]
            relay.write_settings()
            relay.reload()
            relay.wait_for_event("reloaded")
            copy = running.through(running.message("ann@example.org"), "ann@example.org")
            assert "spf=temperror" in _results(copy)
        finally:
            relay.clean_up()


def test_bypass_asks_nobody(running: Running) -> None:
    running.relay.cli_here("bypass", "on", "--for", "1h")
    try:
        copy = running.through(running.message("ann@example.org"), "ann@example.org")
        assert not parse(copy).has("authentication-results")
        assert b"EXTERNAL" not in copy
    finally:
        running.relay.cli_here("bypass", "off")
