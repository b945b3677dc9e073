"""Client certificates that prove nothing, and clients that misbehave under a TLS that asks for them."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.e2e.hostile.site import PARTNER, Site
from tests.servers.client import SmtpClient
from tests.servers.load import simple_message

Pem = tuple[bytes, bytes]
"""Key and chain."""
_DAY = datetime.timedelta(days=1)
_NOW = datetime.datetime.now(datetime.UTC)


def _of(leaf: trustme.LeafCert) -> Pem:
    return leaf.private_key_pem.bytes(), b"".join(blob.bytes() for blob in leaf.cert_chain_pems)


def _self_made(names: list[str], *, common_name: str = PARTNER, until: datetime.datetime = _NOW + _DAY) -> Pem:
    """Signed by nobody but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), _NOW - 9 * _DAY, until)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
    written = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret, written


def _useless(site: Site) -> dict[str, Pem]:
    others = trustme.CA()
    lost = site.partners.create_child_ca().issue_cert(PARTNER)
    return {
        "another authority": _of(others.issue_cert(PARTNER)),
        "the relay's authority": _of(site.authority.issue_cert(PARTNER)),
        "self-made": _self_made([PARTNER]),
        "self-made, by common name": _self_made([]),
        "expired": _of(site.partners.issue_cert(PARTNER, not_after=_NOW - _DAY)),
        "not yet valid": _of(site.partners.issue_cert(PARTNER, not_before=_NOW + _DAY)),
        "another name": _of(site.partners.issue_cert("mail.elsewhere.example")),
        "the name below another": _of(site.partners.issue_cert(f"{PARTNER}.elsewhere.example")),
        "below the name": _of(site.partners.issue_cert(f"x.{PARTNER}")),
        "above the name": _of(site.partners.issue_cert("partner.example")),
        "wildcard above": _of(site.partners.issue_cert("*.example")),
        "an address": _of(site.partners.issue_cert(f"x@{PARTNER}")),
        "name in the common name only": _of(site.partners.issue_cert("elsewhere.example", common_name=PARTNER)),
        "chain without its middle": (lost.private_key_pem.bytes(), lost.cert_chain_pems[0].bytes()),
        "the authority itself": (site.partners.private_key_pem.bytes(), site.partners.cert_pem.bytes()),
    }


def _context(site: Site, pem: Pem | None, folder: Path) -> ssl.SSLContext:
    context = site.client_context()
    if pem is not None:
        with trustme.Blob(pem[0] + pem[1]).tempfile(str(folder)) as path:
            context.load_cert_chain(path)
    return context


@contextmanager
def shown(site: Site, pem: Pem | None, folder: Path) -> Iterator[SmtpClient]:
    with SmtpClient(site.port("partners")) as client:
        client.start_tls(_context(site, pem, folder))
        yield client


def test_useless_certificates_prove_nothing(site: Site, tmp_path: Path) -> None:
    """They are shown, and the session goes on as without one."""
    said = {}
    for what, pem in _useless(site).items():
        with shown(site, pem, tmp_path) as client:
            said[what] = client.command(b"MAIL FROM:<jane@example.com>").code
    assert said == dict.fromkeys(said, 550)
    with shown(site, None, tmp_path) as client:
        assert client.command(b"MAIL FROM:<jane@example.com>").code == 550
    assert site.arrived() == []


def test_a_certificate_counts_in_its_own_session_only(site: Site, tmp_path: Path) -> None:
    good = _context(site, _of(site.partners.issue_cert(PARTNER)), tmp_path)
    with SmtpClient(site.port("partners")) as client:
        client.start_tls(good)
        message = simple_message("partner", to="john@example.com")
        assert client.send("jane@example.com", ["john@example.com"], message).code == 250
    with shown(site, None, tmp_path) as client:
        assert client.command(b"MAIL FROM:<jane@example.com>").code == 550
    assert len(site.arrived()) == 1


def test_large_messages_pass_under_it_and_crumbs_too(site: Site, tmp_path: Path) -> None:
    with shown(site, _of(site.partners.issue_cert(PARTNER)), tmp_path) as client:
        content = simple_message("large", to="john@example.com", text="0123456789abcdef\r\n" * 150_000)
        assert client.send("jane@example.com", ["john@example.com"], content).code == 250
        for octet in b"NOOP\r\n" * 5:
            client.write(bytes([octet]))
        assert [client.answer().code for _ in range(5)] == [250] * 5
        client.write(b"HELP\r\n" * 50)
        assert [client.answer().code for _ in range(50)] == [214] * 50
    (arrived,) = site.arrived()
    assert arrived.data.endswith(content)


LEAVES: dict[str, tuple[bytes, str]] = {
    # what is sent past TLS, and what the client does then
    "without close_notify": (b"", "close"),
    "with a reset": (b"", "reset"),
    "in the midst of a record": (b"\x17\x03\x03\x01\x00half", "reset"),
    "with a broken record": (b"\x17\x03\x03\x00\x20" + b"x" * 32, "rest"),
    "with clear text": (b"QUIT\r\n" * 20, "rest"),
    "with an alert": (b"\x15\x03\x03\x00\x02\x02\x00", "rest"),
}


@pytest.mark.parametrize("listener", ["partners", "secure"])
@pytest.mark.parametrize("way", LEAVES)
def test_who_breaks_tls_breaks_the_own_session_only(site: Site, listener: str, way: str) -> None:
    before = site.open_files()
    raw, leaves = LEAVES[way]
    for state in (b"", b"MAIL FROM:<jane@example.com>\r\n"):
        with SmtpClient(site.port(listener)) as client:
            client.start_tls(site.client_context())
            client.write(state)
            with contextlib.suppress(OSError, ValueError):
                client.write_raw(raw)
                getattr(client, leaves)()
    site.wait_until_all_left(before)
    assert site.is_sane()
    assert site.relay.events("internal-error") == []


def test_broken_handshakes_where_certificates_are_asked_for(site: Site) -> None:
    before = site.open_files()
    for said in (
        b"",
        b"\0" * 600,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x16\x03\x01\xff\xff" + b"x" * 70_000,
    ):
        with SmtpClient(site.port("partners")) as client:
            assert client.command(b"STARTTLS").code == 220
            with contextlib.suppress(OSError):
                client.write(said)
                client.half_close()
                client.rest()
    with SmtpClient(site.port("partners")) as client:
        client.write(b"STARTTLS\r\nEHLO evil.example.org\r\n")
        assert client.rest() == b"554 5.5.1 Nothing may follow STARTTLS before the handshake\r\n"
    site.wait_until_all_left(before)
    assert site.relay.events("internal-error") == []


def test_a_chain_without_end_is_not_followed(site: Site, tmp_path: Path) -> None:
    """Fifty authorities below each other."""
    authority = site.partners
    for _ in range(50):
        authority = authority.create_child_ca()
    with (
        contextlib.suppress(ssl.SSLError, ConnectionError),
        shown(site, _of(authority.issue_cert(PARTNER)), tmp_path) as client,
    ):
        assert client.command(b"MAIL FROM:<jane@example.com>").code == 550
    assert site.arrived() == []


def test_connections_are_limited_for_each_client_and_in_all(site: Site) -> None:
    before = site.open_files()
    with contextlib.ExitStack() as stack:
        greeted = refused = 0
        for source in range(1, 9):
            for _ in range(7):
                raw = socket.create_connection(("127.0.0.1", site.port("few")), 60, (f"127.0.3.{source}", 0))
                said = stack.enter_context(raw).recv(512)
                greeted += said.startswith(b"220 ")
                refused += said.startswith(b"421 4.7.0 ")
        assert (greeted, refused) == (20, 36)
        assert site.is_sane()  # another listener's clients are not concerned
    site.wait_until_all_left(before)
    with SmtpClient(site.port("few")) as client:
        assert client.command(b"NOOP").code == 250
