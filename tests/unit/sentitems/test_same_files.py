"""Whether an item has a message's attachments."""

from __future__ import annotations

import pytest

from mta.message.parse import parse
from mta.model.mailbox_item import ItemRef, SentItem
from mta.sentitems.same_files import are_files_same


def with_messages(*texts: str) -> bytes:
    """A message with these attached; what follows a colon is in a header field that nobody reads."""
    parts = ["Content-Type: text/plain\r\n\r\nSee below."]
    for text in texts:
        words, _, number = text.partition(":")
        parts += [f"Content-Type: message/rfc822\r\n\r\nX-Number: {number}\r\nContent-Type: text/plain\r\n\r\n{words}"]
    body = "".join(f"--b\r\n{part}\r\n" for part in parts)
    return f"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{body}--b--\r\n".encode()


@pytest.mark.parametrize(
    ("has", "had", "same"),
    [
        ("one two", "one two", True),
        ("one two", "two one", True),
        ("one two", "one three", False),
        ("one one one", "one two three", False),
        ("one two three", "one one one", False),
        ("one one one", "one one:2 one:3", True),
    ],
    ids=["same", "another order", "another", "one thrice", "once thrice", "thrice the same words"],
)
def test_attached_messages(has: str, had: str, same: bool) -> None:
    item = SentItem(ItemRef("1"), "<1@example.com>", "x", mime=with_messages(*has.split()))
    assert are_files_same(item, parse(with_messages(*had.split()))) is same
