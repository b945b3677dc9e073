"""Copies for the processing mailbox: what is put in comes out, and nobody else can make one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from mta.message.edit import Edit
from mta.message.parse import LimitExceededError, Limits, parse
from mta.message.tracking_copy import (
    CONTENT_TYPE,
    LIMITS,
    Letterhead,
    TrackingCopy,
    digest_of,
    inner_message,
    read_copy,
    write_copy,
)
from mta.model.address import parse_address
from mta.model.transaction import Transaction
from tests.shared import CorpusMessage, corpus

KEY, OTHER = b"k" * 32, b"o" * 32
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
HEAD = Letterhead(
    parse_address("postmaster@example.com"), parse_address("desk@example.com"), "<copy@example.com>", NOW, "Copy"
)
INNER = (
    b"From: jane@example.com\r\nTo: bob@example.net\r\nMessage-ID: <1@example.com>\r\nSubject: x\r\n\r\n"
    b"Hello \xe4\r\n--b\r\nno end"
)


def described(inner: bytes, **changes: Any) -> TrackingCopy:
    copy = TrackingCopy(
        Transaction("default", "ticket", 12, "abcdefgh"), "sent", "jane@example.com", ("bob@example.net",), "desk",
        "Q1", "<1@example.com>", digest_of([inner]), NOW, authenticated=True, organisation="default",
    )  # fmt: skip
    return replace(copy, **changes)


def written(inner: bytes = INNER, key: bytes = KEY, **changes: Any) -> bytes:
    return b"".join(write_copy(described(inner, **changes), key, [inner], HEAD))


def read(data: bytes, *keys: bytes, organisation: str = "default") -> tuple[TrackingCopy, bytes] | None:
    return read_copy(parse(data, LIMITS), keys or (KEY,), organisation)


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"transaction": None}, {"mail_from": "", "direction": "received"}, {"authenticated": None},
        {"recipients": tuple(f"r{n}@example.net" for n in range(2000))}, {"rule": "ü" * 100},
        {"mail_from": "dörte@exämple.com", "recipients": ("ß" * 60 + "@x.example",) * 3}, {"message_id": ""},
        {"organisation": "no \" such\\ name\r\n", "transaction": None},
    ],
    ids=["plain", "unknown", "null", "nobody-says", "many", "rule", "beyond-ascii", "no-id", "odd-name"],
)  # fmt: skip
def test_what_is_written_is_read(changes: dict[str, Any]) -> None:
    data = written(**changes)
    found = read(data, organisation=changes.get("organisation", "default"))
    assert found == (described(INNER, **changes), INNER)
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))


def test_every_key_counts_and_no_other() -> None:
    assert read(written(), OTHER, KEY) is not None
    assert read(written(), OTHER) is None
    assert read(written(), organisation="other") is None


@pytest.mark.parametrize(
    ("inner", "label"),
    [
        (b"Subject: x\r\n\r\nHello\r\n", "7bit"), (b"Subject: x\r\n\r\n\xe4\r\n", "8bit"),
        (b"\r\n" + b"x" * 1200, "binary"),        (b"Subject: x\r\n\r\n\0\r\n", "binary"), (b"", "7bit"),
    ],
    ids=["ascii", "8-bit", "long-line", "nul", "empty"],
)  # fmt: skip
def test_the_label_is_true_of_the_message_inside(inner: bytes, label: str) -> None:
    data = written(inner)
    found = parse(data, LIMITS)
    assert found.root.encoding == found.root.children[2].encoding == label
    assert (read(data) or ((), b"?"))[1] == inner


def test_other_programs_read_it_too() -> None:
    message = message_from_bytes(written(INNER.replace(b"\xe4", b"")), policy=policy.default)
    text, stated, inner = message.iter_parts()
    assert "ticket-12" in text.get_content()
    assert json.loads(stated.get_content())["queue_id"] == "Q1"
    assert isinstance(inner.get_content(), EmailMessage)
    assert inner.get_content()["Subject"] == "x"


def test_bcc_is_taken_out_whatever_edits_do_to_it() -> None:
    data = b"From: a@b\r\nBCC: x@y,\r\n z@y\r\nResent-Bcc : w@y\r\nTo: c@d\r\n\r\nBcc: stays in the body\r\n"
    message = parse(data)
    expected = b"From: a@b\r\nTo: c@d\r\n\r\nBcc: stays in the body\r\n"
    bcc = message.fields_named("bcc")[0]
    for edits in ((), (Edit(bcc.start, bcc.end, b"Bcc: other\r\n"),), (Edit(bcc.start, bcc.end, b""),)):
        assert b"".join(inner_message(message, edits)) == expected
    assert b"".join(inner_message(message, (Edit(0, 0, b"X: y\r\n"),))) == b"X: y\r\n" + expected


# --- Exchange writes it anew -----------------------------------------------------------------------------------------


def in_base64(data: bytes) -> bytes:
    """All parts encoded, as a store of messages that keeps no MIME gives them back."""
    boundary = re.search(rb'boundary="([^"]+)"', data)[1]  # type: ignore[index]
    pieces = data.split(b"--" + boundary)
    for number in (1, 2, 3):
        head, _, body = pieces[number].partition(b"\r\n\r\n")
        head = re.sub(rb"(?m)^Content-Transfer-Encoding: \w+", b"Content-Transfer-Encoding: base64", head)
        body = body.removesuffix(b"\r\n")
        pieces[number] = head + b"\r\n\r\n" + base64.encodebytes(body).replace(b"\n", b"\r\n") + b"\r\n"
    return (b"--" + boundary).join(pieces)


def test_a_copy_that_was_encoded_anew_is_read() -> None:
    assert read(in_base64(written())) == (described(INNER), INNER)


def test_the_json_may_be_written_otherwise() -> None:
    data = written()
    found = parse(data, LIMITS).root.children[1]
    stated = json.loads(found.raw_body)
    anew = json.dumps(dict(reversed(stated.items()))).encode() + b"\r\n"
    assert read(data[: found.body_start] + anew + data[found.body_end :]) == (described(INNER), INNER)


def swapped(data: bytes, inner: bytes) -> bytes:
    assert data.count(INNER) == 1
    return data.replace(INNER, inner)


def test_a_message_that_was_written_anew_is_said_not_to_be_intact() -> None:
    rebuilt = INNER.replace(b"Subject: x", b"subject:  x\r\nX-MS-Exchange-Added: y")
    assert read(swapped(written(), rebuilt)) == (described(INNER, is_intact=False), rebuilt)


@pytest.mark.parametrize("inner", [INNER.replace(b"<1@", b"<2@"), b"", b"\r\n", b"Message-ID:\r\n\r\n"])
def test_another_message_in_a_genuine_copy_is_none(inner: bytes) -> None:
    assert read(swapped(written(), inner)) is None


def test_without_an_id_only_the_intact_message_is_believed() -> None:
    inner = INNER.replace(b"Message-ID: <1@example.com>\r\n", b"")
    data = written(inner, message_id="")
    assert read(data) is not None
    assert read(data.replace(b"Hello", b"Hallo")) is None


# --- enemies ---------------------------------------------------------------------------------------------------------


def with_json(change: Callable[[dict[str, Any]], object]) -> bytes:
    data = written()
    part = parse(data, LIMITS).root.children[1]
    stated = json.loads(part.raw_body)
    change(stated)
    return data[: part.body_start] + json.dumps(stated).encode() + data[part.body_end :]


@pytest.mark.parametrize(
    "change",
    [
        lambda stated: stated.update(direction="received"), lambda stated: stated["transaction"].update(number=13),
        lambda stated: stated.pop("proof"), lambda stated: stated.update(proof=None),
        lambda stated: stated.update(proof="ü"),
        lambda stated: stated.update(extra=1), lambda stated: stated.update(organisation="other"),
        lambda stated: stated["recipients"].append("evil@example.net"), lambda stated: stated.clear(),
    ],
    ids=["direction", "number", "no-proof", "null-proof", "odd-proof", "extra", "organisation", "recipient", "empty"],
)  # fmt: skip
def test_a_changed_word_is_none_of_ours(change: Callable[[dict[str, Any]], object]) -> None:
    assert read(with_json(change)) is None


def test_two_parts_for_programs_are_ambiguous() -> None:
    data = written()
    part = parse(data, LIMITS).root.children[1]
    boundary = parse(data, LIMITS).root.boundary
    twice = b"\r\n--" + boundary + b"\r\n" + data[part.header_start : part.body_end]
    assert read(data[: part.body_end] + twice + data[part.body_end :]) is None


def test_a_copy_inside_a_message_is_no_copy_of_that_message() -> None:
    forwarded = b"From: evil@x\r\nContent-Type: message/rfc822\r\n\r\n" + written()
    assert read(forwarded) is None


def test_of_several_messages_inside_the_intact_one_is_meant() -> None:
    data = written()
    first = parse(data, LIMITS).root.children[2]
    evil = b"Content-Type: message/rfc822\r\n\r\nMessage-ID: <1@example.com>\r\nSubject: evil\r\n\r\n"
    boundary = b"\r\n--" + parse(data, LIMITS).root.boundary + b"\r\n"
    more = data[: first.header_start] + evil + boundary + data[first.header_start :]
    assert read(more) == (described(INNER), INNER)
    assert read(more.replace(b"Hello", b"Hallo")) is None


@pytest.mark.parametrize(
    "stated",
    [b"", b"[]", b"null", b"{", b"[" * 100_000, b'{"proof": ' + b"9" * 10_000 + b"}",
     b"\xff\xfe", b'{"proof": "' + b"x" * 3_000_000 + b'"}'],
    ids=["empty", "list", "null", "half", "deep", "huge-number", "no-utf-8", "too-large"],
)  # fmt: skip
def test_whatever_stands_there_nothing_is_raised(stated: bytes) -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: %b\r\n\r\n%b\r\n--b--\r\n"
    assert read(data % (CONTENT_TYPE.encode(), stated)) is None


def test_a_message_at_our_limits_can_be_copied() -> None:
    limits = Limits()
    inner = b"Message-ID: <1@example.com>\r\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(limits.mime_depth - 1)
    )
    parse(inner, limits)
    with pytest.raises(LimitExceededError):
        parse(written(inner), limits)
    assert (read(written(inner)) or ((), b""))[1] == inner


def test_every_message_of_the_corpus_comes_out_as_it_went_in() -> None:
    copied = 0
    for message in corpus():
        copied += _goes_through(message)
    assert copied > 1000


def _goes_through(message: CorpusMessage) -> bool:
    try:
        parsed = parse(message.data)
    except LimitExceededError:
        return False
    inner = inner_message(parsed)
    octets = b"".join(inner)
    copy = described(octets, message_id=parsed.message_id)
    found = read(b"".join(write_copy(copy, KEY, inner, HEAD)))
    assert found == (copy, octets), message.path
    return True
