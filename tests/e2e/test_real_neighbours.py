"""A real Postfix before and behind the relay, and real verifiers of its signatures."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import dkim
import pytest
import trustme

from tests.servers.client import send
from tests.servers.exim import running_exim
from tests.servers.load import simple_message
from tests.servers.opendkim import opendkim_says
from tests.servers.postfix import running_postfix
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("needs_postfix")]

RULES = "rules:\n  - name: all\n    actions: [{stamp: {template: marker, place: bottom}}]\n"
MARKER = "POSTFIXSTAMP"


def _relay(folder: Path, next_hop_port: int) -> tuple[Relay, dict[bytes, bytes]]:
    relay = Relay(folder, next_hop_port)
    dns = relay.add_dkim_key()
    relay.write_rules(RULES)
    relay.write_template("marker", f"<p>{MARKER}</p>\n", f"{MARKER}\n")
    return relay, dns


@pytest.mark.usefixtures("needs_opendkim")
def test_what_goes_on_through_postfix_is_stamped_and_its_signature_holds(tmp_path: Path) -> None:
    content = simple_message("pf", text="Bäume.\r\n.a dot\r\n..two dots\r\n" + "x" * 700)
    with Sink() as sink, running_postfix(sink.port) as postfix:
        relay, dns = _relay(tmp_path / "relay", postfix.port)
        try:
            relay.start()
            answer = send(relay.port, "jane@example.com", ["a@customer.example", "b@customer.example"], content)
            assert answer.code == 250
            arrived = sink.wait_for_message(b"<pf@mail.example.com>")
        finally:
            relay.clean_up()
        assert sorted(arrived.rcpt_to) == ["a@customer.example", "b@customer.example"]
        assert arrived.data.count(MARKER.encode()) == 2
        assert b"\r\n.a dot\r\n..two dots\r\n" in arrived.data
        assert dkim.verify(arrived.data, dnsfunc=lambda name, timeout=5: dns.get(name))
        assert "succeeded" in opendkim_says(tmp_path, arrived.data, dns)
        wait_until(lambda: postfix.queue() == "", 60, "an empty queue")


def test_postfix_in_front_hands_its_mail_to_the_relay(tmp_path: Path) -> None:
    with Sink() as sink:
        relay, _ = _relay(tmp_path / "relay", sink.port)
        try:
            relay.start()
            with running_postfix(relay.port) as postfix:
                for number in range(20):
                    recipients = [f"r{number}@customer.example", f"s{number}@customer.example"]
                    assert send(postfix.port, "jane@example.com", recipients, simple_message(number)).code == 250
                arrived = sink.wait_for(20)
        finally:
            relay.clean_up()
    assert len(arrived) == 20
    assert all(message.data.count(MARKER.encode()) == 2 for message in arrived)
    assert {path for message in arrived for path in message.rcpt_to} == {
        f"{name}{number}@customer.example" for number in range(20) for name in "rs"
    }


@pytest.mark.usefixtures("needs_exim")
def test_what_exim_sends_by_chunks_goes_on_as_it_was(tmp_path: Path) -> None:
    """Without a rule nothing changes but what stands on top."""
    contents = {
        "small": simple_message("small"),
        "8bit": simple_message("8bit", text="Grüße.\r\n.dot\r\n..two"),
        "large": simple_message("large", text="x" * 70 + ("\r\n.Grüße, " + "y" * 60) * 60_000),
    }
    with Sink() as sink, running_relay(tmp_path / "relay", sink.port) as relay, running_exim(relay.port) as exim:
        for name, content in contents.items():
            answer = send(exim.port, "jane@example.com", ["a@customer.example"], content, parameters=" BODY=8BITMIME")
            assert answer.code == 250
            assert sink.wait_for_message(f"<{name}@mail.example.com>".encode()).data.endswith(content)
        wait_until(lambda: exim.log().count(" K ") == len(contents), 60, "BDAT in Exim's log")


def test_implicit_tls_and_a_load_balancer_in_front(tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("relay.example.com")
    leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "relay.pem")
    with Sink() as sink:
        relay = Relay(tmp_path / "relay", sink.port)
        pem = str(tmp_path / "relay.pem")
        relay.settings["listeners"][0] |= {
            "tls": {"mode": "implicit", "certificate": pem, "key": pem},
            "proxy_networks": ["127.0.0.0/8"],
            "allowed_networks": ["192.0.2.0/24"],
        }
        relay.write_settings()
        try:
            relay.cli_here("check")
            relay.start()
            with socket.create_connection(("127.0.0.1", relay.port), timeout=60) as connection:
                connection.sendall(b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 465\r\n")
                trusting = ssl.create_default_context()
                authority.configure_trust(trusting)
                with trusting.wrap_socket(connection, server_hostname="relay.example.com") as tls:
                    tls.sendall(
                        b"EHLO client.example.com\r\nMAIL FROM:<jane@example.com>\r\nRCPT TO:<a@customer.example>\r\n"
                        b"BDAT 17 LAST\r\nSubject: x\r\n\r\nb\r\nQUIT\r\n"
                    )
                    while tls.recv(4096):
                        pass
            arrived = sink.wait_for_message(b"Subject: x\r\n\r\nb\r\n")
            assert relay.wait_for_event("accepted")["client"] == "192.0.2.7"
            assert b"[192.0.2.7]" in arrived.data
        finally:
            relay.clean_up()


def test_what_postfix_refuses_comes_back_to_the_sender(tmp_path: Path) -> None:
    refusing = {"smtpd_recipient_restrictions": "check_recipient_access inline:{gone@customer.example=REJECT}"}
    with Sink() as sink, running_postfix(sink.port, refusing) as postfix:
        relay, _ = _relay(tmp_path / "relay", postfix.port)
        try:
            relay.start()
            recipients = ["gone@customer.example", "here@customer.example"]
            send(relay.port, "jane@example.com", recipients, simple_message("half"))
            bounce = sink.wait_for_message(b"report-type=delivery-status")
            copy = next(each for each in sink.wait_for(2) if each is not bounce)
        finally:
            relay.clean_up()
    assert copy.rcpt_to == ("here@customer.example",)
    assert bounce.mail_from == ""
    assert bounce.rcpt_to == ("jane@example.com",)
    assert b"gone@customer.example" in bounce.data
