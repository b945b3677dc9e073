"""The arguments of MAIL and RCPT."""

from __future__ import annotations

import pytest

from mta.model.address import Address
from mta.model.envelope import DsnRequest, Notify
from mta.relay.receive.commands import CommandError, MailArguments, parse_mail, parse_recipient

POSTMASTER = Address("postmaster", "mx.example.com")


def _mail(argument: str, *, esmtp: bool = True, offered: bool = True) -> MailArguments:
    return parse_mail(argument, esmtp=esmtp, smtputf8_offered=offered)


def _refused_mail(argument: str, *, esmtp: bool = True, offered: bool = True) -> str:
    with pytest.raises(CommandError) as caught:
        _mail(argument, esmtp=esmtp, offered=offered)
    return f"{caught.value.reply.code} {caught.value.reply.status}"


def _recipient(argument: str, *, smtputf8: bool = False) -> Address:
    return parse_recipient(argument, postmaster=POSTMASTER, esmtp=True, smtputf8=smtputf8)[0]


def _request(parameters: str, *, smtputf8: bool = False, esmtp: bool = True) -> DsnRequest | None:
    argument = f"TO:<a@example.com> {parameters}"
    return parse_recipient(argument, postmaster=POSTMASTER, esmtp=esmtp, smtputf8=smtputf8)[1]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("FROM:<>", MailArguments(None)),
        ("from:<a@example.com>", MailArguments(Address("a", "example.com"))),
        ("FROM: <a@example.com>", MailArguments(Address("a", "example.com"))),
        ("FROM:<> SIZE=10", MailArguments(None, 10)),
        ("FROM:<>  BODY=7BIT  SIZE=10", MailArguments(None, 10)),
        ("FROM:<> BODY=8bitmime SMTPUTF8", MailArguments(None, 0, True)),
        ('FROM:<"a b: c"@example.com> SIZE=1', MailArguments(Address('"a b: c"', "example.com"), 1)),
        (r'FROM:<"a\"b"@example.com>', MailArguments(Address(r'"a\"b"', "example.com"))),
        ("FROM:<ü@example.com> SMTPUTF8", MailArguments(Address("ü", "example.com"), 0, True)),
        ("FROM:<> ret=full", MailArguments(None, ret="FULL")),
        ("FROM:<> RET=HDRS ENVID=QQ+2B3+20x", MailArguments(None, envid="QQ+2B3+20x", ret="HDRS")),
        ("FROM:<> envid=MixedCase", MailArguments(None, envid="MixedCase")),
        ("FROM:<> ENVID=" + "x" * 100, MailArguments(None, envid="x" * 100)),
        ("FROM:<> AUTH=<>", MailArguments(None)),
        ("FROM:<> AUTH=e+3Dmc2@example.com", MailArguments(None)),
    ],
)
def test_mail(argument: str, expected: MailArguments) -> None:
    assert _mail(argument) == expected


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("", "501 5.5.4"),
        ("TO:<a@example.com>", "501 5.5.4"),
        ("FROM:", "501 5.5.4"),
        ("FROM:<", "501 5.5.4"),
        ("FROM:<a@example.com", "501 5.5.4"),
        ("FROM:a@example.com", "501 5.5.4"),
        ("FROM:<a@example.com>SIZE=1", "501 5.5.4"),
        ('FROM:<"a@example.com>', "501 5.5.4"),
        ("FROM:<a b@example.com>", "501 5.5.4"),
        ("FROM: ", "501 5.5.4"),
        ("FROM:<@a.example,@b.example:u@example.com>", "553 5.1.7"),
        ("FROM:<a>", "553 5.1.7"),
        ('FROM:<"a > b <c"@example.com> SIZE=1', "553 5.1.7"),
        ("FROM:<a@[192.0.2.1]>", "553 5.1.7"),
        ("FROM:<ü@example.com>", "553 5.6.7"),
        ("FROM:<> SIZE", "501 5.5.4"),
        ("FROM:<> SIZE=-1", "501 5.5.4"),
        ("FROM:<> SIZE=1e3", "501 5.5.4"),
        ("FROM:<> SIZE=" + "9" * 21, "501 5.5.4"),
        ("FROM:<> SIZE=1 size=2", "501 5.5.4"),
        ("FROM:<> BODY", "501 5.5.4"),
        ("FROM:<> BODY=BINARYMIME", "501 5.5.4"),
        ("FROM:<> SMTPUTF8=yes", "555 5.5.4"),
        ("FROM:<> =x", "501 5.5.4"),
        ("FROM:<> AUTH=ü SMTPUTF8", "501 5.5.4"),
        ("FROM:<> RET", "501 5.5.4"),
        ("FROM:<> RET=BODY", "501 5.5.4"),
        ("FROM:<> RET=FULL RET=FULL", "501 5.5.4"),
        ("FROM:<> ENVID", "501 5.5.4"),
        ("FROM:<> ENVID=a+2", "501 5.5.4"),
        ("FROM:<> ENVID=a+2b", "501 5.5.4"),
        ("FROM:<> ENVID=a+0Ab", "501 5.5.4"),
        ("FROM:<> ENVID=a+C3+BC", "501 5.5.4"),
        ("FROM:<> ENVID=" + "x" * 101, "501 5.5.4"),
        ("FROM:<> ENVID=ü SMTPUTF8", "501 5.5.4"),
        ("FROM:<> NOTIFY=NEVER", "555 5.5.4"),
        ("FROM:<> MT-PRIORITY=3", "555 5.5.4"),
        ("FROM:<> SIZE=ü SMTPUTF8", "501 5.5.4"),
    ],
)
def test_mail_refusals(argument: str, reply: str) -> None:
    assert _refused_mail(argument) == reply


def test_parameters_need_ehlo_and_smtputf8_its_offer() -> None:
    assert _refused_mail("FROM:<> SIZE=1", esmtp=False) == "555 5.5.4"
    assert _refused_mail("FROM:<> SMTPUTF8", offered=False) == "555 5.5.4"


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("TO:<a@example.com>", Address("a", "example.com")),
        ("to: <A.B@Example.com>", Address("A.B", "Example.com")),
        ("TO:<postmaster>", POSTMASTER),
        ("TO:<POSTMASTER>", POSTMASTER),
        ('TO:<"a b"@example.com>', Address('"a b"', "example.com")),
    ],
)
def test_recipient(argument: str, expected: Address) -> None:
    assert _recipient(argument) == expected


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("TO:<>", "501 5.1.3"),
        ("TO:<a@example.com> RET=FULL", "555 5.5.4"),
        ("TO:<a@example.com> NOTIFY", "501 5.5.4"),
        ("TO:<a@example.com> ==", "501 5.5.4"),
        ("TO:<a@example.com>>", "501 5.5.4"),
        ("TO:<root>", "553 5.1.3"),
        ("TO:<a@b@example.com>", "553 5.1.3"),
        ("TO:<a@example.com.>", "553 5.1.3"),
        ("TO:<ü@example.com>", "553 5.6.7"),
        ("FROM:<a@example.com>", "501 5.5.4"),
    ],
)
def test_recipient_refusals(argument: str, reply: str) -> None:
    with pytest.raises(CommandError) as caught:
        _recipient(argument)
    assert f"{caught.value.reply.code} {caught.value.reply.status}" == reply


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("", None),
        ("NOTIFY=NEVER", DsnRequest(Notify.NEVER)),
        ("notify=never", DsnRequest(Notify.NEVER)),
        ("NOTIFY=SUCCESS,delay", DsnRequest(Notify.SUCCESS | Notify.DELAY)),
        ("NOTIFY=FAILURE,SUCCESS,DELAY", DsnRequest(Notify.SUCCESS | Notify.DELAY | Notify.FAILURE)),
        ("ORCPT=rfc822;Jane+2BTag@Example.com", DsnRequest(None, "rfc822;Jane+2BTag@Example.com")),
        ("ORCPT=RFC822;jane+20doe NOTIFY=FAILURE", DsnRequest(Notify.FAILURE, "RFC822;jane+20doe")),
        ("ORCPT=x400;/c=us/".replace("=us", "+3Dus"), DsnRequest(None, "x400;/c+3Dus/")),
        ("ORCPT=rfc822;" + "x" * 493, DsnRequest(None, "rfc822;" + "x" * 493)),
        (r"ORCPT=utf-8;\x{FC}ber@\x{10FFFF}", DsnRequest(None, r"utf-8;\x{FC}ber@\x{10FFFF}")),
        ("ORCPT=utf-8;a+2Bb@example.com", DsnRequest(None, "utf-8;a+2Bb@example.com")),
    ],
)
def test_what_a_sender_wants_to_be_told(parameters: str, expected: DsnRequest | None) -> None:
    assert _request(parameters) == expected


def test_an_original_recipient_beyond_ascii_needs_smtputf8() -> None:
    assert _request("ORCPT=utf-8;über@example.com", smtputf8=True) == DsnRequest(None, "utf-8;über@example.com")
    with pytest.raises(CommandError, match=r"^553 5\.6\.7"):
        _request("ORCPT=utf-8;über@example.com")
    with pytest.raises(CommandError, match=r"^501 5\.5\.4"):
        _request("ORCPT=rfc822;über@example.com", smtputf8=True)


@pytest.mark.parametrize(
    "parameters",
    [
        "NOTIFY=",
        "NOTIFY=NEVER,SUCCESS",
        "NOTIFY=SUCCESS,NEVER",
        "NOTIFY=SUCCESS,",
        "NOTIFY=ALWAYS",
        "NOTIFY=SUCCESS NOTIFY=FAILURE",
        "ORCPT=rfc822;a ORCPT=rfc822;a",
        "ORCPT",
        "ORCPT=a@example.com",
        "ORCPT=rfc822;",
        "ORCPT=;a",
        "ORCPT=rfc 822;a",
        "ORCPT=rfc822;a+4",
        "ORCPT=rfc822;a+0D+0Ab",
        "ORCPT=rfc822;a=b",
        "ORCPT=rfc822;" + "x" * 494,
        r"ORCPT=utf-8;\x{110000}",
        r"ORCPT=utf-8;\xFC",
        r"ORCPT=utf-8;\x{fc}",
    ],
)
def test_requests_against_the_grammar(parameters: str) -> None:
    with pytest.raises(CommandError, match=r"^501 5\.5\.4"):
        _request(parameters)


def test_requests_need_ehlo() -> None:
    with pytest.raises(CommandError, match=r"^555 5\.5\.4"):
        _request("NOTIFY=NEVER", esmtp=False)


def test_long_hostile_paths_take_no_time() -> None:
    """The grammar has no backtracking that grows faster than the line."""
    for argument in (
        "TO:<" + '"a"' * 20_000,
        "TO:<" + '"\\' * 30_000,
        "TO:<" + "a" * 60_000,
        "TO:<" + '""' * 30_000 + ">",
        "TO:<a@example.com> ORCPT=rfc822;" + "+41" * 20_000 + "=",
        "TO:<a@example.com> ORCPT=utf-8;" + "+41" * 20_000,
    ):
        with pytest.raises(CommandError):
            _recipient(argument)
