"""As whom a client may send, by what stands in the header."""

from __future__ import annotations

import pytest

from mta.message.parse import parse
from mta.relay.receive.senders import sender_rules

RULES = sender_rules(("example.com", "*.devices.example.com", "scanner@example.net", "bücher.example"))


@pytest.mark.parametrize(
    "header",
    [
        "From: Jane <jane@example.com>",
        "From: jane@EXAMPLE.COM, joe@example.com\r\nSender: a@x.devices.example.com",
        'From: "boss@evil.example" <scanner@example.net>',
        "From: a@xn--bcher-kva.example",
        "Subject: no author at all",
    ],
)
def test_authors_that_are_allowed(header: str) -> None:
    assert RULES.stranger_in(parse(f"{header}\r\n\r\nHello\r\n".encode())) == ""


@pytest.mark.parametrize(
    "header",
    [
        "From: boss@evil.example",
        "From: jane@example.com, boss@evil.example",
        "From: jane@example.com\r\nFrom: boss@evil.example",
        "From: jane@example.com\r\nSender: boss@evil.example",
        "From: jane@sub.example.com",
        "From: other@example.net",
        "From: <jane@example.com> <boss@evil.example>",
        "From: boss@evil.example@example.com, jane@example.com",
        "From: Group: jane@example.com, boss@evil.example;",
        "from : boss@evil.example",
        "From:\r\n boss@evil.example",
        "From: jane",
        "From: jane@example.com\r\n--line\r\nFrom: boss@evil.example",
        "From: jane@example.com\r\nFrom\r\n : boss@evil.example\r\nTo: joe@example.com",
        "From: jane@example.com\r\n\u00a0Sender: boss@evil.example\r\nTo: joe@example.com",
        "From: <jane@example.com> boss@evil.example",
    ],
)
def test_authors_that_are_not(header: str) -> None:
    assert RULES.stranger_in(parse(f"{header}\r\n\r\nHello\r\n".encode()))


def test_a_message_that_was_not_looked_into_may_be_anybodys() -> None:
    assert RULES.stranger_in(None)
    assert sender_rules(()).stranger_in(None) == ""
    assert sender_rules(()).stranger_in(parse(b"From: boss@evil.example\r\n\r\nHello\r\n")) == ""
