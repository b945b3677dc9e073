"""Access at the whole relay: Exchange Online, recipients that are asked for, counts over workers, changed files."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trustme

from tests.servers.client import SmtpClient, send
from tests.servers.relay import Relay
from tests.servers.sink import Sink
from tests.servers.wait import free_port, wait_until

TENANT = "01234567-89ab-cdef-0123-456789abcdef"
OTHER = "ffffffff-89ab-cdef-0123-456789abcdef"
OURS = b"X-MS-Exchange-CrossTenant-Id: %b\r\n" % TENANT.encode()
THEIRS = OURS.replace(TENANT.encode(), OTHER.encode())
TOKEN = "a-token-for-tests-only"
MESSAGE = b"From: jane@example.com\r\nTo: bob@customer.example\r\nSubject: Hi\r\nMessage-ID: <%b@x>\r\n\r\nHello\r\n"
PASSWORD = "correct horse"


@dataclass
class Place:
    """A relay of two workers, the next hop behind it, and who makes its certificates."""

    relay: Relay
    sink: Sink
    authority: trustme.CA
    folder: Path

    def port(self, listener: str) -> int:
        return next(int(each["port"]) for each in self.relay.settings["listeners"] if each["name"] == listener)

    def context(self, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
        return context


def write_certificate(authority: trustme.CA, folder: Path) -> None:
    leaf = authority.issue_cert("relay.example.com")
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    (folder / "key.pem").write_bytes(leaf.private_key_pem.bytes())


def write_accounts(folder: Path, *names: str) -> None:
    written = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
    (folder / "accounts").write_text("# people\n" + "".join(f"{name}:{written}\n" for name in names))


def mailboxes(verb: str, argument: str) -> str | None:
    """The next hop knows some people of example.com."""
    if verb == "RCPT" and argument.endswith("@example.com") and not argument.startswith(("jane@", "john@")):
        return "550 5.1.1 User unknown"
    return None


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, authority = tmp_path_factory.mktemp("access"), trustme.CA()
    write_certificate(authority, folder)
    write_accounts(folder, "printer")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    tls = {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    local = {"address": "127.0.0.1", "allowed_networks": ["127.0.0.1/32"]}
    online = {
        "name": "online", "port": free_port(), "role": "trusted", "peer": "exchange-online", **local,
        "exchange_online": {"tenant_id": TENANT.upper()},
        "clients": [{"name": "microsoft", "certificates": ["mail.protection.outlook.com"]}],
        "tls": {"mode": "required", "client_ca_file": str(folder / "ca.pem"), **tls},
    }  # fmt: skip
    internet = {
        "name": "internet", "port": free_port(), "role": "inbound", "address": "127.0.0.1",
        "limits": {"connections_per_client": 4}, "verify_recipients": {"by": "next-hop", "keep_unknown": "1s"},
    }  # fmt: skip
    by_directory = {
        "name": "by-directory", "port": free_port(), "role": "inbound", "address": "127.0.0.1",
        "verify_recipients": {"by": "directory"},
    }  # fmt: skip
    submission = {
        "name": "submission", "port": free_port(), "role": "trusted", **local, "tls": {"mode": "offered", **tls},
        "accounts_file": str(folder / "accounts"), "clients": [{"name": "devices", "accounts": ["*"]}],
    }  # fmt: skip
    with Sink(mailboxes) as sink:
        relay = Relay(folder / "relay", sink.port, workers=2, listeners=[online, internet, submission, by_directory])
        relay.settings["organisation"]["mark"]["token"] = {"file": "token"}
        (relay.folder / "token").write_text(TOKEN + "\n")
        relay.write_settings()
        try:
            relay.start()
            yield Place(relay, sink, authority, folder)
        finally:
            relay.clean_up()


# --- Exchange Online ---


@pytest.mark.parametrize(
    ("header", "may"),
    [
        (OURS, True), (OURS.replace(b": ", b":\r\n\t"), True), (OURS.lower(), True),
        (OURS.replace(TENANT.encode(), TENANT.upper().encode()), True),
        (b"", False), (THEIRS, False), (OURS + THEIRS, False), (THEIRS + OURS, False), (OURS + OURS, False),
        (OURS + b"x-ms-exchange-crosstenant-id: \r\n", False), (OURS.replace(b": ", b": (ours) "), False),
        (OURS.replace(b": ", b" : ") + THEIRS, False), (OURS[:-2] + b"," + OTHER.encode() + b"\r\n", False),
        (b"X-MS-Exchange-CrossTenant-Id:\r\n", False), (OURS.replace(b"-Id", b"-Id2"), False),
    ],
    ids=["ours", "folded", "lower-case", "upper-case", "none", "theirs", "ours-theirs", "theirs-ours", "twice",
         "and-an-empty-one", "comment", "space-before-colon", "a-list", "empty", "another-name"],
)  # fmt: skip
def test_one_tenant_and_only_ours(place: Place, header: bytes, may: bool) -> None:
    microsoft = place.context(place.authority.issue_cert("mail.protection.outlook.com"))
    with SmtpClient(place.port("online")) as client:
        client.start_tls(microsoft)
        answer = client.send("jane@example.com", ["bob@customer.example"], header + MESSAGE % b"tenant")
    assert answer.code == (250 if may else 550)
    if may:
        place.relay.wait_until_settled(answer.queue_id)
        copy = place.sink.wait_for_message(answer.queue_id.encode()).data
        assert header in copy  # Exchange's own fields are passed on
        assert copy.startswith(f"X-Stampline-Token: {TOKEN}\r\n".encode())
        assert copy.count(b"X-Stampline-Token") == 1


def test_the_tenant_alone_is_not_enough(place: Place) -> None:
    """Neither is the address, nor a certificate of somebody else's making or name."""
    for certificate in (None, trustme.CA().issue_cert("mail.protection.outlook.com"), "mail.customer.example"):
        leaf = place.authority.issue_cert(certificate) if isinstance(certificate, str) else certificate
        with SmtpClient(place.port("online")) as client:
            client.start_tls(place.context(leaf))
            assert client.command(b"MAIL FROM:<jane@example.com>").code == 550
    with SmtpClient(place.port("online")) as client:
        assert client.command(b"MAIL FROM:<jane@example.com>").code == 530


def test_the_token_of_a_stranger_and_what_only_exchange_may_say_are_taken_off(place: Place) -> None:
    posing = b"X-Stampline-Token: forged\r\nX-MS-Exchange-Organization-AuthAs: Internal\r\n" + OURS
    answer = send(place.port("internet"), "eve@stranger.example", ["jane@example.com"], posing + MESSAGE % b"posing")
    place.relay.wait_until_settled(answer.queue_id)
    copy = place.sink.wait_for_message(answer.queue_id.encode()).data
    assert b"forged" not in copy
    assert b"AuthAs" not in copy
    assert copy.count(b"X-Stampline-Token") == 1


# --- recipients ---


def test_recipients_that_the_next_hop_does_not_know_are_refused(place: Place) -> None:
    with SmtpClient(place.port("internet")) as client:
        assert client.command(b"MAIL FROM:<eve@stranger.example>").code == 250
        assert client.command(b"RCPT TO:<jane@example.com>").code == 250
        answer = client.command(b"RCPT TO:<nobody@example.com>")
        assert (answer.code, answer.text) == (550, "5.1.1 No such recipient here")
        assert client.command(b"RCPT TO:<postmaster>").code == 250
        assert client.command(b"RCPT TO:<bob@customer.example>").code == 550
    arrived = len(place.sink.arrived)
    answer = send(place.port("internet"), "eve@stranger.example", ["john@example.com"], MESSAGE % b"known")
    place.relay.wait_until_settled(answer.queue_id)
    assert len(place.sink.arrived) == arrived + 1  # asking has sent nothing


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("jane@example.com", 250), ("JANE@Example.COM", 250), ("jane+shop@example.com", 250), ("postmaster", 250),
        ("Postmaster@example.com", 250), ("SRS0=abcd=ef=stranger.example=eve@example.com", 250),
        ("bounces+SRS=abcd=ef@example.com", 250),
        ("nobody@example.com", 550), ("+jane@example.com", 550), ("nobody+jane@example.com", 550),
    ],
)  # fmt: skip
def test_recipients_that_the_directory_does_not_know_are_refused(place: Place, recipient: str, code: int) -> None:
    with SmtpClient(place.port("by-directory")) as client:
        assert client.command(b"MAIL FROM:<>").code == 250
        assert client.command(f"RCPT TO:<{recipient}>".encode()).code == code


# --- counts ---


def test_connections_are_counted_over_all_workers_and_a_dead_ones_are_forgotten(place: Place) -> None:
    port = place.port("internet")

    def refused() -> bool:
        try:
            with SmtpClient(port) as client:
                return client.greeting.code == 421
        except ConnectionError:
            return True

    def workers() -> list[int]:
        """All that were ever ready, by their process ids."""
        return [event["pid"] for event in place.relay.events("worker-ready") if event["component"] == "relay"]

    held: list[SmtpClient] = []

    def let_in() -> bool:
        try:
            client = SmtpClient(port)
        except ConnectionError:
            return False
        if client.greeting.code == 220:
            held.append(client)
        else:
            client.close()
        return client.greeting.code == 220

    try:
        for _ in range(4):
            wait_until(let_in, 60, "earlier sessions to be gone")
        assert all(refused() for _ in range(10))  # whichever worker the system chooses
        before = workers()
        for pid in before[-2:]:
            place.relay.kill_worker(pid)
        wait_until(lambda: not refused(), 60, "what dead workers counted to be forgotten")
        wait_until(lambda: len(workers()) == len(before) + 2, 60, "their successors")
    finally:
        for client in held:
            client.close()


# --- files that change ---


def test_a_certificate_that_has_gone_stops_no_listener_and_no_reload_takes_effect(place: Place) -> None:
    certificate, away = place.folder / "cert.pem", place.folder / "away.pem"
    certificate.rename(away)
    gone = place.relay.wait_for_event("credentials-refused", where="submission")
    assert "No such file" in gone["error"]
    refused = place.relay.cli_here("reload", check=False)
    assert refused.returncode != 0
    assert "cert.pem" in refused.stdout + refused.stderr
    with SmtpClient(place.port("submission")) as client:
        client.start_tls(place.context())  # the old one goes on
    away.rename(certificate)
    place.relay.cli_here("reload")


def test_changed_certificates_and_accounts_are_taken_up_while_it_runs(place: Place) -> None:
    right, left = (b64encode(f"\0{name}\0{PASSWORD}".encode()) for name in ("scanner", "printer"))
    fresh = trustme.CA()
    with SmtpClient(place.port("submission")) as client:
        client.start_tls(place.context())
        assert client.command(b"AUTH PLAIN " + left).code == 235
    before = len(place.relay.events("credentials-refused"))
    (place.folder / "cert.pem").write_text("nothing of use\n")
    wait_until(lambda: len(place.relay.events("credentials-refused")) > before, 60, "credentials-refused")
    with SmtpClient(place.port("submission")) as client:
        client.start_tls(place.context())  # the old one goes on
    write_certificate(fresh, place.folder)
    write_accounts(place.folder, "scanner", "camera")  # last, so that who has them has the certificate, too

    def renewed() -> list[dict[str, Any]]:
        return [event for event in place.relay.events("credentials-renewed") if event.get("accounts") == 2]

    wait_until(lambda: len(renewed()) == 2, 60, "both workers to have the new files")
    assert all(event["expires"] for event in renewed())
    trusting = ssl.create_default_context()
    fresh.configure_trust(trusting)
    with SmtpClient(place.port("submission")) as client:
        client.start_tls(trusting)
        assert client.command(b"AUTH PLAIN " + left).code == 535
        assert client.command(b"AUTH PLAIN " + right).code == 235
        assert client.command(b"MAIL FROM:<jane@example.com>").code == 250
    write_certificate(place.authority, place.folder)  # as other tests want it
    write_accounts(place.folder, "printer")
    place.relay.cli("reload")
