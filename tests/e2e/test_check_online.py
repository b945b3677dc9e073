"""`stampline check --online` with real servers around it: all in order, and one thing after the other broken."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.servers.dns import DnsServer, dns_server
from tests.servers.postfix import Postfix, running_postfix
from tests.servers.relay import Relay
from tests.servers.sink import Sink
from tests.servers.wait import free_port

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("needs_postfix")]
OURS = [
    ("MX", (10, "relay.example.com")),
    ("TXT", "v=spf1 a:relay.example.com -all"),
]


class Site:
    """A configuration, a DNS, and a Postfix with TLS as next hop. The relay itself does not run."""

    def __init__(self, relay: Relay, dns: DnsServer, sink: Sink, authority: trustme.CA) -> None:
        self.relay, self.dns, self.sink, self.authority = relay, dns, sink, authority

    def check(self, *arguments: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
        """Exit code, and lines by `kind name`."""
        self.relay.write_settings()
        done = self.relay.cli_here("check", "--online", "--json", *arguments, check=False)
        answer = json.loads(done.stdout)
        assert answer["ok"] is (done.returncode == 0)
        return done.returncode, {f"{each['kind']} {each['name']}": each["lines"] for each in answer["online"]}


def write_certificate(folder: Path, authority: trustme.CA, name: str, ends: datetime | None = None) -> dict[str, str]:
    """By an authority below the one that everybody knows, so that there is a chain to send."""
    made = authority.create_child_ca().issue_cert(name, not_after=ends)
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
    made.private_key_pem.write_to_path(str(key))
    return {"certificate": str(chain), "key": str(key)}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


@pytest.fixture(scope="module")
def postfix(authority: trustme.CA, sink: Sink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postfix]:
    files = write_certificate(tmp_path_factory.mktemp("tls"), authority, "localhost")
    settings = {
        "smtpd_tls_security_level": "may", "smtpd_tls_cert_file": files["certificate"],
        "smtpd_tls_key_file": files["key"],
    }  # fmt: skip
    with running_postfix(sink.port, settings) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, authority: trustme.CA, sink: Sink, postfix: Postfix) -> Iterator[Site]:
    relay = Relay(tmp_path / "relay", 1)
    records = {name.decode(): [("TXT", text.decode())] for name, text in relay.add_dkim_key().items()}
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    tls = {"mode": "required", "ca_file": str(tmp_path / "ca.pem")}
    relay.settings["next_hops"][0] |= {"hosts": [{"host": "localhost", "port": postfix.port}], "tls": tls}
    own = write_certificate(tmp_path, authority, "relay.example.com", datetime.now(UTC) + timedelta(days=90))
    relay.settings["listeners"][0]["tls"] = {"mode": "offered", **own}
    relay.settings["alerts"] = {"disk_free": "1MB"}
    with dns_server({"example.com": OURS, "relay.example.com": [("A", "192.0.2.1")], **records}) as dns:
        relay.settings["dns"] = {"servers": [dns.address], "timeout": "2s"}
        try:
            yield Site(relay, dns, sink, authority)
        finally:
            relay.clean_up()


def failures(found: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {name: line["what"] for name, lines in found.items() for line in lines if line["status"] == "failed"}


def test_everything_in_order(site: Site) -> None:
    code, found = site.check()
    assert code == 0, found
    assert list(found) == [
        "machine disk of the spool", "machine disk of the logs", f"dns {site.dns.address}", "next-hop out",
        "directory default", "key s1._domainkey.example.com", "domain example.com", "certificate listener exchange",
    ]  # fmt: skip
    lines = [line for name, each in found.items() for line in each]
    # Postfix listens on one of localhost's addresses, and takes larger messages than we do.
    assert {line["status"] for line in lines if "::1" not in line["what"]} == {"ok"}, lines
    assert any("verified: certificate of localhost" in line["what"] for line in found["next-hop out"])
    assert site.sink.arrived == []


def test_as_text_for_people(site: Site) -> None:
    site.dns.records["s1._domainkey.example.com"] = [("TXT", "v=DKIM1; k=rsa; p=")]
    site.relay.write_settings()
    done = site.relay.cli_here("check", "--online", "--only", "key", check=False)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ok: 0 rules")
    assert lines[2:4] == [
        "key s1._domainkey.example.com", "  failed   the record is of no use: p= is empty, which revokes the key",
    ]  # fmt: skip
    assert lines[4].strip().startswith("publish: s1._domainkey.example.com. IN TXT (")
    assert lines[-1] == "0 ok, 0 warning, 1 failed"
    assert done.stderr == ""


def test_what_is_broken_is_told_apart(site: Site, tmp_path: Path) -> None:
    """Several faults at once: each at its own place, and what is in order stays so."""
    own = write_certificate(tmp_path, site.authority, "relay.example.com", datetime.now(UTC) - timedelta(days=1))
    settings: dict[str, Any] = site.relay.settings
    settings["listeners"][0]["tls"] = {"mode": "offered", **own}
    hop = settings["next_hops"][0]
    settings["next_hops"] += [
        hop | {"name": "down", "hosts": [{"host": "127.0.0.1", "port": free_port()}]},
        hop | {"name": "stranger", "tls": {"mode": "required"}},
        hop | {"name": "gone", "hosts": [{"mx": "gone.example"}]},
        hop | {"name": "closed", "hosts": [{"mx": "closed.example"}]},
    ]
    settings["next_hops"].append({"name": "circle", "kind": "mx"})
    settings["routing"]["domains"] = {"example.com": "circle"}
    site.dns.records["closed.example"] = [("MX", (0, "."))]
    site.dns.records["s1._domainkey.example.com"] = []
    code, found = site.check()
    assert code == 1
    failed = failures(found)
    assert failed.keys() == {
        "next-hop down", "next-hop stranger", "next-hop gone", "next-hop closed", "next-hop circle",
        "key s1._domainkey.example.com", "certificate listener exchange",
    }  # fmt: skip
    assert "Connection refused" in failed["next-hop down"]
    assert "the certificate is refused" in failed["next-hop stranger"]
    assert failed["next-hop gone"] == "gone.example: There is no such domain"
    assert failed["next-hop closed"] == "closed.example: The domain takes no mail (null MX)"
    assert "come back to us" in failed["next-hop circle"]
    assert "expired" in failed["certificate listener exchange"]


def test_who_says_nothing_is_waited_for_no_longer_than_asked(site: Site) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hosts = [{"host": "127.0.0.1", "port": silent.getsockname()[1]}]
        site.relay.settings["next_hops"].append(
            site.relay.settings["next_hops"][0] | {"name": "silent", "hosts": hosts}
        )
        code, found = site.check("--only", "silent", "--timeout", "1")
    assert code == 1
    assert failures(found) == {"next-hop silent": "not done within 1 seconds"}


def test_next_hops_by_mx(site: Site, postfix: Postfix) -> None:
    site.dns.records |= {"branch.example": [("MX", (10, "localhost"))], "localhost": [("A", "127.0.0.1")]}
    out = site.relay.settings["next_hops"][0]
    out["hosts"] = [{"mx": "branch.example", "port": postfix.port}]
    direct = {"name": "direct", "kind": "mx", "port": postfix.port, "tls": out["tls"], "private_addresses": True}
    site.relay.settings["next_hops"].append(direct)
    site.relay.settings["routing"]["domains"] = {"branch.example": "direct", "*.elsewhere.example": "direct"}
    code, found = site.check("--only", "next-hop")
    assert code == 0, found
    for name in ("next-hop out", "next-hop direct"):
        assert found[name][0]["what"] == "MX of branch.example: localhost"
        assert any("it takes mail from postmaster@" in line["what"] for line in found[name])


def test_some_by_their_names(site: Site) -> None:
    _, found = site.check("--only", "machine", "--only", "default", "--only", "example.com")
    assert list(found) == [
        "machine disk of the spool", "machine disk of the logs", "directory default", "domain example.com",
    ]  # fmt: skip
    done = site.relay.cli_here("check", "--online", "--only", "ouut", check=False)
    assert done.returncode == 2
    assert "nothing here is called 'ouut'; did you mean 'out'?" in done.stderr


def test_a_bad_configuration_comes_first(site: Site) -> None:
    site.relay.settings["routing"]["default"] = "nowhere"
    site.relay.write_settings()
    done = site.relay.cli("check", "--online", check=False)
    assert done.returncode == 2
    assert "no next hop is called 'nowhere'" in done.stdout
