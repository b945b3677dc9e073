"""Asking a next hop whether there is a recipient: an SMTP dialogue that ends with RCPT."""

from __future__ import annotations

from functools import partial

import pytest

from mta.model.address import parse_address
from mta.ports.recipients import AsksForRecipients
from tests.servers.wait import free_port
from tests.unit.adapters.transport.peer import Session, deliver, hop, peer, replies, transport

JANE = parse_address("jane@example.org")


async def knowing(session: Session, *offers: str) -> None:
    """A server that knows jane and nobody else."""
    await session.open(*offers)
    await session.serve(lambda line: "250 2.1.5 ok" if b"<jane@" in line else "550 5.1.1 nobody")


async def without_null_senders(session: Session, offers: tuple[str, ...]) -> None:
    await session.open(*offers)
    while (line := await session.command()) != b"QUIT":
        session.say(
            {b"MAIL": "550 5.1.1 no null senders here", b"RCPT": "503 5.5.1 MAIL first"}.get(line[:4], "250 ok")
        )


@pytest.mark.parametrize("offers", [("PIPELINING",), ()], ids=["pipelining", "step-by-step"])
async def test_yes_and_no_and_a_message_afterwards_over_one_connection(offers: tuple[str, ...]) -> None:
    async with peer(lambda session: knowing(session, *offers)) as server, transport(hop(server.port)) as way:
        assert isinstance(way, AsksForRecipients)
        assert str(await way.ask_for(JANE, deadline_s=30)) == "250 2.1.5 ok"
        assert str(await way.ask_for(parse_address("joe@example.org"), deadline_s=30)) == "550 5.1.1 nobody"
        assert b"DATA" not in server.commands
        assert [line for line in server.commands if line.startswith(b"MAIL")] == [b"MAIL FROM:<>"] * 2
        assert server.commands.count(b"RSET") == 1
        assert replies(await deliver(way)) == ["550 5.1.1"]
        assert len(server.sessions) == 1
        assert server.contents == []


async def test_what_is_said_to_mail_is_no_answer_about_the_recipient() -> None:
    for offers in (("PIPELINING",), ()):
        async with (
            peer(partial(without_null_senders, offers=offers)) as server,
            transport(hop(server.port)) as way,
        ):
            for _ in range(2):
                assert (await way.ask_for(JANE, deadline_s=30)).is_temporary
            assert len(server.sessions) == 1  # the connection can be used on


async def test_nobody_there_is_no_answer() -> None:
    async with transport(hop(free_port())) as way:
        assert (await way.ask_for(JANE, deadline_s=30)).is_temporary


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def silent(session: Session) -> None:
        await session.open()
        await session.command()
        await session.command()

    async with peer(silent) as server, transport(hop(server.port)) as way:
        assert (await way.ask_for(JANE, deadline_s=0.2)).is_temporary


async def test_a_server_that_hangs_up_gives_no_answer() -> None:
    async def rude(session: Session) -> None:
        await session.open("PIPELINING")
        await session.command()

    async with peer(rude) as server, transport(hop(server.port)) as way:
        assert (await way.ask_for(JANE, deadline_s=30)).is_temporary


async def test_an_address_that_the_server_cannot_be_told_is_not_its_no() -> None:
    async with peer(lambda session: knowing(session, "PIPELINING")) as server, transport(hop(server.port)) as way:
        reply = await way.ask_for(parse_address("jané@example.org"), deadline_s=30)
        assert reply.status == "5.6.7"
