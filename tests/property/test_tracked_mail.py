"""Whatever a message looks like: its id is added once, nothing else changes, and a copy gives back what it got."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.edit import apply, joined
from mta.message.parse import parse
from mta.message.reference import make_reference, references_in
from mta.message.references import with_reference
from mta.message.subject_token import name_conversation, with_token
from mta.message.tracking_copy import (
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

KEY = b"k" * 32
TICKET = Transaction("default", "ticket", 12, "abcdefgh")
REFERENCE = b"<%b@example.com>" % make_reference(KEY, TICKET).encode()
TOKEN = "[Ticket - 000012]"
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
HEAD = Letterhead(parse_address("p@example.com"), parse_address("d@example.com"), "<c@example.com>", NOW, "Copy")

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=60).map(str.encode)
ids = st.binary(min_size=1, max_size=12).map(lambda octets: b"<%b@x>" % octets.hex().encode())
values = st.lists(st.one_of(texts, ids, st.sampled_from([b"Re: ", b"=?utf-8?Q?Re=3A_=C3=A4?=", b"[x]"])), max_size=5)
folds = st.sampled_from([b" ", b"\r\n ", b"\r\n\t", b"  \t"])
names = st.sampled_from(
    [b"References", b"references ", b"In-Reply-To", b"Subject", b"Bcc", b"To", b"X-Other", b"Resent-Bcc"]
)
fields = st.builds(lambda name, value, fold: name + b":" + fold + fold.join(value) + b"\r\n", names, values, folds)
bodies = st.one_of(texts, st.binary(max_size=80), st.just(b"--b\r\n\r\n--b--"), st.just(b""))
messages = st.builds(lambda head, body: b"".join(head) + b"\r\n" + body, st.lists(fields, max_size=6), bodies)


@given(messages)
@settings(deadline=None, max_examples=150)
def test_a_reference_is_added_once_and_nothing_else_changes(data: bytes) -> None:
    message = parse(data)
    edits = with_reference(message, REFERENCE)
    changed = joined(data, edits)
    if edits:
        (edit,) = edits
        assert changed.replace(edit.replacement, data[edit.start : edit.end], 1) == data
        assert data[edit.start : edit.end].strip() == b""
        found = parse(changed)
        assert list(references_in(found.header("references"), [KEY], "default"))[-1] == TICKET
        assert found.raw(found.fields_named("references")[0]).split()[-1] == REFERENCE
        assert len(found.fields) == len(message.fields) + (not message.has("references"))
    assert not with_reference(parse(changed), REFERENCE)


@given(messages)
@settings(deadline=None, max_examples=150)
def test_a_subject_has_its_token_once_and_keeps_its_words(data: bytes) -> None:
    message = parse(data)
    changed = parse(joined(data, name_conversation(message, TOKEN)))
    if changed.fields:
        assert changed.subject.count(TOKEN) == 1
        assert " ".join(changed.subject.split()) == " ".join(with_token(message.subject, TOKEN).split())
    assert not name_conversation(changed, TOKEN)
    assert joined(data, ()).endswith(changed.data[changed.body_start :])


@given(messages, st.booleans())
@settings(deadline=None, max_examples=150)
def test_a_copy_gives_back_what_it_got(data: bytes, smtputf8: bool) -> None:
    message = parse(data)
    inner = inner_message(message, with_reference(message, REFERENCE))
    octets = b"".join(inner)
    assert not {b"bcc", b"resent-bcc"} & parse(octets).names
    copy = TrackingCopy(
        TICKET, "sent", "a@example.com", ("b@example.net",), "r", "Q", message.message_id, digest_of(inner), NOW,
        organisation="default",
    )  # fmt: skip
    written = b"".join(write_copy(copy, KEY, inner, HEAD, smtputf8=smtputf8))
    assert read_copy(parse(written, LIMITS), [KEY], "default") == (copy, octets)
    assert b"".join(apply(written, ())) == written


@given(messages, st.integers(0, 2000), st.binary(min_size=1, max_size=3))
@settings(deadline=None, max_examples=150)
def test_a_copy_with_changed_octets_is_none_or_says_so_or_says_the_same(data: bytes, place: int, octets: bytes) -> None:
    message = parse(data)
    inner = inner_message(message)
    copy = TrackingCopy(
        TICKET, "sent", "", (), "r", "Q", message.message_id, digest_of(inner), NOW, organisation="default"
    )
    written = b"".join(write_copy(copy, KEY, inner, HEAD))
    place %= len(written)
    found = read_copy(parse(written[:place] + octets + written[place + len(octets) :], LIMITS), [KEY], "default")
    if found is not None and found[0].is_intact:
        assert found == (copy, b"".join(inner))
