"""References with one more id."""

from __future__ import annotations

import pytest

from mta.message.edit import joined
from mta.message.parse import parse
from mta.message.references import with_reference

OURS = b"<stampline.ticket.1.abcdefgh.abcdefghijklmnopqrstuvwxyz@example.com>"


def edited(data: bytes) -> bytes:
    return joined(data, with_reference(parse(data), OURS))


MANY = b"<a@b> " * 1999 + b"<a@b>"
EDITED = {
    "one id": (b"References: <a@b>\r\n", b"References: <a@b>\r\n %b\r\n" % OURS),
    "room on the line": (b"References:\r\n <a@b>\r\n\t<c>\r\n", b"References:\r\n <a@b>\r\n\t<c> %b\r\n" % OURS),
    "empty": (b"References: \r\n", b"References: %b\r\n" % OURS),
    "white space": (b"REFERENCES :<a@b> \t\r\n", b"REFERENCES :<a@b>\r\n %b\r\n" % OURS),
    "two fields": (b"References: <a>\r\nReferences: <c>\r\n", b"References: <a>\r\n %b\r\nReferences: <c>\r\n" % OURS),
    "there": (b"References: %b\r\n <a@b>\r\n" % OURS.upper(), b"References: %b\r\n <a@b>\r\n" % OURS.upper()),
    "long": (b"References: %b\r\n" % MANY, b"References: %b\r\n %b\r\n" % (MANY, OURS)),
}
NEW = {
    "nothing": (b"", b"References: %b\r\n" % OURS),
    "an answer": (b"In-Reply-To: <a@b>\r\n", b"References: <a@b>\r\n %b\r\n" % OURS),
    "an answer to two": (b"In-Reply-To: <a@b> <c@d>\r\n", b"References: %b\r\n" % OURS),
    "an answer to ours": (b"In-Reply-To: %b\r\n" % OURS, b"References: %b\r\n" % OURS),
}
HEAD, TAIL, BODY = b"Subject: x\r\n", b"X-Odd:  kept \t\r\n", b"\r\nBody\r\n"


@pytest.mark.parametrize("name", EDITED)
def test_one_id_at_the_end_and_nothing_else(name: str) -> None:
    before, after = EDITED[name]
    assert edited(HEAD + before + TAIL + BODY) == HEAD + after + TAIL + BODY


@pytest.mark.parametrize("name", NEW)
def test_a_new_field_stands_at_the_headers_end(name: str) -> None:
    before, field = NEW[name]
    assert edited(HEAD + before + TAIL + BODY) == HEAD + before + TAIL + field + BODY


def test_a_short_id_stays_on_the_line() -> None:
    data = b"References: <a@b>\r\n\r\n"
    assert joined(data, with_reference(parse(data), b"<o@x>")) == b"References: <a@b> <o@x>\r\n\r\n"


@pytest.mark.parametrize("data", [b"no header at all\r\n", b"", b"\r\nBody\r\n"])
def test_a_message_without_a_header_loses_nothing(data: bytes) -> None:
    assert edited(data).endswith(data)
