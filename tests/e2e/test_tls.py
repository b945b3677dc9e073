"""TLS on both sides of the whole process: offered to or required of clients, and a Postfix that is verified."""

from __future__ import annotations

import smtplib
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.servers.client import SmtpClient, send
from tests.servers.load import simple_message
from tests.servers.postfix import running_postfix
from tests.servers.relay import Relay
from tests.servers.sink import Sink


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def _write_certificate(folder: Path, authority: trustme.CA, name: str) -> tuple[str, str]:
    """Certificate and key files for a host name."""
    folder.mkdir(exist_ok=True)
    certificate = authority.issue_cert(name)
    certificate.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
    certificate.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    return str(folder / f"{name}.pem"), str(folder / f"{name}.key")


def _relay(folder: Path, port: int, authority: trustme.CA, mode: str, hop_tls: dict[str, Any] | None = None) -> Relay:
    relay = Relay(folder, port)
    certificate, key = _write_certificate(folder, authority, "relay.example.com")
    relay.settings["listeners"][0]["tls"] = {"mode": mode, "certificate": certificate, "key": key}
    relay.settings["next_hops"][0]["tls"] = hop_tls or {"mode": "none"}
    relay.write_settings()
    return relay


def _context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


class _NamedSMTP(smtplib.SMTP):
    """Connects to this machine, but expects the relay's name in the certificate."""

    _host = "relay.example.com"

    def __init__(self, port: int) -> None:
        super().__init__(timeout=60)
        self.connect("127.0.0.1", port)
        self._host = "relay.example.com"


@pytest.mark.parametrize("mode", ["offered", "required"])
def test_a_client_speaks_tls_and_the_trace_says_so(tmp_path: Path, authority: trustme.CA, mode: str) -> None:
    with Sink() as sink:
        relay = _relay(tmp_path / "relay", sink.port, authority, mode)
        try:
            relay.start()
            with _NamedSMTP(relay.port) as client:
                client.starttls(context=_context(authority))
                client.sendmail("jane@example.com", ["r@customer.example"], simple_message("tls"))
            received = sink.wait_for_message(b"<tls@").data.partition(b"\r\nX-")[0]
        finally:
            relay.clean_up()
    assert b"ESMTPS" in received
    assert b"TLSv1." in received


def test_a_client_that_must_use_tls_gets_nowhere_without(tmp_path: Path, authority: trustme.CA) -> None:
    with Sink() as sink:
        relay = _relay(tmp_path / "relay", sink.port, authority, "required")
        try:
            relay.start()
            with SmtpClient(relay.port) as client:
                assert client.command(b"MAIL FROM:<jane@example.com>").code == 530
        finally:
            relay.clean_up()


@pytest.mark.server
@pytest.mark.usefixtures("needs_postfix")
def test_a_next_hop_is_verified_where_the_configuration_requires_it(tmp_path: Path, authority: trustme.CA) -> None:
    """The same Postfix: trusted with its authority's certificate, deferred with a stranger's."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "stranger.pem"))
    certificate, key = _write_certificate(tmp_path, authority, "postfix.example.com")
    tls = {"smtpd_tls_security_level": "encrypt", "smtpd_tls_cert_file": certificate, "smtpd_tls_key_file": key}
    with Sink() as sink, running_postfix(sink.port, tls) as postfix:
        hop = {"mode": "required", "verify_name": "postfix.example.com"}
        relay = _relay(tmp_path / "relay", postfix.port, authority, "offered", hop | {"ca_file": f"{tmp_path}/ca.pem"})
        try:
            relay.start()
            sent = send(relay.port, "jane@example.com", ["r@customer.example"], simple_message("verified"))
            sink.wait_for_message(b"<verified@")
            assert relay.wait_for_event("delivered", queue_id=sent.queue_id)["tls"].startswith("TLSv1.")
            relay.settings["next_hops"][0]["tls"]["ca_file"] = f"{tmp_path}/stranger.pem"
            relay.write_settings()
            relay.reload()
            relay.wait_for_event("reloaded")
            sent = send(relay.port, "jane@example.com", ["r@customer.example"], simple_message("doubtful"))
            assert "certificate" in relay.wait_for_event("deferred", queue_id=sent.queue_id)["reply"].lower()
        finally:
            relay.clean_up()
    assert len(sink.arrived) == 1
