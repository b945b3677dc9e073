"""One copy for more recipients than go into a transaction: what some have got stands, whatever befalls the others."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mta.adapters.transport.smtp_transport import SmtpTransport, session_settings
from mta.adapters.transport.targets import Target
from tests.unit.adapters.transport.peer import Session, deliver, envelope, hop, peer, replies, transport

THREE = ("a@example.org", "b@example.org", "c@example.org")


@pytest.mark.parametrize("refusal", ["452 4.5.3 too many recipients", "552 5.5.3 too many", "552 too many recipients"])
async def test_the_older_code_for_too_many_recipients_is_no_refusal_of_one(refusal: str) -> None:
    """RFC 5321 §4.5.3.1.10."""

    async def one_at_a_time(session: Session) -> None:
        await session.open()
        count = 0

        def rcpt(_line: bytes) -> str:
            nonlocal count
            count += 1
            return "250 ok" if count in (1, 4, 6) else refusal

        await session.serve(rcpt)

    async with peer(one_at_a_time) as server, transport(hop(server.port)) as way:
        assert replies(await deliver(way, envelope(*THREE))) == ["250 2.0.0"] * 3
        assert len(server.contents) == 3


async def test_a_full_mailbox_is_one() -> None:
    async def full(session: Session) -> None:
        await session.open()
        await session.serve(lambda line: "552 5.2.2 mailbox full" if b"<b@" in line else "250 ok")

    async with peer(full) as server, transport(hop(server.port)) as way:
        assert replies(await deliver(way, envelope(*THREE))) == ["250 2.0.0", "552 5.2.2", "250 2.0.0"]
        assert len(server.contents) == 1


async def test_an_error_of_our_own_on_the_way_takes_back_no_success() -> None:
    async def once(session: Session) -> None:
        await session.open()
        for verb, answer in (("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go")):
            await session.expect(verb, answer)
        await session.content()
        session.say("250 2.0.0 taken")
        await session.command()

    async with peer(once) as server:
        asked = 0

        async def targets() -> Sequence[Target]:
            nonlocal asked
            asked += 1
            if asked > 1:
                raise RuntimeError("a resolver's own fault")
            return [Target("127.0.0.1", server.port)]

        settings = hop(server.port, recipients_per_transaction=1)
        way = SmtpTransport(settings, targets, session_settings(settings, "relay.example.com"))
        try:
            results = await deliver(way, envelope(*THREE))
        finally:
            await way.close()
        assert [str(result.address) for result in results] == list(THREE)
        assert replies(results) == ["250 2.0.0", "451 4.3.0", "451 4.3.0"]
