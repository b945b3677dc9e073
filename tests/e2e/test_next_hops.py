"""The way out, with the real process: delivery by MX, next hops that hang, TLS and AUTH towards real servers."""

from __future__ import annotations

import hashlib
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.servers.client import send
from tests.servers.dns import dns_server
from tests.servers.exim import running_exim
from tests.servers.load import simple_message
from tests.servers.postfix import running_postfix
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink

Settings = dict[str, Any]
JANE = "jane@example.com"


def hop(name: str, port: int, **settings: Any) -> Settings:
    return {
        "name": name, "kind": "smtp", "hosts": [{"host": "127.0.0.1", "port": port}], "tls": {"mode": "none"},
        **settings,
    }  # fmt: skip


def direct(port: int, **settings: Any) -> Settings:
    return {
        "name": "direct", "kind": "mx", "port": port, "private_addresses": True, "tls": {"mode": "none"},
        "retry": {"schedule": ["30m"], "expire_after": "1d"}, **settings,
    }  # fmt: skip


def replies(relay: Relay, action: str) -> dict[str, str]:
    """Recipient → the reply in the log."""
    return {event["recipients"]: event["reply"] for event in relay.events(action)}


def test_mail_goes_straight_to_the_servers_of_each_domain(tmp_path: Path) -> None:
    with Sink() as sink, Sink() as home:
        records = {
            "a.example": [("MX", (10, "mx.a.example"))], "mx.a.example": [("A", "127.0.0.1")],
            "b.example": [("A", "127.0.0.1")], "null.example": [("MX", (0, "."))],
            "dead.example": [("MX", (10, "mx.dead.example"))], "mx.dead.example": [("A", "127.0.0.99")],
        }  # fmt: skip
        with dns_server(records) as dns:
            settings: Settings = {
                "next_hops": [direct(sink.port), hop("home", home.port)],
                "routing": {"default": "direct", "domains": {"example.com": "home"}},
                "dns": {"servers": [dns.address]},
            }
            rules = (
                "rules:\n  - name: direct\n    when: {all: [{recipient: {address: routed@example.com}}]}\n"
                "    actions: [{route: {next_hop: direct}}]\n"
            )
            with running_relay(tmp_path / "relay", sink.port, rules=rules, **settings) as relay:
                refused = ["eve@null.example", "bob@none.example", "routed@example.com"]
                taken, late = ["joe@a.example", "ann@B.example"], "tim@dead.example"
                answer = send(relay.port, JANE, [*taken, *refused, late], simple_message("out"))
                for who in refused:
                    home.wait_for_message(f"Final-Recipient: rfc822; {who}".encode())
                for who in taken:
                    relay.wait_for_event("delivered", recipients=who)
                relay.wait_for_event("deferred", recipients=late)
                ended = relay.events("delivered", "deferred", "failed")
                hops = {event["recipients"]: event["next_hop"] for event in ended}
                assert {hops[who] for who in (*taken, *refused, late)} == {
                    "direct/a.example", "direct/b.example", "direct/null.example", "direct/none.example",
                    "direct/dead.example", "direct/example.com",
                }  # fmt: skip
                assert {arrived.rcpt_to for arrived in sink.arrived} == {("joe@a.example",), ("ann@B.example",)}
                failed = replies(relay, "failed")
                assert failed["eve@null.example"].startswith("556 5.1.10")
                assert failed["bob@none.example"].startswith("550 5.1.2")
                assert failed["routed@example.com"].startswith("550 5.1.2"), "a rule's route goes by MX, too"
                listed = relay.cli_here("queue", "list", "--next-hop", "direct/dead.example", "--json").stdout
                assert [entry["queue_id"] for entry in json.loads(listed)] == [answer.queue_id]
                assert "direct/dead.example" in relay.cli_here("queue", "show", answer.queue_id).stdout


def test_a_next_hop_that_hangs_leaves_the_others_their_way(tmp_path: Path) -> None:
    """More mail for it than a worker may have in hand, by memory and from the queue."""
    with Sink(silent=True) as hanging, Sink() as sink:
        settings: Settings = {
            "next_hops": [hop("hanging", hanging.port, connections=5), hop("live", sink.port)],
            "routing": {"default": "live", "domains": {"hanging.example": "hanging"}},
            "spool": {"memory_per_worker": "500kB"},
        }
        with running_relay(tmp_path / "relay", sink.port, **settings) as relay:
            for number in range(150):
                assert (
                    send(relay.port, JANE, ["x@hanging.example"], simple_message(number, text="x" * 5000)).code == 250
                )
            send(relay.port, JANE, ["joe@live.example"], simple_message("after"))
            sink.wait_for_message(b"<after@")
            both = send(relay.port, JANE, ["x@hanging.example", "joe@live.example"], simple_message("both"))
            sink.wait_for_message(b"<both@")
            relay.wait_for_event("delivered", queue_id=both.queue_id)
            assert not relay.events("deferred", "failed")


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


def pem(certificate: trustme.LeafCert) -> bytes:
    return b"".join(each.bytes() for each in (certificate.private_key_pem, *certificate.cert_chain_pems))


@pytest.mark.server
@pytest.mark.usefixtures("needs_exim")
def test_exim_takes_mail_over_tls_after_a_login(tmp_path: Path, authority: trustme.CA) -> None:
    certificate = pem(authority.issue_cert("localhost"))
    (tmp_path / "password").write_text("a wrong one\n")
    with Sink() as sink, running_exim(sink.port, certificate=certificate, password="right") as exim:
        way = hop(
            "exim", exim.port, hosts=[{"host": "localhost", "port": exim.port}],
            tls={"mode": "required", "ca_file": str(tmp_path / "ca.pem")},
            auth={"user": "relay", "password": {"file": str(tmp_path / "password")}},
        )  # fmt: skip
        settings: Settings = {"next_hops": [way], "routing": {"default": "exim"}, "retry": {"schedule": ["1s"]}}
        with running_relay(tmp_path / "relay", sink.port, **settings) as relay:
            answer = send(relay.port, JANE, ["joe@customer.example"], simple_message("login"))
            refused = relay.wait_for_event("next-hop-login-refused", next_hop="exim")
            assert "535" in refused["reason"]
            relay.wait_for_event("deferred", queue_id=answer.queue_id)
            (tmp_path / "password").write_text("right\n")
            relay.stop()
            relay.start()
            relay.cli_here("queue", "retry", "--all")
            arrived = sink.wait_for_message(b"<login@")
            assert arrived.rcpt_to == ("joe@customer.example",)
            delivered = relay.wait_for_event("delivered", queue_id=answer.queue_id)
            assert delivered["tls"].startswith("TLSv1.3")
            log = "".join(path.read_text() for path in (tmp_path / "relay" / "log").iterdir())
            assert "a wrong one" not in log
        assert "A=plain:relay" in exim.log()


@pytest.mark.server
@pytest.mark.usefixtures("needs_postfix")
def test_postfix_takes_dsn_parameters_over_tls_known_by_its_fingerprint(tmp_path: Path, authority: trustme.CA) -> None:
    certificate = authority.issue_cert("another.example")
    (tmp_path / "server.pem").write_bytes(pem(certificate))
    der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
    tls = {"smtpd_tls_security_level": "encrypt", "smtpd_tls_chain_files": f"{tmp_path}/server.pem"}
    with Sink(extensions=("PIPELINING", "DSN")) as sink, running_postfix(sink.port, tls) as postfix:
        way = hop(
            "postfix", postfix.port,
            tls={"mode": "required", "fingerprints": [hashlib.sha256(der).hexdigest()]},
        )  # fmt: skip
        settings: Settings = {"next_hops": [way], "routing": {"default": "postfix"}}
        with running_relay(tmp_path / "relay", sink.port, **settings) as relay:
            answer = send(relay.port, JANE, ["joe@customer.example"], simple_message("tls"))
            sink.wait_for_message(b"<tls@")
            assert relay.wait_for_event("delivered", queue_id=answer.queue_id)["tls"].startswith("TLSv1.3")
