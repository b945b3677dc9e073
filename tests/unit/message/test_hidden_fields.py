"""What other readers may take for a field of the header, and we don't."""

from __future__ import annotations

import pytest

from mta.message.hidden_fields import hidden_names
from mta.message.parse import parse

CLOSED = b"\r\n\r\nFrom: body@example.com\r\n"


@pytest.mark.parametrize(
    "header",
    [
        b"From: a@example.com\r\n--line\r\nX-Secret: 1",
        b"From: a@example.com\r\n\xef\xbb\xbfX-Secret: 1\r\nTo: b@example.com",
        b"From: a@example.com\r\n\xef\xbb\xbfX-Secret : 1",
        b"From: a@example.com\r\nx-SECRET\r\n : 1\r\nTo: b@example.com",
        b"From: a@example.com\r\nX-Secret\t\r\n\t\r\n : 1",
    ],
    ids=["dashes", "bom-inside", "bom-at-the-end", "folded-name", "folded-name-at-the-end"],
)
def test_it_is_found(header: bytes) -> None:
    message = parse(header + CLOSED)
    assert not message.has("X-Secret")
    assert b"x-secret" in set(hidden_names(message))
    assert b"from" not in set(hidden_names(message))


@pytest.mark.parametrize(
    "message",
    [
        b"From: a@example.com\r\nSubject: X-Secret: 1\r\n\tX-Secret: 1\r\n\r\nX-Secret: 1\r\n",
        b"From: a@example.com\r\n",
        b"\r\nX-Secret: 1\r\n",
        b"From: a@example.com\r\n--line\r\n\r\nX-Secret: 1\r\n",
    ],
    ids=["in-values", "no-body", "no-header", "behind-the-empty-line"],
)
def test_what_nobody_reads_as_a_field_is_none(message: bytes) -> None:
    assert b"x-secret" not in set(hidden_names(parse(message)))
