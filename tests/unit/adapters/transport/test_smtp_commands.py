"""What is said in MAIL and RCPT, and how many recipients a transaction has, by what the server offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mta.adapters.transport.smtp_commands import Answer, Extensions, Transaction, original_recipient, plan
from mta.model.address import Address, parse_address
from mta.model.delivery import Misfit
from mta.model.envelope import DsnRequest, Notify
from tests.unit.adapters.transport.peer import MAIL, Session, deliver, envelope, hop, peer, replies, transport

ALL = Extensions(size=1000, size_offered=True, eight_bit_mime=True, smtputf8=True, dsn=True)
JOE, ANN, UTF8 = parse_address("joe@example.org"), parse_address("ann@example.net"), parse_address("jörg@example.org")


def to(*recipients: Address, **more: Any) -> Transaction:
    return Transaction(parse_address("jane@example.com"), recipients or (JOE,), 100, **more)


def rcpt(transaction: Transaction, extensions: Extensions = ALL) -> list[bytes]:
    return [line for _, line in plan(transaction, extensions).rcpt]


# --- DSN (RFC 3461) --------------------------------------------------------------------------------------------------

ASKED = DsnRequest(Notify.SUCCESS | Notify.DELAY, "rfc822;first+2Blast@example.com")


def test_dsn_parameters_go_on_as_they_came() -> None:
    made = plan(to(JOE, ANN, ret="HDRS", envid="QQ314159+3D", dsn=(ASKED, None)), ALL)
    assert made.mail == b"MAIL FROM:<jane@example.com> SIZE=100 RET=HDRS ENVID=QQ314159+3D\r\n"
    assert [line for _, line in made.rcpt] == [
        b"RCPT TO:<joe@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first+2Blast@example.com\r\n",
        b"RCPT TO:<ann@example.net>\r\n",
    ]


def test_a_server_without_dsn_hears_nothing_of_them() -> None:
    made = plan(to(ret="FULL", envid="X", dsn=(ASKED,)), Extensions())
    assert (made.mail, made.rcpt[0][1]) == (b"MAIL FROM:<jane@example.com>\r\n", b"RCPT TO:<joe@example.org>\r\n")


@pytest.mark.parametrize(
    ("notify", "said"),
    [
        (Notify.NEVER, b" NOTIFY=NEVER"),
        (Notify.FAILURE, b" NOTIFY=FAILURE"),
        (Notify.SUCCESS | Notify.FAILURE | Notify.DELAY, b" NOTIFY=SUCCESS,FAILURE,DELAY"),
        (None, b""),
    ],
)
def test_notify(notify: Notify | None, said: bytes) -> None:
    assert rcpt(to(dsn=(DsnRequest(notify),))) == [b"RCPT TO:<joe@example.org>%b\r\n" % said]


@pytest.mark.parametrize(
    "evil", ["x\r\nRCPT TO:<eve@example.org>", "x y", "x=y", "x+y", "x+2b", "x\0", "ü", "x" * 501, "x\n"]
)
def test_what_is_no_xtext_never_reaches_the_wire(evil: str) -> None:
    made = plan(to(ret=evil, envid=evil, dsn=(DsnRequest(None, f"rfc822;{evil}"),)), ALL)
    assert made.mail == b"MAIL FROM:<jane@example.com> SIZE=100\r\n"
    assert made.rcpt[0][1] == b"RCPT TO:<joe@example.org>\r\n"


def test_an_original_recipient_is_made_as_xtext() -> None:
    assert original_recipient(JOE) == "rfc822;joe@example.org"
    assert original_recipient(parse_address("a+b=c@example.org")) == "rfc822;a+2Bb+3Dc@example.org"
    assert original_recipient(parse_address('"a b"@example.org')) == 'rfc822;"a+20b"@example.org'
    assert original_recipient(UTF8) == ""


async def test_whom_the_sender_wrote_to_gets_an_orcpt_and_whom_a_rule_added_does_not() -> None:
    async def script(session: Session) -> None:
        await session.open("DSN", "PIPELINING")
        await session.serve()

    added = parse_address("added@example.org")
    of = replace(
        envelope("joe@example.org", "ann@example.net"),
        dsn={each.key: DsnRequest(Notify.FAILURE) for each in (JOE, added)},
    )
    async with peer(script) as server, transport(hop(server.port)) as way:
        results = await deliver(way, of, recipients=(JOE, ANN, added))
        assert [command for command in server.commands if command.startswith(b"RCPT")] == [
            b"RCPT TO:<joe@example.org> NOTIFY=FAILURE ORCPT=rfc822;joe@example.org",
            b"RCPT TO:<ann@example.net>",
            b"RCPT TO:<added@example.org> NOTIFY=FAILURE",
        ]
        assert [result.takes_dsn for result in results] == [True] * 3
    async with peer(plain()) as server, transport(hop(server.port)) as way:
        assert [result.takes_dsn for result in await deliver(way, of)] == [False] * 2


# --- what a next hop can't take --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "extensions", "misfit", "status"),
    [
        ({"size_octets": 1001}, ALL, Misfit.SIZE, "5.3.4"),
        ({"eight_bit": True}, Extensions(), Misfit.EIGHT_BIT, "5.6.3"),
        ({"smtputf8": True}, Extensions(), Misfit.UTF8_HEADER, "5.6.7"),
        ({"smtputf8": True, "eight_bit": True}, replace(ALL, smtputf8=False), Misfit.UTF8_HEADER, "5.6.7"),
    ],
)
def test_a_misfit_is_told_and_nothing_sent(
    more: dict[str, Any], extensions: Extensions, misfit: Misfit, status: str
) -> None:
    transaction = replace(to(JOE, UTF8), **more)
    made = plan(transaction, extensions)
    assert (made.mail, made.rcpt) != (b"", ()) or not made.rcpt
    assert not made.rcpt
    assert (made.refused[0].misfit, made.refused[0].reply.status) == (misfit, status)
    if not extensions.smtputf8:
        assert made.refused[1] == Answer(made.refused[1].reply), "another form would not help this address"
    assert len(plan(replace(transaction, overlook=(misfit, Misfit.EIGHT_BIT)), extensions).rcpt) >= 1


@pytest.mark.parametrize(
    ("at", "reply", "misfit"),
    [
        ("MAIL", "552 5.3.4 too large", Misfit.SIZE),
        ("MAIL", "552 too large", Misfit.SIZE),
        (".", "552 5.3.4 too large", Misfit.SIZE),
        (".", "552 spam", None),
        ("RCPT", "552 5.2.2 mailbox full", None),
        ("RCPT", "552 mailbox full", None),
    ],
)
async def test_a_refusal_for_the_size_is_a_misfit(at: str, reply: str, misfit: Misfit | None) -> None:
    async def script(session: Session) -> None:
        await session.open()
        for verb in ("MAIL", "RCPT", "DATA"):
            await session.expect(verb, reply if verb == at else "354 go" if verb == "DATA" else "250 ok")
            if verb == at:
                await session.expect("QUIT", "221 bye")
                return
        await session.content()
        session.say(reply)
        await session.expect("QUIT", "221 bye")

    async with peer(script) as server, transport(hop(server.port)) as way:
        [result] = await deliver(way)
        assert (result.reply.code, result.misfit) == (552, misfit)


# --- LIMITS (RFC 9422) -----------------------------------------------------------------------------------------------


def plain(*extensions: str) -> Callable[[Session], Any]:
    async def script(session: Session) -> None:
        await session.open("PIPELINING", *extensions)
        await session.serve()

    return script


async def test_the_remotes_limit_of_recipients_is_kept() -> None:
    of = envelope(*(f"r{i}@example.org" for i in range(7)))
    async with peer(plain("LIMITS RCPTMAX=3 MAILMAX=100")) as server, transport(hop(server.port)) as way:
        assert replies(await deliver(way, of)) == ["250 2.0.0"] * 7
        assert [session.contents for session in server.sessions] == [[MAIL] * 3]


async def test_the_remotes_limit_of_messages_is_kept() -> None:
    async with peer(plain("LIMITS MAILMAX=2")) as server, transport(hop(server.port)) as way:
        for _ in range(4):
            assert replies(await deliver(way)) == ["250 2.0.0"]
        assert [len(session.contents) for session in server.sessions] == [2, 2]


async def test_the_remotes_limit_of_domains_is_kept() -> None:
    of = envelope("a@one.example", "b@two.example", "c@ONE.example", "d@three.example")
    async with peer(plain("LIMITS RCPTDOMAINMAX=1")) as server, transport(hop(server.port)) as way:
        assert replies(sorted(await deliver(way, of), key=lambda result: result.index)) == ["250 2.0.0"] * 4
        assert len(server.contents) == 3


@pytest.mark.parametrize(
    "limits",
    ["LIMITS", "LIMITS RCPTMAX=0", "LIMITS RCPTMAX", "LIMITS RCPTMAX=-1 X=Y=Z", "LIMITS" + " RCPTMAX=99999999" * 50],
)
async def test_odd_limits_limit_nothing(limits: str) -> None:
    of = envelope(*(f"r{i}@example.org" for i in range(5)))
    async with peer(plain(limits)) as server, transport(hop(server.port)) as way:
        assert replies(await deliver(way, of)) == ["250 2.0.0"] * 5
        assert len(server.contents) == 1
