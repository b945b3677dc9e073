"""Whatever senders, cancellations, refusals and drops come together: every caller gets an answer, no slot is lost."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.adapters.transport.smtp_transport import SmtpTransport
from tests.unit.adapters.transport.peer import Session, deliver, envelope, hop, peer


def moody(chances: random.Random) -> object:
    """A server that now and then refuses at the greeting, hangs up or says 421."""

    async def script(session: Session) -> None:
        if chances.random() < 0.2:
            session.say("421 4.3.2 too many connections")
            return
        await session.open("PIPELINING", *(["LIMITS MAILMAX=2"] if chances.random() < 0.3 else []))
        while chances.random() < 0.8:
            while (command := await session.command())[:4] not in (b"DATA", b"QUIT"):
                session.say("250 2.0.0 ok")
            if command == b"QUIT":
                return
            session.say("354 go on")
            await session.content()
            session.say("250 2.0.0 taken")

    return script


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), connections=st.integers(1, 4), pace=st.sampled_from([None, "200/1s"]))
def test_every_caller_gets_an_answer_and_no_slot_is_lost(seed: int, connections: int, pace: str | None) -> None:
    asyncio.run(asyncio.wait_for(_storm(random.Random(seed), connections, pace), 60))


async def _storm(chances: random.Random, connections: int, pace: str | None) -> None:
    now = [0.0]
    async with peer(moody(chances)) as server:  # type: ignore[arg-type]
        way = SmtpTransport.to_hosts(
            hop(server.port, connections=connections, messages=pace, keep_idle="1s", messages_per_connection=5),
            hostname="relay.example.com", clock=lambda: now[0], chance=chances.random,
        )  # fmt: skip
        callers = []
        for number in range(60):
            of = envelope(sender=f"s{chances.randrange(4)}@example.com")
            callers.append(asyncio.create_task(deliver(way, of, deadline_s=chances.choice([0.001, 20, 20, 20]))))
            now[0] += chances.choice([0, 0.001, 6])
            if chances.random() < 0.15:
                callers[chances.randrange(number + 1)].cancel()
            await asyncio.sleep(0)

        async def pass_time() -> None:
            while True:
                now[0] += 0.01
                await asyncio.sleep(0.001)

        clock = asyncio.create_task(pass_time())
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        clock.cancel()
        for outcome in outcomes:
            assert isinstance(outcome, asyncio.CancelledError | list), outcome
        await way.close()
        assert way.is_idle
