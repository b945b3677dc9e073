"""Whether recipients exist: what is asked, remembered, and done where nothing is to be had."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from mta.config.listener_schema import RecipientVerification
from mta.model.address import Address, parse_address
from mta.model.reply import Reply
from mta.relay.recipient_verification import NO_SUCH_RECIPIENT, RecipientVerifier

JANE, JOE = parse_address("jane@example.com"), parse_address("joe@example.com")
UNKNOWN = Reply(550, "5.1.1", "User unknown")
OK = Reply(250, "2.1.5", "Ok")
SETTINGS = RecipientVerification(
    by="next-hop", keep_known=timedelta(hours=1), keep_unknown=timedelta(minutes=1), timeout=timedelta(seconds=5)
)


@dataclass
class Exchange:
    """A next hop that knows some people."""

    answers: dict[str, Reply] = field(default_factory=lambda: {JANE.key: OK})
    otherwise: Reply = UNKNOWN
    asked: list[str] = field(default_factory=list)
    may_answer: asyncio.Event | None = None

    async def ask_for(self, recipient: Address, *, deadline_s: float) -> Reply:
        self.asked.append(recipient.key)
        if self.may_answer is not None:
            await self.may_answer.wait()
        return self.answers.get(recipient.key, self.otherwise)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_known_ones_pass_and_unknown_ones_are_refused_and_both_are_remembered_for_their_time() -> None:
    exchange, clock = Exchange(), Clock()
    verifier = RecipientVerifier(lambda _: exchange, clock)
    for _ in range(3):
        assert await verifier.by_next_hop(SETTINGS, JANE, "in") is None
        assert await verifier.by_next_hop(SETTINGS, JOE, "in") == NO_SUCH_RECIPIENT
    nobody = exchange.asked.pop(1)
    assert nobody.startswith("nobody-")
    assert exchange.asked == [JANE.key, JOE.key]
    clock.now += 61
    exchange.answers[JOE.key] = OK
    assert await verifier.by_next_hop(SETTINGS, JOE, "in") is None
    assert await verifier.by_next_hop(SETTINGS, JANE, "in") is None
    assert exchange.asked == [JANE.key, JOE.key, JOE.key]
    clock.now += 3600
    await verifier.by_next_hop(SETTINGS, JANE, "in")
    assert exchange.asked.count(JANE.key) == 2


async def test_a_next_hop_that_takes_everybody_is_asked_no_more() -> None:
    exchange = Exchange(otherwise=OK)
    verifier = RecipientVerifier(lambda _: exchange, Clock())
    assert await verifier.by_next_hop(SETTINGS, JANE, "in") is None
    assert await verifier.by_next_hop(SETTINGS, JOE, "in") is None
    assert len(exchange.asked) == 2
    assert await verifier.by_next_hop(SETTINGS, parse_address("x@example.org"), "in") is None
    assert len(exchange.asked) == 4  # another domain is another matter


@pytest.mark.parametrize(
    ("reply", "is_refused"),
    [
        (Reply(550, "5.1.1", "x"), True), (Reply(550, "5.1.10", "x"), True), (Reply(550, "5.0.0", "x"), True),
        (Reply(550, "", "x"), True), (Reply(553, "5.2.1", "x"), True), (Reply(550, "5.7.1", "x"), False),
        (Reply(554, "5.4.1", "x"), False), (Reply(451, "4.3.0", "x"), False), (Reply(450, "4.1.1", "x"), False),
        (Reply(251, "2.1.5", "x"), False), (Reply(554, "", "x"), False), (Reply(554, "5.0.0", "x"), False),
        (Reply(552, "5.2.2", "x"), False), (Reply(550, "5.1.8", "x"), False), (Reply(511, "5.1.1", "x"), True),
    ],
    ids=lambda value: str(value),
)  # fmt: skip
async def test_only_a_no_about_the_recipient_is_a_no(reply: Reply, is_refused: bool) -> None:
    verifier = RecipientVerifier(lambda _: Exchange(otherwise=reply), Clock())
    assert (await verifier.by_next_hop(SETTINGS, JOE, "in") is not None) is is_refused


async def test_what_was_not_answered_is_asked_again() -> None:
    exchange = Exchange(otherwise=Reply(451, "4.4.1", "down"))
    verifier = RecipientVerifier(lambda _: exchange, Clock())
    for _ in range(2):
        assert await verifier.by_next_hop(SETTINGS, JOE, "in") is None
    assert exchange.asked == [JOE.key, JOE.key]


async def test_one_question_for_many_who_want_to_know() -> None:
    exchange = Exchange(may_answer=asyncio.Event())
    verifier = RecipientVerifier(lambda _: exchange, Clock())
    tasks = [asyncio.create_task(verifier.by_next_hop(SETTINGS, JOE, "in")) for _ in range(20)]
    while not exchange.asked:
        await asyncio.sleep(0)
    tasks[0].cancel()  # its client has left; the others get their answer
    assert exchange.may_answer is not None
    exchange.may_answer.set()
    answers = await asyncio.gather(*tasks[1:])
    assert answers == [NO_SUCH_RECIPIENT] * 19
    assert exchange.asked == [JOE.key]


async def test_nobody_waits_longer_than_configured() -> None:
    exchange = Exchange(may_answer=asyncio.Event())
    verifier = RecipientVerifier(lambda _: exchange, Clock())
    hasty = SETTINGS.model_copy(update={"timeout": timedelta(milliseconds=10)})
    assert await verifier.by_next_hop(hasty, JOE, "in") is None
    assert exchange.may_answer is not None
    exchange.may_answer.set()
    assert await verifier.by_next_hop(SETTINGS, JOE, "in") == NO_SUCH_RECIPIENT  # the late answer counts


async def test_a_way_that_cannot_ask_takes_everybody() -> None:
    assert await RecipientVerifier(lambda _: object(), Clock()).by_next_hop(SETTINGS, JOE, "in") is None


async def test_a_spelling_that_is_taken_badly_says_nothing_of_the_others() -> None:
    exchange = Exchange(otherwise=UNKNOWN)
    exchange.answers = {}
    spellings = [parse_address(text) for text in ('"jane"@example.com', "JANE@example.com", "jane@EXAMPLE.com")]

    async def ask_for(recipient: Address, *, deadline_s: float) -> Reply:
        exchange.asked.append(str(recipient))
        return OK if recipient.local == "jane" else UNKNOWN

    exchange.ask_for = ask_for  # type: ignore[method-assign]
    verifier = RecipientVerifier(lambda _: exchange, Clock())
    answers = [await verifier.by_next_hop(SETTINGS, each, "in") for each in (*spellings, JANE)]
    assert answers == [NO_SUCH_RECIPIENT, NO_SUCH_RECIPIENT, None, None]


async def test_a_slow_next_hop_keeps_nobody_waiting_who_goes_elsewhere() -> None:
    slow, quick = Exchange(may_answer=asyncio.Event()), Exchange()
    verifier = RecipientVerifier(lambda name: slow if name == "slow" else quick, Clock())
    many = [Address(f"somebody-{number}", "example.com") for number in range(600)]
    waiting = [asyncio.create_task(verifier.by_next_hop(SETTINGS, each, "slow")) for each in many]
    while len(slow.asked) < 10:
        await asyncio.sleep(0)
    assert await verifier.by_next_hop(SETTINGS, JOE, "quick") == NO_SUCH_RECIPIENT
    assert len(slow.asked) == 10
    assert slow.may_answer is not None
    slow.may_answer.set()
    answers = await asyncio.gather(*waiting)
    assert answers.count(NO_SUCH_RECIPIENT) == 500


async def test_who_has_waited_in_vain_is_not_asked_for_later() -> None:
    exchange = Exchange(may_answer=asyncio.Event())
    verifier = RecipientVerifier(lambda _: exchange, Clock())
    hasty = SETTINGS.model_copy(update={"timeout": timedelta(milliseconds=10)})
    many = [Address(f"somebody-{number}", "example.com") for number in range(30)]
    assert await asyncio.gather(*(verifier.by_next_hop(hasty, each, "in") for each in many)) == [None] * 30
    assert exchange.may_answer is not None
    exchange.may_answer.set()
    assert await verifier.by_next_hop(SETTINGS, JOE, "in") == NO_SUCH_RECIPIENT
    assert len(exchange.asked) == 11


async def test_another_server_of_the_same_name_is_asked_anew() -> None:
    former, now = Exchange(answers={}), Exchange(answers={JOE.key: OK})
    ways: list[object] = [former]
    verifier = RecipientVerifier(lambda _: ways[0], Clock())
    assert await verifier.by_next_hop(SETTINGS, JOE, "in") == NO_SUCH_RECIPIENT
    ways[0] = now
    assert await verifier.by_next_hop(SETTINGS, JOE, "in") is None
