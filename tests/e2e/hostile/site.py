"""A relay under attack: its listeners, its next hop that reads strictly and loosely at once, and what it costs."""

from __future__ import annotations

import contextlib
import itertools
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import trustme

from tests.servers.client import SmtpClient, send
from tests.servers.load import simple_message
from tests.servers.processes import rss_mb
from tests.servers.relay import Relay
from tests.servers.sink import Arrived, Sink, read_loosely
from tests.servers.wait import free_port, wait_until

RULES = """\
rules:
  - name: stamped
    when:
      - recipient: {domain: stamped.example}
    actions:
      - tag-subject: {text: "[tagged]"}
      - stamp: {template: marker, place: bottom}
"""
ACCOUNT, PASSWORD = "jane@example.com", "correct horse"
BALANCER = "127.0.0.5"
PARTNER = "mail.partner.example"


@dataclass
class Site:
    """Listeners by name.

    `exchange` (trusted), `internet` (inbound), `devices` (trusted, makes CRLF of bare line ends), `secure` (inbound,
    requires STARTTLS), `submission` (for who signs in), `partners` (for who shows a certificate), `few` (with room for
    few), `balanced` (trusted, behind a load balancer).
    """

    relay: Relay
    sink: Sink
    authority: trustme.CA
    """Of the relay's own certificate."""
    partners: trustme.CA
    """Of those that partners show."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def port(self, listener: str) -> int:
        return next(int(each["port"]) for each in self.relay.settings["listeners"] if each["name"] == listener)

    @property
    def worker(self) -> int:
        """The process that is attacked."""
        (pid,) = self.relay.worker_pids()
        return pid

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.worker}/fd").iterdir()))

    def rss_mb(self) -> float:
        return rss_mb(self.worker)

    def client_context(self) -> ssl.SSLContext:
        """A client's, that trusts the relay."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def forget(self) -> None:
        """Let what has arrived so far not count."""
        self.relay.wait_until_settled()
        self.sink.arrived.clear()
        self.sink.streams[:] = [stream for stream in self.sink.streams if not _clear(stream)]

    def arrived(self) -> list[Arrived]:
        """All that has arrived since `forget`, after a good message went through; that one is left out.

        Whoever reads loosely has to see the same messages as who reads strictly.
        """
        name = f"probe-{os.getpid()}-{next(self._numbers)}"
        answer = send(self.port("exchange"), "jane@example.com", ["probe@customer.example"], simple_message(name))
        self.relay.wait_until_settled()
        assert answer.code == 250
        self.sink.wait_for_message(f"<{name}@".encode())
        found = [each for each in self.sink.arrived if each.rcpt_to != ("probe@customer.example",)]
        loose = [each for stream in self.sink.streams for each in read_loosely(stream)]
        assert len(loose) == len(self.sink.arrived)
        assert sorted(each.rcpt_to for each in loose) == sorted(each.rcpt_to for each in self.sink.arrived)
        self.forget()
        return found

    def is_sane(self) -> bool:
        """Whether a new client is greeted and served."""
        with SmtpClient(self.port("exchange")) as client:
            return client.command(b"NOOP").code == 250

    def wait_until_all_left(self, files_before: int) -> None:
        """Until no more files and sockets are open than before."""
        wait_until(
            lambda: self.open_files() <= files_before, 60,
            lambda: f"files to be closed: {self.open_files()} open, {files_before} before",
        )  # fmt: skip


def _clear(stream: bytearray) -> bool:
    """A connection may live on: what it says from now on counts."""
    stream.clear()
    return False


def _listeners(folder: Path) -> list[dict[str, Any]]:
    tls = {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    limits = {"connections_per_client": 900, "idle": "60s"}
    trusted = {"role": "trusted", "address": "127.0.0.1", "limits": limits, "allowed_networks": ["127.0.0.1/32"]}
    inbound = {"role": "inbound", "address": "127.0.0.1", "limits": limits}
    # fmt: off
    kinds: dict[str, dict[str, Any]] = {
        "exchange": {**trusted, "tls": {"mode": "offered", **tls}},
        "internet": {**inbound, "tls": {"mode": "offered", **tls}},
        "devices": {**trusted, "bare_line_ends": "normalise"},
        "secure": {**inbound, "tls": {"mode": "required", **tls}},
        "submission": {
            **trusted, "tls": {"mode": "offered", **tls}, "allowed_networks": [],
            "accounts_file": str(folder / "accounts"),
            "clients": [{"name": "people", "accounts": ["*"], "senders": [ACCOUNT, "*.sub.example.com"]}],
        },
        "partners": {
            **trusted, "tls": {"mode": "required", **tls, "client_ca_file": str(folder / "partners.pem")},
            "allowed_networks": [], "clients": [{"name": "partner", "certificates": [PARTNER]}],
        },
        "few": {**inbound, "limits": {"connections": 20, "connections_per_client": 5, "idle": "60s"}},
        "balanced": {
            **trusted, "allowed_networks": ["127.0.0.1/32", "192.0.2.0/24"], "proxy_networks": [f"{BALANCER}/32"],
        },
    }
    # fmt: on
    return [{"name": name, "port": free_port(), **kind} for name, kind in kinds.items()]


@contextmanager
def running_site(folder: Path, **overrides: Any) -> Iterator[Site]:
    """Started, and ended afterwards."""
    authority, partners = trustme.CA(), trustme.CA(path_length=60)
    leaf = authority.issue_cert("relay.example.com")
    folder.mkdir(parents=True, exist_ok=True)
    partners.cert_pem.write_to_path(folder / "partners.pem")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "key.pem").chmod(0o600)
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    (folder / "accounts").write_text(f"{ACCOUNT}:{hashed}\n")
    (folder / "accounts").chmod(0o600)
    with Sink(keeps_streams=True) as sink:
        relay = Relay(folder / "relay", sink.port, **{"listeners": _listeners(folder), **overrides})
        with contextlib.ExitStack() as stack:
            stack.callback(relay.clean_up)
            relay.settings["next_hops"][0]["keep_idle"] = "1s"  # or tests that count open files wait for it
            relay.write_settings()
            relay.write_rules(RULES)
            relay.write_template("marker", "<p>STAMPED</p>\n", "STAMPED\n")
            relay.start()
            yield Site(relay, sink, authority, partners)
