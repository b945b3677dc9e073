"""Who may relay: networks, client certificates, accounts, as whom, and how much; over real sockets and TLS."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from mta.relay.receive import server_context
from mta.shared_counts import SharedCounts
from tests.e2e.receive.running import Running, Talk, running

MAIL = b"MAIL FROM:<jane@example.com>"
DENIED = "550 5.7.1 Relaying denied"
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@dataclass
class Certificates:
    """An authority that counts, one that doesn't, and the files of a server."""

    ours: trustme.CA
    theirs: trustme.CA
    folder: Path

    def server(self) -> ssl.SSLContext:
        return server_context(
            self.folder / "cert.pem", self.folder / "key.pem", asks_clients=True, client_ca_file=self.folder / "ca.pem"
        )

    def client(self, certificate: trustme.LeafCert | None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ours.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(trustme.CA(), trustme.CA(), tmp_path_factory.mktemp("certificates"))
    leaf = made.ours.issue_cert("mx.example.com")
    (made.folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    (made.folder / "key.pem").write_bytes(leaf.private_key_pem.bytes())
    made.ours.cert_pem.write_to_path(str(made.folder / "ca.pem"))
    return made


@asynccontextmanager
async def asking(certificates: Certificates, names: list[str], **keys: Any) -> AsyncIterator[Running]:
    keys.setdefault("clients", [{"name": "exchange", "certificates": names}])
    async with running(
        context=certificates.server(), tls={"mode": "offered"}, allowed_networks=(), **keys
    ) as server:  # fmt: skip
        yield server


async def greeted(server: Running, certificates: Certificates, leaf: trustme.LeafCert | None) -> Talk:
    talk = await server.talk()
    await talk.start_tls(certificates.client(leaf))
    await talk.say(b"EHLO client.example.com")
    return talk


@pytest.mark.parametrize("configured", ["ex1.example.com", "EX1.Example.Com", "*.example.com"])
@pytest.mark.parametrize("presented", ["ex1.example.com", "*.example.com"])
async def test_a_verified_name_opens(certificates: Certificates, configured: str, presented: str) -> None:
    async with asking(certificates, ["other.example.net", configured]) as server:
        talk = await greeted(server, certificates, certificates.ours.issue_cert(presented))
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        client = server.receiver.messages[0].client
        assert (client.certificate, client.admitted_as) == (configured, "exchange")


async def test_the_common_name_counts_only_where_there_is_no_other_name(certificates: Certificates) -> None:
    async with asking(certificates, ["ex1.example.com"]) as server:
        talk = await greeted(server, certificates, certificates.ours.issue_cert(common_name="ex1.example.com"))
        assert (await talk.say(MAIL)).startswith("250")
        both = certificates.ours.issue_cert("web.example.net", common_name="ex1.example.com")
        talk = await greeted(server, certificates, both)
        assert await talk.say(MAIL) == DENIED


def made_for(usage: x509.ObjectIdentifier, authority: trustme.CA, name: str) -> trustme.LeafCert:
    """A certificate for one purpose only."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    signer = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    made = (
        x509.CertificateBuilder(issuer.subject, x509.Name([]), key.public_key(), x509.random_serial_number())
        .not_valid_before(LONG_AGO)
        .not_valid_after(LONG_AGO + datetime.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    written = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return trustme.LeafCert(written, made.public_bytes(pem), [])


async def test_a_certificate_for_clients_or_for_servers_alone_will_do(certificates: Certificates) -> None:
    async with asking(certificates, ["ex1.example.com"]) as server:
        for usage in (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH):
            leaf = made_for(usage, certificates.ours, "ex1.example.com")
            talk = await greeted(server, certificates, leaf)
            assert (await talk.say(MAIL)).startswith("250")


async def test_what_is_not_verified_does_not_open_and_does_not_end_the_handshake(certificates: Certificates) -> None:
    async with asking(certificates, ["ex1.example.com"]) as server:
        for leaf in (
            None,
            certificates.theirs.issue_cert("ex1.example.com"),
            certificates.ours.issue_cert("ex1.example.com", not_before=LONG_AGO, not_after=LONG_AGO),
            made_for(ExtendedKeyUsageOID.CODE_SIGNING, certificates.ours, "ex1.example.com"),
            made_for(ExtendedKeyUsageOID.SERVER_AUTH, certificates.theirs, "ex1.example.com"),
            certificates.ours.issue_cert("ex2.example.com"),
            certificates.ours.issue_cert("a.ex1.example.com"),
            certificates.ours.issue_cert("ex1.example.com.evil.example"),
        ):
            talk = await greeted(server, certificates, leaf)
            assert await talk.say(MAIL) == DENIED
            assert (await talk.say(b"NOOP")).startswith("250")
        talk = await server.talk()
        assert await talk.say(MAIL) == DENIED


async def test_without_authorities_of_its_own_a_listener_believes_the_systems(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.folder / "ca.pem"))
    context = server_context(certificates.folder / "cert.pem", certificates.folder / "key.pem", asks_clients=True)
    clients = [{"name": "exchange", "certificates": ["ex1.example.com"]}]
    async with running(context=context, tls={"mode": "offered"}, clients=clients) as server:
        for authority, reply in ((certificates.ours, "250"), (certificates.theirs, "550")):
            talk = await greeted(server, certificates, authority.issue_cert("ex1.example.com"))
            assert (await talk.say(MAIL)).startswith(reply)


WITHOUT_EXECUTABLE_MEMORY = """
import ctypes, pathlib, sys
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)  # PR_SET_MDWE (from Linux 6.3 on), as MemoryDenyWriteExecute of a unit
from mta.relay.receive.tls import server_context
folder = pathlib.Path(sys.argv[1])
server_context(folder / "cert.pem", folder / "key.pem", asks_clients=True, client_ca_file=folder / "ca.pem")
print("works")
"""


def test_clients_can_be_asked_where_no_memory_may_become_executable(certificates: Certificates) -> None:
    command = [sys.executable, "-c", WITHOUT_EXECUTABLE_MEMORY, str(certificates.folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout == "works\n", done.stderr


async def test_a_large_message_under_such_tls(certificates: Certificates, tmp_path: Path) -> None:
    async with asking(certificates, ["ex1.example.com"]) as server:
        server.receiver.folder = tmp_path
        talk = await greeted(server, certificates, certificates.ours.issue_cert("ex1.example.com"))
        content = b"y" * 5_000_000 + b"\r\n"
        assert (await talk.submit(content + b".\r\n")).startswith("250")
        assert server.receiver.contents == [content]
        assert (await talk.say(b"QUIT")).startswith("221")
        assert await talk.rest() == b""


async def test_commands_in_one_segment_with_the_end_of_the_handshake_are_answered(certificates: Certificates) -> None:
    async with asking(certificates, ["ex1.example.com"]) as server:
        for _ in range(5):
            talk = await server.talk()
            await talk.start_tls(certificates.client(None))
            talk.write(b"EHLO client.example.com\r\nNOOP\r\n")
            assert (await talk.replies(2))[1].startswith("250 2.0.0")


async def test_tls_from_the_first_octet_asks_too(certificates: Certificates) -> None:
    clients = [{"name": "exchange", "certificates": ["ex1.example.com"]}]
    async with running(context=certificates.server(), tls={"mode": "implicit"}, clients=clients) as server:
        context = certificates.client(certificates.ours.issue_cert("ex1.example.com"))
        streams = await asyncio.open_connection(*server.listener.address, ssl=context, server_hostname="mx.example.com")
        talk = Talk(*streams)
        assert (await talk.reply()).startswith("220 ")
        await talk.say(b"EHLO client.example.com")
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        assert server.receiver.messages[0].client.certificate == "ex1.example.com"
        await talk.close()


async def test_a_session_is_not_resumed_with_an_earlier_judgement(certificates: Certificates) -> None:
    """A client that brings back a session, or says it again without its certificate, is who it is now."""
    async with asking(certificates, ["ex1.example.com"]) as server:
        context = certificates.client(certificates.ours.issue_cert("ex1.example.com"))
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.maximum_version = version
            for _ in range(2):
                talk = await server.talk()
                await talk.start_tls(context)
                session = talk.writer.get_extra_info("ssl_object")
                assert not session.session_reused
                await talk.say(b"EHLO client.example.com")
                assert (await talk.say(MAIL)).startswith("250")


async def test_the_first_that_fits_counts_and_all_that_is_asked_must_be_there() -> None:
    clients = [
        {"name": "elsewhere", "networks": ["192.0.2.0/24"]},
        {"name": "here", "networks": ["127.0.0.0/8"], "senders": ["example.com"]},
        {"name": "also-here", "networks": ["127.0.0.1/32"]},
    ]
    async with running(clients=clients) as server:
        talk = await server.talk()
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        assert server.receiver.messages[0].client.admitted_as == "here"
        assert (await talk.say(b"MAIL FROM:<jane@example.org>")).startswith("550 5.7.1 You may not")
    async with running(clients=clients[:1]) as server:
        talk = await server.talk()
        assert await talk.say(MAIL) == DENIED


@pytest.mark.parametrize(
    ("sender", "may"),
    [
        (b"", True), (b"jane@example.com", True), (b"JANE@EXAMPLE.COM", True), (b"a@sub.example.com", False),
        (b"a@x.devices.example.com", True), (b"a@y.x.devices.example.com", True), (b"a@devices.example.com", False),
        (b"scanner@example.net", True), (b'"Scanner"@example.net', True), (b"other@example.net", False),
        ("a@bücher.example".encode(), True), (b"a@xn--bcher-kva.example", True), (b"a@example.com.evil.example", False),
        (b"jane%example.com@evil.example", False), (b"a@evilexample.com", False),
    ],
)  # fmt: skip
async def test_as_whom_a_client_may_send(sender: bytes, may: bool) -> None:
    senders = ["example.com", "*.devices.example.com", "scanner@example.net", "bücher.example"]
    clients = [{"name": "devices", "networks": ["127.0.0.1/32"], "senders": senders}]
    async with running(clients=clients) as server:
        talk = await server.talk()
        reply = await talk.say(b"MAIL FROM:<%b>%b" % (sender, b"" if sender.isascii() else b" SMTPUTF8"))
        assert reply[:9] == ("250 2.1.0" if may else "550 5.7.1")


async def test_exchange_online_without_a_certificate_in_the_configuration_is_nobody(certificates: Certificates) -> None:
    """The check refuses it; what runs all the same lets nobody in."""
    for clients in ([], [{"name": "by-address", "networks": ["127.0.0.0/8"]}]):
        async with running(clients=clients, peer="exchange-online") as server:
            talk = await server.talk()
            assert await talk.say(MAIL) == DENIED


async def test_exchange_has_as_many_connections_as_it_wants() -> None:
    async with running(peer="exchange", limits={"connections_per_client": 1, "connections": 3}) as server:
        for _ in range(3):
            await server.talk()
        assert (await (await server.connect()).rest()).startswith(b"421 4.7.0")
    async with running(limits={"connections_per_client": 1}) as server:
        await server.talk()
        assert (await (await server.connect()).rest()).startswith(b"421 4.7.0")


async def test_connections_count_over_all_workers() -> None:
    table = SharedCounts.create(2)
    first, second = (SharedCounts.attach(table.fd, section) for section in range(2))
    limits = {"connections_per_client": 2}
    async with running(counts=first, limits=limits) as one, running(counts=second, limits=limits) as other:
        talk = await one.talk()
        await other.talk()
        for server in (one, other):
            assert (await (await server.connect()).rest()).startswith(b"421 4.7.0")
        await talk.close()
        await one.all_gone()
        await other.talk()


async def test_messages_and_recipients_of_a_client_and_of_a_sender_are_counted() -> None:
    table = SharedCounts.create(2)
    counts = [SharedCounts.attach(table.fd, section) for section in range(2)]
    for limit, commands in (
        ({"messages_per_client": "2/1d"}, [MAIL, b"RSET", b"MAIL FROM:<>", b"RSET", b"MAIL FROM:<joe@example.com>"]),
        ({"messages_per_sender": "1/1d"}, [MAIL, b"RSET", b"MAIL FROM:<Jane@EXAMPLE.com>"]),
        ({"recipients_per_client": "2/1d"}, [MAIL, *(b"RCPT TO:<%d@example.net>" % n for n in range(3))]),
    ):
        async with running(counts=counts[0], limits=limit) as one, running(counts=counts[1], limits=limit) as other:
            talk = await one.talk()
            replies = [await talk.say(command) for command in commands]
            assert all(reply.startswith("250") for reply in replies[:-1])
            assert replies[-1] == "450 4.7.1 Too much mail in this time, try again later"
            elsewhere = await other.talk()
            first = await elsewhere.say(MAIL)
            if "recipients_per_client" in limit:
                first = await elsewhere.say(b"RCPT TO:<other@example.net>")
            assert first.startswith("450 4.7.1")
        for section in counts:
            section.clear(0)
            section.clear(1)


async def test_strangers_do_not_use_up_what_others_may_send_in_the_same_name() -> None:
    keys: dict[str, Any] = {"proxy_networks": ["127.0.0.0/8"], "allowed_networks": ["192.0.2.0/24"]}
    for role, others in (("inbound", "250"), ("trusted", "450")):
        async with running(role, limits={"messages_per_sender": "1/1d"}, **keys) as server:
            for address, expected in ((b"192.0.2.7", "250"), (b"192.0.2.7", "450"), (b"192.0.2.8", others)):
                talk = await server.connect()
                talk.write(b"PROXY TCP4 %b 127.0.0.1 4711 25\r\nEHLO client.example.com\r\n" % address)
                assert await talk.codes(2) == ["220", "250"]
                assert (await talk.say(MAIL)).startswith(expected)


async def test_a_peer_has_a_limit_of_its_own() -> None:
    clients = [{"name": "printers", "networks": ["127.0.0.1/32"], "messages": "1/1d"}]
    async with running(clients=clients) as server:
        talk = await server.talk()
        assert (await talk.submit(b"x\r\n.\r\n")).startswith("250")
        assert (await talk.say(MAIL)).startswith("450 4.7.1")
