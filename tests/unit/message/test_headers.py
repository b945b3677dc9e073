"""Header fields: reading them as text, setting, removing, tagging, and putting fields on top."""

from __future__ import annotations

import email
import email.policy

import pytest

from mta.message.edit import joined
from mta.message.headers import addresses, decode_text, format_field, prepend, remove_header, set_header, tag_subject
from mta.message.parse import Message, parse
from tests.unit.message.samples import crlf, edited


def subject_by_stdlib(message: Message) -> str:
    return str(email.message_from_bytes(bytes(message.data), policy=email.policy.default)["subject"])


# --- decode_text -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b" plain ", "plain"),
        (b" one\r\n two\r\n\tthree", "one two\tthree"),
        (b"=?utf-8?q?gr=C3=BC=C3=9Fe?=", "grüße"),
        (b"=?UTF-8?B?Z3LDvMOfZQ==?= more", "grüße more"),
        (b"=?iso-8859-1?Q?gr=FC?= =?iso-8859-1?Q?=DFe?=", "grüße"),
        (b"=?utf-8?b?ww==?= =?utf-8?b?vA==?=", "ü"),
        (b"=?utf-8?q?=C3?=\r\n =?utf-8?q?=BC?=", "ü"),
        (b"=?utf-8?b?Z3LDvMOfZQ?=", "grüße"),
        (b"=?utf-8*de?q?gr=C3=BC=C3=9Fe?=", "grüße"),
        (b"=?utf-8?q?with space?=", "with space"),
        (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?no-such-charset?q?gr=C3=BC=C3=9Fe?=", "grüße"),
        (b"=?utf-8?x?no?=", "=?utf-8?x?no?="),
        (b"=?utf-8?q?never closed", "=?utf-8?q?never closed"),
        (b"gr\xfc\xdfe", "grüße"),
        (b"\x81\xfc", "\x81ü"),
        (b"", ""),
    ],
)
def test_text_is_decoded(raw: bytes, text: str) -> None:
    assert decode_text(raw) == text


# --- format_field ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "plain", "", "grüße aus Köln", "one grüße two", "two  spaces  stay", "Jörg Müller <j@example.com>",
        "=?utf-8?q?not_encoded?=", "日本語のとても長い件名、" * 12, "word " * 60 + "end", "ü" * 400, "x" * 950,
        "emoji 🎉 and more", "tab\tand\x00control",
    ],
)  # fmt: skip
def test_a_formatted_field_reads_as_the_text_it_was_made_of(text: str) -> None:
    field = format_field("Subject", text)
    message = parse(field + b"\r\n")
    expected = text.replace("\t", " ").replace("\x00", " ").strip()
    assert field.isascii()
    assert field.endswith(b"\r\n")
    assert len(message.fields) == 1
    assert message.subject == expected
    assert subject_by_stdlib(message) == expected


def test_long_fields_are_folded_and_no_line_is_longer_than_it_must() -> None:
    field = format_field("X-Long", "word " * 60 + "grüße " * 60)
    lines = field.split(b"\r\n")
    assert len(lines) > 5
    assert max(map(len, lines)) <= 78


def test_line_ends_in_a_value_cannot_make_a_field_of_their_own() -> None:
    field = format_field("X-A", "one\r\nX-B: two\nX-C: three\r")
    assert field == b"X-A: one X-B: two X-C: three\r\n"


@pytest.mark.parametrize("name", ["", "two words", "colon:", "Ümlaut", "line\r\nend", "x" * 77])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a header field name"):
        format_field(name, "x")


# --- set and remove --------------------------------------------------------------------------------------------------

SAMPLE = crlf("From: a@example.com\nX-Tag: one\n  folded\nTo: b@example.com\nx-tag: two\n\nbody\n")


def test_setting_replaces_the_first_field_and_removes_the_others() -> None:
    message = parse(SAMPLE)
    assert joined(SAMPLE, set_header(message, "X-Tag", "new")) == crlf(
        "From: a@example.com\nX-Tag: new\nTo: b@example.com\n\nbody\n"
    )


def test_setting_a_field_that_is_not_there_adds_it_at_the_headers_end() -> None:
    message = parse(SAMPLE)
    result = joined(SAMPLE, set_header(message, "X-New", "grüße"))
    assert result.startswith(SAMPLE[: SAMPLE.index(b"\r\n\r\n")])
    assert parse(result).header("x-new") == "grüße"
    assert result.endswith(b"\r\n\r\nbody\r\n")


def test_several_fields_can_be_set_at_once() -> None:
    message = parse(SAMPLE)
    after = edited(
        message, set_header(message, "X-A", "1") + set_header(message, "X-B", "2") + remove_header(message, "to")
    )
    assert (after.header("x-a"), after.header("x-b"), after.has("to")) == ("1", "2", False)
    assert after.root.raw_body == b"body\r\n"


def test_removing_takes_every_field_of_that_name_with_its_folded_lines() -> None:
    message = parse(SAMPLE)
    assert joined(SAMPLE, remove_header(message, "X-TAG")) == crlf("From: a@example.com\nTo: b@example.com\n\nbody\n")
    assert remove_header(message, "x-none") == []


def test_a_field_is_added_to_a_header_that_never_ends() -> None:
    data = b"Subject: x"
    after = edited(parse(data), set_header(parse(data), "X-A", "1"))
    assert (after.subject, after.header("x-a")) == ("x", "1")


def test_nothing_is_set_where_there_is_no_header() -> None:
    assert set_header(parse(b"only text\r\n"), "X-A", "1") == []


# --- subject ---------------------------------------------------------------------------------------------------------

SUBJECTS = [
    b"hello", b"", b"   ", b"=?utf-8?q?gr=C3=BC=C3=9Fe?=", b"=?iso-8859-1?Q?gr=FC=DFe?= and more",
    b"hello =?utf-8?b?w7w=?=", b"\r\n folded from the start", b"one\r\n two\r\n\tthree", b"gr\xc3\xbc\xc3\x9fe raw",
    b"x" * 200, b"=?utf-\x90?q?a?=", b"=?koi8-r?B?8NLJ18XU?=", b"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=",
]  # fmt: skip


@pytest.mark.parametrize("raw", SUBJECTS)
@pytest.mark.parametrize("tag", ["[EXT]", "[Außen]", "[外部]", "=?x?="])
@pytest.mark.parametrize("where", ["prefix", "suffix"])
def test_a_tag_stands_beside_the_subject_with_one_space(raw: bytes, tag: str, where: str) -> None:
    data = b"From: a@example.com\r\nSubject: " + raw + b"\r\nTo: b@example.com\r\n\r\nbody\r\n"
    message = parse(data)
    old = message.subject
    after = edited(message, tag_subject(message, tag, where))
    expected = (f"{tag} {old}" if where == "prefix" else f"{old} {tag}").strip()
    assert " ".join(after.subject.split()) == " ".join(expected.split())
    if raw.isascii():
        assert " ".join(subject_by_stdlib(after).split()) == " ".join(expected.split())
    assert raw.strip() in after.raw(after.fields[1])
    assert [field.name for field in after.fields] == [b"from", b"subject", b"to"]
    assert tag_subject(after, tag, where) == []


@pytest.mark.parametrize("subject", ["[EXT] hello", "RE: [EXT] hello", "hello [ext]"])
def test_a_subject_is_not_tagged_twice(subject: str) -> None:
    message = parse(crlf(f"Subject: {subject}\n\n"))
    assert tag_subject(message, "[EXT]", "prefix") == []


def test_a_tag_takes_the_subjects_charset_where_that_can_hold_it() -> None:
    message = parse(crlf("Subject: =?iso-8859-1?Q?gr=FC=DFe?=\n\n"))
    assert b"=?iso-8859-1?q?" in tag_subject(message, "[Außen]", "prefix")[0].replacement
    assert b"=?utf-8?q?" in tag_subject(message, "[外部]", "prefix")[0].replacement


def test_a_message_without_subject_gets_one() -> None:
    message = parse(SAMPLE)
    assert edited(message, tag_subject(message, "[EXT]", "prefix")).subject == "[EXT]"


def test_an_empty_tag_changes_nothing() -> None:
    assert tag_subject(parse(SAMPLE), " ", "prefix") == []


# --- prepend ---------------------------------------------------------------------------------------------------------

BLOCK = b"Received: from here\r\n\tby there\r\n"


@pytest.mark.parametrize(
    "data",
    [
        SAMPLE,
        crlf(" folded line first\nSubject: x\nTo: b@example.com\n\nbody\n"),
        crlf("From jane@example.com Sat Jan  3 01:05:34 1996\nSubject: x\n\nbody\n"),
        crlf(">From jane@example.com Sat Jan  3 01:05:34 1996\nSubject: x\n\nbody\n"),
        crlf("---- Original message ----\nSubject: x\nContent-Type: text/html\n\nbody\n"),
        crlf("\nbody\n"),
        crlf("only text\nno header\n"),
        crlf(" indented text\n"),
        b"",
        b"Subject: x",
    ],
)
def test_fields_on_top_take_nothing_in_and_lose_nothing(data: bytes) -> None:
    message = parse(data)
    result = joined(data, [prepend(message, BLOCK)])
    after = parse(result)
    assert result.startswith(BLOCK)
    assert result.endswith(data)
    assert after.raw(after.fields[0]) == b" from here\r\n\tby there"
    assert after.root.raw_body == message.root.raw_body
    assert after.root.content_type == message.root.content_type
    assert after.subject == message.subject
    assert email.message_from_bytes(result)["received"] == "from here\r\n\tby there"
    assert email.message_from_bytes(result)["subject"] == (message.subject or None)


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "mailboxes"),
    [
        ("jane@example.com", [("", "jane@example.com")]),
        ("Jane Doe <jane@example.com>", [("Jane Doe", "jane@example.com")]),
        ('"Doe, Jane" <jane@example.com>, <b@example.com>', [("Doe, Jane", "jane@example.com"), ("", "b@example.com")]),
        (r'"Jane \"J\" Doe" <jane@example.com>', [('Jane "J" Doe', "jane@example.com")]),
        ("jane@example.com (Jane Doe)", [("Jane Doe", "jane@example.com")]),
        ("jane@example.com (Jane (the first) Doe)", [("Jane (the first) Doe", "jane@example.com")]),
        ("Team: a@example.com, B <b@example.com>;", [("", "a@example.com"), ("B", "b@example.com")]),
        ("undisclosed-recipients:;", []),
        ("=?utf-8?q?J=C3=B6rg?= <j@example.com>", [("Jörg", "j@example.com")]),
        ("=?utf-8?q?J=C3=B6rg=2C_X?= <j@example.com>", [("Jörg, X", "j@example.com")]),
        ('"=?utf-8?q?J=C3=B6rg?=" <j@example.com>', [("Jörg", "j@example.com")]),
        ("Jörg <jörg@example.com>", [("Jörg", "jörg@example.com")]),
        ("a@example.com; b@example.com", [("", "a@example.com"), ("", "b@example.com")]),
        ("no address here, <@>, <a@b@c>, ok@example.com", [("", "ok@example.com")]),
        ('"quoted local"@example.com', [("", '"quoted local"@example.com')]),
        ("Jane <jane@example.com", [("Jane", "jane@example.com")]),
        ("jane @ example . com", [("", "jane@example.com")]),
        ("a@example.com,\n\tb@example.com", [("", "a@example.com"), ("", "b@example.com")]),
        ("Jane <jane@example.com> (comment), x", [("Jane", "jane@example.com")]),
        ('"never closed <a@example.com>', []),
        ("", []),
    ],
)
def test_address_lists_are_read_tolerantly(value: str, mailboxes: list[tuple[str, str]]) -> None:
    found = addresses(parse(crlf(f"To: {value}\n\n")), "to")
    assert [(mailbox.display, str(mailbox.address)) for mailbox in found] == mailboxes


def test_all_fields_of_a_name_count() -> None:
    message = parse(crlf("To: a@example.com\nTo: b@example.com\nCc: c@example.com\n\n"))
    assert [str(mailbox.address) for mailbox in addresses(message, "To")] == ["a@example.com", "b@example.com"]


@pytest.mark.parametrize("piece", ["(", '"', "<", ",", "a@example.com,", "((", '"\\', "a:", "<<", "=?utf-8?q?"])
def test_hostile_address_lists_cost_little(piece: str) -> None:
    assert len(addresses(parse(crlf(f"To: {piece * (90_000 // len(piece))}\n\n")), "to")) <= 10_000
