"""What is said of SMTP servers that are in order, and of those that aren't; certificates of every kind."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from mta.config.types import Secret
from mta.probe.probe import Line, Status
from mta.probe.smtp_dialogue import examine_server
from mta.probe.smtp_server import SmtpServer
from tests.servers.wait import free_port
from tests.unit.adapters.transport.peer import Session, peer

Script = Callable[[Session], Awaitable[None]]
FULL = ("PIPELINING", "SIZE 37748736", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES")


class Tls:
    """An authority, its file, and certificates by it."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.ca_file))
        self.password = folder / "password"
        self.password.write_text("secret\n")

    def context(self, name: str = "localhost", ends: datetime | None = None, by: trustme.CA | None = None) -> Any:
        certificate = (by or self.authority).issue_cert(name, not_after=ends)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(context)
        der = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
        return context, hashlib.sha256(der).hexdigest()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return Tls(tmp_path_factory.mktemp("tls"))


def serving(*extensions: str) -> Script:
    async def script(session: Session) -> None:
        await session.open(*(extensions or FULL))
        await session.serve()

    return script


def over_tls(context: ssl.SSLContext, *extensions: str, auth: str = "235 2.7.0 ok") -> Script:
    async def script(session: Session) -> None:
        await session.open(*FULL, "STARTTLS")
        await session.expect("STARTTLS", "220 go")
        await session.start_tls(context)
        while not (line := await session.command()).startswith(b"MAIL"):
            if line.startswith(b"EHLO"):
                names = ["peer.example", *(extensions or FULL), "AUTH PLAIN LOGIN"]
                session.writer.write("".join(f"250-{name}\r\n" for name in names[:-1]).encode())
                session.say(f"250 {names[-1]}")
            else:
                session.say(auth if line.startswith(b"AUTH") else "221 2.0.0 bye")
        session.say("250 2.1.0 ok")
        await session.serve()

    return script


async def lines_of(port: int, host: str = "127.0.0.1", **settings: Any) -> list[Line]:
    lines: list[Line] = []
    values: dict[str, Any] = {"hostname": "relay.example.com", "sender": "postmaster@example.com", "tls": "none"}
    server = SmtpServer(host, port, **(values | settings))
    await examine_server(server, lines.append, datetime.now(UTC))
    return lines


def of(lines: list[Line], status: Status) -> list[str]:
    return [line.what for line in lines if line.status is status]


def only_failure(lines: list[Line]) -> Line:
    (line,) = [line for line in lines if line.status is Status.FAILED]
    assert lines[-1] == line, "what follows a failure would only be its consequence"
    return line


async def test_a_server_in_order() -> None:
    async with peer(serving()) as server:
        lines = await lines_of(server.port)
        assert {line.status for line in lines} == {Status.OK}
        assert [line.what.split(" ")[0] for line in lines] == ["connected", "it", "it"]
        assert server.commands == [
            b"EHLO relay.example.com", b"MAIL FROM:<postmaster@example.com>", b"RSET", b"QUIT",
        ]  # fmt: skip
        assert len(server.sessions) == 1


async def test_what_a_server_lacks_is_told() -> None:
    async with peer(serving("SIZE 1000000", "8BITMIME")) as server:
        lines = await lines_of(server.port, size_octets=37_748_736)
        assert "it offers SIZE, 8BITMIME; not PIPELINING, DSN" in lines[1].what
        assert of(lines, Status.WARNING) == ["it takes messages up to 1.0 MB, our listeners up to 37.7 MB"]


async def test_nobody_there() -> None:
    line = only_failure(await lines_of(free_port()))
    assert "can't be reached: Connection refused" in line.what
    assert "firewall" in line.mend


async def test_no_such_name() -> None:
    assert "the name nowhere.invalid has no address" in only_failure(await lines_of(25, "nowhere.invalid")).what


@pytest.mark.parametrize(
    ("greeting", "what"),
    [
        ("554 5.7.1 go away", "the server answers 554 5.7.1 go away"),
        ("421 4.3.2 too busy", "the server answers 421 4.3.2 too busy"),
        ("HTTP/1.1 400 Bad Request", "this is no SMTP: "),
    ],
    ids=["refuses", "busy", "web-server"],
)
async def test_a_server_that_does_not_greet(greeting: str, what: str) -> None:
    async def script(session: Session) -> None:
        session.say(greeting)

    async with peer(script) as server:
        assert only_failure(await lines_of(server.port)).what.startswith(what)


async def test_a_server_that_hangs_up() -> None:
    async def script(session: Session) -> None:
        await session.open(*FULL)

    async with peer(script) as server:
        assert only_failure(await lines_of(server.port)).what.startswith("the dialogue breaks off")


async def test_the_old_way() -> None:
    async def script(session: Session) -> None:
        session.say("220 old.example")
        await session.expect("EHLO", "500 what?")
        await session.expect("HELO", "250 old.example")
        await session.serve()

    async with peer(script) as server:
        lines = await lines_of(server.port)
        assert of(lines, Status.WARNING) == ["it knows no EHLO: mail is sent the old way"]
        assert lines[-1].status is Status.OK


@pytest.mark.parametrize(
    ("answer", "status"), [("550 5.7.1 not you", Status.FAILED), ("450 4.7.1 later", Status.WARNING)]
)
async def test_a_server_that_takes_no_mail_from_us(answer: str, status: Status) -> None:
    async def script(session: Session) -> None:
        await session.open(*FULL)
        await session.expect("MAIL", answer)
        await session.serve()

    async with peer(script) as server:
        lines = await lines_of(server.port)
        assert of(lines, status) == [f"MAIL FROM:<postmaster@example.com> is answered {answer}"]


# --- TLS --------------------------------------------------------------------------------------------------------------


async def test_a_certificate_that_verifies(tls: Tls) -> None:
    context, _ = tls.context(ends=datetime.now(UTC) + timedelta(days=90))
    async with peer(over_tls(context)) as server:
        lines = await lines_of(server.port, "localhost", tls="required", ca_file=tls.ca_file)
        assert {line.status for line in lines} <= {Status.OK, Status.WARNING}
        (line,) = [line.what for line in lines if "certificate" in line.what]
        assert line.startswith("TLSv1.3 ")
        assert "verified: certificate of localhost by" in line


async def test_a_certificate_that_ends_soon(tls: Tls) -> None:
    context, _ = tls.context(ends=datetime.now(UTC) + timedelta(days=9, hours=1))
    async with peer(over_tls(context)) as server:
        lines = await lines_of(server.port, "localhost", tls="required", ca_file=tls.ca_file)
        assert any(what.endswith("certificate expires in 9 days") for what in of(lines, Status.WARNING))


@pytest.mark.parametrize("mode", ["required", "opportunistic"])
@pytest.mark.parametrize(
    ("kind", "what", "mend"),
    [
        ("expired", "has expired", "new certificate"),
        ("name", "ostname mismatch", "verify_name, if it is the right server: mail.example.org"),
        ("unknown", "unable to get local issuer", "ca_file, or its own fingerprint: "),
    ],
)
async def test_certificates_that_do_not_verify(tls: Tls, mode: str, kind: str, what: str, mend: str) -> None:
    context, pin = tls.context(
        "mail.example.org" if kind == "name" else "localhost",
        ends=datetime.now(UTC) - timedelta(days=1) if kind == "expired" else None,
        by=trustme.CA() if kind == "unknown" else None,
    )
    async with peer(over_tls(context)) as server:
        lines = await lines_of(server.port, "localhost", tls=mode, ca_file=tls.ca_file)
    if mode == "opportunistic":
        assert of(lines, Status.FAILED) == []
        assert any("does not verify, which tls: opportunistic does not ask" in line.what for line in lines)
        return
    line = only_failure(lines)
    assert line.what.startswith("the certificate is refused: ")
    assert what in line.what
    assert mend + (pin if kind == "unknown" else "") in line.mend


async def test_another_name_may_be_asked_for(tls: Tls) -> None:
    context, _ = tls.context("mail.example.org")
    async with peer(over_tls(context)) as server:
        settings = {"tls": "required", "ca_file": tls.ca_file, "verify_name": "mail.example.org"}
        assert of(await lines_of(server.port, "localhost", **settings), Status.FAILED) == []


async def test_fingerprints_count_instead_of_authorities(tls: Tls) -> None:
    context, pin = tls.context("elsewhere.example", by=trustme.CA())
    async with peer(over_tls(context)) as server:
        written = ":".join(pin.upper()[i : i + 2] for i in range(0, 64, 2))
        lines = await lines_of(server.port, tls="required", fingerprints=("00" * 32, written))
        assert of(lines, Status.FAILED) == []
        line = only_failure(await lines_of(server.port, tls="required", fingerprints=("00" * 32,)))
        assert line.mend == f"if this is the right server, its fingerprint is {pin}"


async def test_tls_that_is_not_offered() -> None:
    async with peer(serving()) as server:
        assert "does not offer STARTTLS" in only_failure(await lines_of(server.port, tls="required")).what
        lines = await lines_of(server.port, tls="opportunistic")
        assert of(lines, Status.WARNING) == ["the server offers no TLS: mail crosses the network in clear text"]
        assert lines[-1].what.startswith("it takes mail")


async def test_a_handshake_that_fails() -> None:
    async def broken(session: Session) -> None:
        await session.open(*FULL, "STARTTLS")
        await session.expect("STARTTLS", "220 go")
        await session.reader.read(10)
        session.writer.write(b"this is not TLS at all\r\n")

    async with peer(broken) as server:
        assert "the TLS handshake fails" in only_failure(await lines_of(server.port, tls="required")).what
    async with peer(broken, serving()) as server:
        lines = await lines_of(server.port, tls="opportunistic")
        assert of(lines, Status.FAILED) == []
        assert any("delivery goes on in clear text" in what for what in of(lines, Status.WARNING))
        assert lines[-1].what.startswith("it takes mail")


async def test_tls_from_the_first_octet(tls: Tls) -> None:
    context, _ = tls.context()

    async def script(session: Session) -> None:
        await session.start_tls(context)
        await serving()(session)

    async with peer(script) as server:
        lines = await lines_of(server.port, "localhost", tls="required", is_implicit=True, ca_file=tls.ca_file)
        assert of(lines, Status.FAILED) == []
        assert any("verified: certificate of localhost" in line.what for line in lines)
    async with peer(serving()) as server:
        only_failure(await lines_of(server.port, "localhost", tls="required", is_implicit=True, ca_file=tls.ca_file))


# --- AUTH -------------------------------------------------------------------------------------------------------------


def account(tls: Tls) -> dict[str, Any]:
    return {"user": "relay", "password": Secret(file=tls.password), "ca_file": tls.ca_file}


async def test_signing_in(tls: Tls) -> None:
    context, _ = tls.context()
    async with peer(over_tls(context)) as server:
        lines = await lines_of(server.port, "localhost", tls="required", **account(tls))
        assert "relay can sign in" in of(lines, Status.OK)
        assert b"AUTH PLAIN AHJlbGF5AHNlY3JldA==" in server.commands


async def test_a_wrong_password_is_tried_once(tls: Tls) -> None:
    context, _ = tls.context()
    async with peer(over_tls(context, auth="535 5.7.8 no")) as server:
        lines = await lines_of(server.port, "localhost", tls="required", **account(tls))
        assert of(lines, Status.FAILED) == ["relay can't sign in: 535 5.7.8 no"]
        assert len([command for command in server.commands if command.startswith(b"AUTH")]) == 1


async def test_no_password_over_what_does_not_verify(tls: Tls) -> None:
    context, _ = tls.context(by=trustme.CA())
    for script, mode in ((over_tls(context), "opportunistic"), (serving(), "opportunistic"), (serving(), "none")):
        async with peer(script) as server:
            lines = await lines_of(server.port, "localhost", tls=mode, **account(tls))
            assert [what[:24] for what in of(lines, Status.FAILED)] == ["the password is not sent"]
            assert not any(b"AUTH" in command for command in server.commands)


async def test_no_password_to_who_showed_another_certificate_than_the_one_that_verified(tls: Tls) -> None:
    """Somebody in between may take one connection over and let the other one through."""
    forged, _ = tls.context(by=trustme.CA())
    good, _ = tls.context()
    async with peer(over_tls(forged), over_tls(good)) as server:
        lines = await lines_of(
            server.port, "localhost", tls="required", ca_file=tls.ca_file, user="relay",
            password=Secret(file=tls.password), addresses=("127.0.0.1",),
        )  # fmt: skip
        assert "another certificate" in only_failure(lines).what
        assert not [command for command in server.commands if command.startswith(b"AUTH")]


async def test_no_password_is_printed(tls: Tls) -> None:
    context, _ = tls.context()
    async with peer(over_tls(context, auth="535 AHJlbGF5AHNlY3JldA== is wrong")) as server:
        lines = await lines_of(server.port, "localhost", tls="required", **account(tls))
        assert not any("secret" in line.what or "AHJlbGF5" in line.what for line in lines)
