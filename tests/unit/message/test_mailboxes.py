"""Mailboxes in header fields: what is written is read again, by us and by the standard library."""

from __future__ import annotations

from email import policy
from email.parser import BytesParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.addresses import Mailbox, read_mailboxes
from mta.message.mailboxes import address_field, with_more
from mta.model.address import Address, parse_address

JANE = Address("jane", "example.com")
JOHN = Address("john", "example.com")


@pytest.mark.parametrize(
    ("display", "expected"),
    [
        ("", b"jane@example.com"),
        ("Jane Doe", b"Jane Doe <jane@example.com>"),
        ("Doe, Jane", b'"Doe, Jane" <jane@example.com>'),
        ('Jane "J" Doe\\', b'"Jane \\"J\\" Doe\\\\" <jane@example.com>'),
        ("Jürgen", b"=?utf-8?q?J=C3=BCrgen?= <jane@example.com>"),
        ("Müller, Hans", b"=?utf-8?q?M=C3=BCller=2C_Hans?= <jane@example.com>"),
        ("=?utf-8?q?x?=", b"=?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?= <jane@example.com>"),
        ("Jane\r\nBcc: evil@example.net", b'"Jane Bcc: evil@example.net" <jane@example.com>'),
    ],
)
def test_only_the_phrase_is_encoded(display: str, expected: bytes) -> None:
    assert address_field("From", [Mailbox(display, JANE)]) == b"From: " + expected + b"\r\n"


def test_an_address_beyond_ascii_is_refused() -> None:
    with pytest.raises(ValueError, match="SMTPUTF8"):
        address_field("From", [Mailbox("", Address("jürgen", "example.com"))])


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
def test_what_is_written_is_read_again(displays: list[str]) -> None:
    boxes = [Mailbox(display, parse_address(f"a{n}@example.com")) for n, display in enumerate(displays)]
    field = address_field("To", boxes)
    assert field.isascii()
    assert field.count(b"\r\n") == field.count(b"\n") == field.count(b"\r")
    assert all(line[:1] == b" " for line in field.split(b"\r\n")[1:-1])
    read = read_mailboxes(field[3:-2])
    assert [box.address for box in read] == [box.address for box in boxes]
    theirs = BytesParser(policy=policy.default).parsebytes(field + b"\r\n")["To"]
    assert [address.addr_spec for address in theirs.addresses] == [str(box.address) for box in boxes]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b" jane@example.com", b" jane@example.com,\r\n john@example.com"),
        (b" jane@example.com,\r\n", b" jane@example.com,\r\n john@example.com"),
        (b" undisclosed-recipients:;", b" undisclosed-recipients:;,\r\n john@example.com"),
        (b" Team: jane@example.com;", b" Team: jane@example.com;,\r\n john@example.com"),
        (b"  \r\n", b" john@example.com"),
        (b" =?utf-8?q?J=C3=BC?= <jane@example.com>", b" =?utf-8?q?J=C3=BC?= <jane@example.com>,\r\n john@example.com"),
        (b' "unclosed <jane@example.com>', None),
        (b" (comment jane@example.com", None),
    ],
)
def test_more_addresses_come_behind_what_stands_there(raw: bytes, expected: bytes | None) -> None:
    value = with_more(raw, [JOHN])
    if expected is not None:
        assert value == expected
    assert read_mailboxes(value)[-1].address == JOHN
    assert [box.address for box in read_mailboxes(raw)] == [box.address for box in read_mailboxes(value)][:-1]


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=80).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b" ")))
def test_whatever_stands_there_the_new_one_is_read(raw: bytes) -> None:
    assert read_mailboxes(with_more(raw, [JOHN]))[-1].address == JOHN
