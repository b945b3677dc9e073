"""The arguments of MAIL and RCPT."""

from __future__ import annotations

import pytest

from mta.model.address import Address
from mta.relay.receive.commands import CommandError, MailArguments, parse_mail, parse_recipient

POSTMASTER = Address("postmaster", "mx.example.com")


def _mail(argument: str, *, esmtp: bool = True, offered: bool = True) -> MailArguments:
    return parse_mail(argument, esmtp=esmtp, smtputf8_offered=offered)


def _refused_mail(argument: str, *, esmtp: bool = True, offered: bool = True) -> str:
    with pytest.raises(CommandError) as caught:
        _mail(argument, esmtp=esmtp, offered=offered)
    return f"{caught.value.reply.code} {caught.value.reply.status}"


def _recipient(argument: str, *, smtputf8: bool = False) -> Address:
    return parse_recipient(argument, postmaster=POSTMASTER, esmtp=True, smtputf8=smtputf8)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("FROM:<>", MailArguments(None)),
        ("from:<a@example.com>", MailArguments(Address("a", "example.com"))),
        ("FROM: <a@example.com>", MailArguments(Address("a", "example.com"))),
        ("FROM:<> SIZE=10", MailArguments(None, 10)),
        ("FROM:<>  BODY=7BIT  SIZE=10", MailArguments(None, 10)),
        ("FROM:<> BODY=8bitmime SMTPUTF8", MailArguments(None, 0, True)),
        ('FROM:<"a > b <c"@example.com> SIZE=1', MailArguments(Address('"a > b <c"', "example.com"), 1)),
        (r'FROM:<"a\"b"@example.com>', MailArguments(Address(r'"a\"b"', "example.com"))),
        ("FROM:<ü@example.com> SMTPUTF8", MailArguments(Address("ü", "example.com"), 0, True)),
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
        ("FROM:<> RET=FULL", "555 5.5.4"),
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
        ("TO:<a@example.com> ORCPT=rfc822;a@example.com", "555 5.5.4"),
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


def test_long_hostile_paths_take_no_time() -> None:
    """The grammar has no backtracking that grows faster than the line."""
    for argument in (
        "TO:<" + '"a"' * 20_000,
        "TO:<" + '"\\' * 30_000,
        "TO:<" + "a" * 60_000,
        "TO:<" + '""' * 30_000 + ">",
    ):
        with pytest.raises(CommandError):
            _recipient(argument)
