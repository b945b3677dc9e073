"""AUTH towards the next hop: by which mechanism, over what, and what a refusal does."""

from __future__ import annotations

import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import trustme

from mta import events
from mta.adapters.transport.circuit import REFUSED_WAIT_S
from mta.config.delivery_schema import HopTls
from tests.unit.adapters.transport.peer import Session, deliver, hop, peer, replies, transport

PASSWORD = "Geh€im and long"
PLAIN = b64encode(f"\0relay\0{PASSWORD}".encode()).decode()
Script = Callable[[Session], Coroutine[Any, Any, None]]


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return path


def auth(password: Path, **more: object) -> dict[str, object]:
    return {"user": "relay", "password": {"file": password}, "clear_text": True, **more}


def server(*offers: str, answer: str = "235 2.7.0 welcome") -> Script:
    async def script(session: Session) -> None:
        await session.open("PIPELINING", *offers)
        command = (await session.command()).decode()
        while command.startswith("AUTH"):
            if command == "AUTH LOGIN":
                session.say("334 VXNlcm5hbWU6")
                user = b64decode(await session.command())
                session.say("334 UGFzc3dvcmQ6")
                assert (user, b64decode(await session.command()).decode()) == (b"relay", PASSWORD)
            else:
                assert command == f"AUTH PLAIN {PLAIN}"
            session.say(answer)
            if not answer.startswith("235"):
                return
            await session.serve()
            return
        assert command == "QUIT", command

    return script


@pytest.mark.parametrize(
    ("offers", "used"),
    [
        (["AUTH LOGIN PLAIN CRAM-MD5"], b"AUTH PLAIN"),
        (["AUTH=LOGIN PLAIN"], b"AUTH PLAIN"),
        (["AUTH LOGIN", "AUTH=LOGIN"], b"AUTH LOGIN"),
        (["auth login"], b"AUTH LOGIN"),
    ],
)
async def test_the_mechanism_is_one_that_is_offered(offers: list[str], used: bytes, password: Path) -> None:
    async with peer(server(*offers)) as there, transport(hop(there.port, auth=auth(password))) as way:
        assert replies(await deliver(way)) == ["250 2.0.0"]
        assert replies(await deliver(way)) == ["250 2.0.0"]
        assert there.commands[1].startswith(used)
        assert len([c for c in there.commands if c.startswith(b"AUTH")]) == 1, "once for each connection"


async def test_a_server_that_takes_no_initial_response(password: Path) -> None:
    async def script(session: Session) -> None:
        await session.open("AUTH PLAIN")
        await session.expect("AUTH PLAIN ", "334 ")
        assert (await session.command()).decode() == PLAIN
        session.say("235 2.7.0 welcome")
        await session.serve()

    async with peer(script) as there, transport(hop(there.port, auth=auth(password))) as way:
        assert replies(await deliver(way)) == ["250 2.0.0"]


class Lines:
    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, level: events.Level, action: str, line: str, day: str) -> None:
        self.written.append(line)


@pytest.mark.parametrize(
    ("offers", "answer", "said"),
    [
        ("AUTH PLAIN", "535 5.7.8 no such account", "535 5.7.8 no such account"),
        ("AUTH PLAIN", "534 5.7.9 mechanism too weak", "534 5.7.9"),
        ("AUTH PLAIN", "500 unknown command AUTH PLAIN " + PLAIN, "password: 500"),
        ("AUTH LOGIN", "535 5.7.139 disabled for the tenant", "disabled for the tenant"),
        ("AUTH CRAM-MD5", "", "offers no AUTH by PLAIN or LOGIN"),
        ("8BITMIME", "", "offers no AUTH by PLAIN or LOGIN"),
    ],
)
async def test_a_refusal_stops_the_next_hop_at_once_and_bounces_nothing(
    offers: str, answer: str, said: str, password: Path
) -> None:
    clock, lines = Clock(), Lines()
    events.configure([lines])
    try:
        async with (
            peer(server(offers, answer=answer), server("AUTH PLAIN")) as there,
            transport(hop(there.port, auth=auth(password)), clock) as way,
        ):
            [result] = await deliver(way)
            assert (result.reply.is_temporary, result.reply.status[:4]) == (True, "4.7.")
            assert way.blocked()
            assert said in way.stopped()[""].reason
            assert replies(await deliver(way)) == [f"{result.reply.code} {result.reply.status}"]
            assert len(there.sessions) == 1, "no second try that may lock the account"
            clock.time += 1.3 * REFUSED_WAIT_S
            assert replies(await deliver(way)) == ["250 2.0.0"]
            assert not way.blocked()
    finally:
        events.configure([])
    told = "\n".join(lines.written)
    assert "action=next-hop-login-refused" in told
    assert "action=next-hop-resumed" in told
    assert PASSWORD not in told
    assert PLAIN not in told


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


async def test_a_passing_fault_of_the_server_is_no_refusal(password: Path) -> None:
    async with (
        peer(server("AUTH PLAIN", answer="454 4.7.0 later"), server("AUTH PLAIN")) as there,
        transport(hop(there.port, auth=auth(password))) as way,
    ):
        assert replies(await deliver(way)) == ["451 4.7.0"]
        assert replies(await deliver(way)) == ["250 2.0.0"]


async def test_a_changed_password_counts_with_the_next_connection(password: Path) -> None:
    async def first(session: Session) -> None:
        await session.open("AUTH PLAIN")
        await session.expect("AUTH PLAIN", "235 ok")
        await session.serve()

    async with peer(first) as there, transport(hop(there.port, messages_per_connection=1, auth=auth(password))) as way:
        await deliver(way)
        password.write_text("new\n")
        await deliver(way)
        password.unlink()
        [result] = await deliver(way)
        assert (result.reply.status, len(there.sessions)) == ("4.7.0", 2)
        said = [b64decode(c[11:]).decode() for c in there.commands if c.startswith(b"AUTH")]
        assert said == [f"\0relay\0{PASSWORD}", "\0relay\0new"]


async def test_a_password_does_not_cross_the_network_in_clear_text(password: Path) -> None:
    """Such a configuration is refused at load; the transport keeps to it all the same."""
    settings = auth(password, clear_text=False)
    async with peer(server("AUTH PLAIN")) as there, transport(hop(there.port, auth=settings)) as way:
        assert replies(await deliver(way)) == ["451 4.7.0"]
        assert not any(command.startswith(b"AUTH") for command in there.commands)


async def test_over_tls_the_login_follows_the_second_ehlo(password: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    async def script(session: Session) -> None:
        await session.open("STARTTLS", "AUTH LOGIN")
        await session.expect("STARTTLS", "220 go")
        await session.start_tls(context)
        await session.hello("AUTH PLAIN")
        await session.expect("AUTH PLAIN", "235 ok")
        await session.serve()

    tls = HopTls(mode="required", ca_file=tmp_path / "ca.pem")
    async with peer(script) as there:
        settings = hop(there.port, host="localhost", tls=tls, auth=auth(password, clear_text=False))
        async with transport(settings) as way:
            assert replies(await deliver(way)) == ["250 2.0.0"]


@pytest.mark.parametrize("reply", ["530 5.7.0 Must issue a STARTTLS command first", "530 5.7.57 not authenticated"])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
async def test_a_server_that_wants_a_login_bounces_nothing(verb: str, reply: str) -> None:
    async def script(session: Session) -> None:
        await session.open()
        if verb == "RCPT":
            await session.expect("MAIL", "250 ok")
        await session.expect(verb, reply)
        await session.expect("QUIT", "221 bye")

    async with peer(script) as there, transport(hop(there.port)) as way:
        [result] = await deliver(way)
        assert (replies([result]), result.remote_reply) == (["451 4.7.0"], reply)
