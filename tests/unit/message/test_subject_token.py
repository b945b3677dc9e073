"""A conversation's token in the subject."""

from __future__ import annotations

import pytest

from mta.message.edit import joined
from mta.message.parse import parse
from mta.message.subject_token import name_conversation, with_token, without_token
from mta.message.tokens import TokenStyle, tokens_in

TOKEN = "[Ticket - 000012]"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Printer", b"[Ticket - 000012] Printer"),
        (b"Re: Printer", b"Re: [Ticket - 000012] Printer"),
        (b"AW: WG: Drucker", b"AW: WG: [Ticket - 000012] Drucker"),
        (b"RE:Printer", b"RE: [Ticket - 000012] Printer"),
        (b"[EXTERN] Re[2]: Printer", b"[EXTERN] Re[2]: [Ticket - 000012] Printer"),
        (b"Re: ", b"Re: [Ticket - 000012] "),
        (b"Re: [ticket -  000012] Printer", b"Re: [ticket -  000012] Printer"),
        (b"Re: =?utf-8?Q?Dr=C3=BCcker?=", b"Re: [Ticket - 000012] =?utf-8?Q?Dr=C3=BCcker?="),
        (b"Automatic reply: Printer", b"[Ticket - 000012] Automatic reply: Printer"),
    ],
    ids=lambda value: value.decode().replace(" ", "_"),
)
def test_it_stands_behind_the_prefixes(before: bytes, after: bytes) -> None:
    data = b"From: a@b\r\nSubject: %b\r\nTo: c@d\r\n\r\nBody\r\n" % before
    changed = joined(data, name_conversation(parse(data), TOKEN))
    assert changed == b"From: a@b\r\nSubject: %b\r\nTo: c@d\r\n\r\nBody\r\n" % after
    assert name_conversation(parse(changed), TOKEN) == []
    assert with_token(parse(data).subject, TOKEN) == parse(changed).subject


@pytest.mark.parametrize(
    "subject",
    [
        b"=?utf-8?Q?Re=3A_Dr=C3=BCcker?=", b"=?iso-8859-1?Q?Dr=FCcker?=", b"Re:\r\n Printer of the whole second floor",
        b"Re: " + b"long word " * 30, b"Re: Drucker \xc3\xbc", b"\xd0\x9e\xd1\x82\xd0\xb2: x",
    ],
    ids=["encoded-prefix", "latin-1", "folded", "long", "raw-utf-8", "cyrillic-prefix"],
)  # fmt: skip
def test_the_words_stay_however_they_are_written(subject: bytes) -> None:
    data = b"Subject: %b\r\nTo: c@d\r\n\r\nBody\r\n" % subject
    changed = parse(joined(data, name_conversation(parse(data), TOKEN)))
    assert " ".join(changed.subject.split()) == " ".join(with_token(parse(data).subject, TOKEN).split())
    assert changed.subject.count(TOKEN) == 1
    assert changed.header("to") == "c@d"


def test_a_message_without_a_subject_gets_one() -> None:
    data = b"To: c@d\r\n\r\nBody\r\n"
    assert parse(joined(data, name_conversation(parse(data), TOKEN))).subject == TOKEN


STYLES = {
    "ticket": TokenStyle("ticket", "Ticket", 6, "[{label} - {id}]"),
    "incident": TokenStyle("incident", "Incident", 4, "INC-{id}"),
    "odd": TokenStyle("odd", "Odd", 1, "{module}.{id}+"),
    "none": TokenStyle("none", "None", 1, ""),
}


def found(text: str) -> list[tuple[str, int]]:
    expressions = [(name, style.expression()) for name, style in STYLES.items()]
    return list(tokens_in(text, [(name, each) for name, each in expressions if each is not None]))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Re: [Ticket - 000012] x", [("ticket", 12)]),
        ("[TICKET - 12]", [("ticket", 12)]),
        ("[Ticket -  12]", [("ticket", 12)]),
        ("inc-0007 and [Ticket - 1]", [("incident", 7), ("ticket", 1)]),
        ("XINC-0007 INC-12x INC-0 INC- [Ticket - ]", []),
        ("odd.5+", [("odd", 5)]),
        ("INC-" + "9" * 15, [("incident", 10**15 - 1)]),
        ("INC-" + "9" * 16, []),
    ],
)
def test_tokens_are_found_as_people_type_them(text: str, tokens: list[tuple[str, int]]) -> None:
    assert found(text) == tokens


@pytest.mark.parametrize("name", ["ticket", "incident", "odd"])
def test_what_is_written_is_found(name: str) -> None:
    for number in (1, 999_999, 1_000_000):
        assert found(f"Re: {STYLES[name].write(number)} x") == [(name, number)]
    assert STYLES["none"].write(1) == ""


@pytest.mark.parametrize(
    ("subject", "bare"),
    [
        ("[Ticket - 000012] Printer", "Printer"),
        ("AW: Re: [ticket - 12]  Printer [Ticket - 000012]", "Printer"),
        ("Re: [Ticket - 13] Printer", "Re: [Ticket - 13] Printer"),
        ("[rt.example #12] [Ticket - 12] Printer", "[rt.example #12] Printer"),
        ("[Ticket - 12]", ""),
        ("Re: Printer  INC-0012", "Re: Printer  INC-0012"),
    ],
)
def test_a_title_has_no_token_of_its_own(subject: str, bare: str) -> None:
    assert without_token(subject, STYLES["ticket"], 12) == bare
    assert without_token(subject, STYLES["none"], 12) == subject
