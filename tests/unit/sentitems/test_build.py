"""The new item: the sender's own header fields above the content that was sent."""

from __future__ import annotations

import email
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mta.message.contents import Contents
from mta.message.edit import CannotEditError
from mta.message.headers import addresses
from mta.message.parse import LimitExceededError, Message, parse
from mta.model.mailbox_item import Marks, NewItem, Participant, SentItem, stamped_copy, stamped_job, stamped_text
from mta.sentitems.build import new_item
from mta.sentitems.copies import content_of
from mta.sentitems.guard import by_content, by_itself, said_in
from mta.sentitems.same_text import Said, digest, is_same
from mta.sentitems.verify import differences
from tests.shared import corpus
from tests.unit.message.samples import crlf
from tests.unit.sentitems.samples import MESSAGE, STAMP, copy_of, item_of, job_with

RICH = crlf(
    """\
Received: from client.example.com by mail.example.com; Mon, 02 Nov 2026 09:30:01 +0000
Return-Path: <jane@example.com>
ARC-Seal: i=1; a=rsa-sha256; cv=none; b=x
ARC-Message-Signature: i=1; b=y
Authentication-Results: mail.example.com; spf=pass
X-MS-Exchange-Organization-AuthAs: Internal
X-MS-Exchange-CrossTenant-Id: 1
X-MS-Has-Attach: yes
X-Stampline-Token: secret
X-Stampline-Job: 0 0 0
Message-ID: <4711@mail.example.com>
Date: Mon, 02 Nov 2026 09:30:00 +0000
From: =?utf-8?q?J=C3=A4ne?= <jane@example.com>
To: Tom <tom@example.net>, Ann <ann@example.net>
Cc: team@example.com
Subject: =?utf-8?q?Angebot_f=C3=BCr_Sie?=
Thread-Topic: Angebot
Thread-Index: AQHX
In-Reply-To: <4710@example.net>
References: <4709@example.net> <4710@example.net>
Accept-Language: de-DE
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=mixed

--mixed
Content-Type: multipart/related; boundary=related

--related
Content-Type: multipart/alternative; boundary=alternative

--alternative
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe
--alternative
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p>Gr=C3=BC=C3=9Fe</p><img src=3D"cid:logo@example.com">
--alternative--
--related
Content-Type: image/png; name=logo.png
Content-ID: <logo@example.com>
Content-Disposition: inline; filename=logo.png
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--related--
--mixed
Content-Type: application/pdf
Content-Disposition: attachment; filename*=utf-8''%C3%9Cbersicht%20%E2%82%AC.pdf
Content-Transfer-Encoding: base64

JVBERi0xLjQKAA0=
--mixed
Content-Type: message/rfc822

Subject: inner
Message-ID: <inner@example.com>

inner text
--mixed--
"""
)
OF_THE_WAY = ("received", "return-path", "authentication-results", "arc-seal", "arc-message-signature",
    "dkim-signature", "x-ms-exchange-organization-authas", "x-ms-exchange-crosstenant-id", "x-ms-has-attach",
    "x-stampline-token", "x-stampline-job", "x-stampline-processed")  # fmt: skip


def _built(
    data: bytes, original: SentItem | None = None, *, mark: str = "", category: str = "", tag: str = ""
) -> NewItem:
    copy = copy_of(data, tag=tag)
    item = item_of(data) if original is None else original
    return new_item(job_with(copy), content_of(copy), item, subject_mark=mark, category=category)


def test_the_header_is_the_senders_own_without_what_the_way_has_written() -> None:
    new = _built(RICH, item_of(RICH, bcc=("boss@example.com",)))
    made = parse(new.mime)
    assert [name for name in OF_THE_WAY if made.has(name)] == []
    for name in ("Message-ID", "Date", "From", "To", "Cc", "Subject", "Thread-Topic", "Thread-Index", "In-Reply-To",
                 "References", "Accept-Language", "MIME-Version"):  # fmt: skip
        assert made.headers(name) == parse(RICH).headers(name), name
    assert made.headers("Bcc") == ["boss@example.com"]
    assert len(made.fields_named("content-type")) == 1
    assert (new.message_id, new.in_reply_to) == ("<4711@mail.example.com>", "<4710@example.net>")
    assert new.references == "<4709@example.net> <4710@example.net>"
    assert new.subject == "Angebot für Sie"


def test_the_content_is_what_was_sent() -> None:
    new = _built(RICH)
    assert new.html is not None
    assert new.text is not None
    assert STAMP.partition(" · ")[0] in new.html
    assert STAMP in new.text
    picture, file, message = new.attachments
    assert (picture.name, picture.content_type, picture.content_id, picture.is_inline) == (
        "logo.png", "image/png", "logo@example.com", True
    )  # fmt: skip
    assert picture.data == b"\x89PNG\r\n\x1a\n"
    assert (file.name, file.content_type, file.is_inline) == ("Übersicht €.pdf", "application/pdf", False)
    assert file.data == b"%PDF-1.4\n\0\r"
    assert message.content_type == "message/rfc822"
    assert message.data == b"Subject: inner\r\nMessage-ID: <inner@example.com>\r\n\r\ninner text"


def test_the_stamp_names_job_copy_and_text() -> None:
    new = _built(MESSAGE)
    assert stamped_job(new.stamp) == job_with().id
    assert stamped_copy(new.stamp) == "q1.0"
    assert stamped_text(new.stamp) == digest(said_in(parse(new.mime)))


def test_recipients_are_those_that_the_item_shows() -> None:
    shown = item_of(MESSAGE, has_mime=False, bcc=("boss@example.com", "/o=Example/cn=x", "jürgen@example.com"))
    made = parse(_built(MESSAGE, shown).mime)
    assert made.header("To") == "Tom <tom@example.net>"
    assert made.header("Bcc") == "boss@example.com"


def test_the_header_of_an_item_counts_more_than_what_came_to_us() -> None:
    own = MESSAGE.replace(b"To: Tom <tom@example.net>", b"To: Tommy <tom@example.net>\r\nX-Mailer: own")
    made = parse(_built(MESSAGE, item_of(own)).mime)
    assert made.header("To") == "Tommy <tom@example.net>"
    assert made.header("X-Mailer") == "own"


def test_an_item_without_a_message_id_gets_the_jobs() -> None:
    own = MESSAGE.replace(b"Message-ID: <4711@mail.example.com>\r\n", b"")
    new = _built(MESSAGE, item_of(own))
    assert new.message_id == "<4711@mail.example.com>"
    assert parse(new.mime).message_id == "<4711@mail.example.com>"


@pytest.mark.parametrize(
    ("tag", "mark", "subject"),
    [
        ("", "", "Offer"), ("[ext]", "", "[ext] Offer"), ("", "(sent)", "(sent) Offer"),
        ("[ext]", "✓", "✓ [ext] Offer"), ("(sent)", "(sent)", "(sent) Offer"),
    ],
)  # fmt: skip
def test_the_subject_is_what_rules_made_of_it_with_our_mark(tag: str, mark: str, subject: str) -> None:
    new = _built(MESSAGE, tag=tag, mark=mark)
    assert new.subject == subject
    assert len(parse(new.mime).fields_named("subject")) == 1


@pytest.mark.parametrize("subject", [b"", b"Subject:\r\n", b"Subject: \r\n"])
@pytest.mark.parametrize("mark", ["", "(sent)"])
def test_a_message_without_a_subject(subject: bytes, mark: str) -> None:
    new = _built(MESSAGE.replace(b"Subject: Offer\r\n", subject), mark=mark)
    assert new.subject == mark
    assert parse(new.mime).message_id == "<4711@mail.example.com>"


def test_the_category_stands_behind_those_that_are_there_once() -> None:
    item = item_of(MESSAGE, marks=Marks(categories=("Red",)))
    assert _built(MESSAGE, item, category="Sent").marks.categories == ("Red", "Sent")
    item = item_of(MESSAGE, marks=Marks(categories=("sent", "Red")))
    assert _built(MESSAGE, item, category="Sent").marks.categories == ("sent", "Red")


def test_a_header_in_utf_8_becomes_ascii() -> None:
    data = MESSAGE.replace(b"Subject: Offer", "Subject: Ängebot\r\nX-Note: naïve".encode()).replace(
        b"Tom <", "Töm <".encode()
    )
    new = _built(data)
    head = new.mime.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    made = parse(new.mime)
    assert (made.subject, made.header("X-Note")) == ("Ängebot", "naïve")
    assert [str(mailbox.display) for mailbox in addresses(made, "to")] == ["Töm"]


def test_a_header_of_long_lines_is_folded_where_it_can_be() -> None:
    references = b" ".join(b"<%d@example.net>" % number for number in range(300))
    data = MESSAGE.replace(b"Subject:", b"References: " + references + b"\r\nX-Long: " + b"y" * 2000 + b"\r\nSubject:")
    new = _built(data)
    lines = new.mime.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert [len(line) for line in lines if len(line) > 998] == [len(b"X-Long: ") + 2000]
    assert parse(new.mime).header("references") == references.decode()


def test_no_line_ends_by_half() -> None:
    data = MESSAGE.replace(b"our offer", b"our\noffer\rand more").replace(b"Tom <", b"To\rm <")
    mime = _built(data).mime
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", mime)


def test_a_copy_of_a_copy_has_the_subject_of_what_came_to_us() -> None:
    """A late sibling takes the place of an item of ours, whose rule had tagged the subject."""
    first = _built(MESSAGE, tag="[internal]")
    ours = replace(item_of(first.mime), stamp=first.stamp)
    assert _built(MESSAGE, ours).subject == "Offer"


# --- the corpus -------------------------------------------------------------------------------------------------------

REPAIRED = {
    # Lines in the header that are no fields end it for the stdlib; without them it reads on, and finds other faults.
    "kmime/data_big-allocation.eml",
    "kmime/data_bug519599.eml",
    "zammad/mail_mail054.eml",
}


def _pairs() -> Iterator[tuple[str, bytes, NewItem, Message]]:
    """Path, octets as they came, the new item, the copy that was sent; of every third message."""
    for entry in corpus()[::3]:
        try:
            copy = copy_of(entry.data)
        except (LimitExceededError, CannotEditError):
            continue
        item = item_of(entry.data)
        content = content_of(copy)
        yield (
            entry.path,
            entry.data,
            new_item(job_with(copy), content, item, subject_mark="", category=""),
            content.sent,
        )


@pytest.mark.corpus
def test_real_messages() -> None:
    problems: list[str] = []
    for path, data, new, sent in _pairs():
        problems += [f"{path}: {problem}" for problem in _problems(path, data, new, sent)]
    assert problems == []


def _problems(path: str, data: bytes, new: NewItem, sent: Message) -> Iterator[str]:
    made = parse(new.mime)
    wanted, found = Contents(sent), Contents(made)
    if (wanted.html, wanted.text) != (found.html, found.text) or not is_same(Said(new.html, new.text), said_in(made)):
        yield "another text"
    octets = [file.octets for file in wanted.files]
    if octets != [file.octets for file in found.files] or octets != [file.data for file in new.attachments]:
        yield "other attachments"
    if re.search(rb"\r(?!\n)|(?<!\r)\n", new.mime):
        yield "half a line end"
    names = ("date", "in-reply-to", "references", "thread-topic", "thread-index", "importance")
    before = parse(data)
    if made.subject != before.subject or len(made.fields_named("subject")) > 1:
        yield "subject"
    yield from (name for name in names if made.headers(name) != before.headers(name))
    for name in ("from", "to", "cc", "reply-to"):
        if [m.address.key for m in addresses(made, name)] != [m.address.key for m in addresses(before, name)]:
            yield name
    yield from (name for name in OF_THE_WAY if made.has(name))
    if path not in REPAIRED and _defects(new.mime) - _defects(bytes(sent.data)):
        yield "new defects"
    if made_again := differences(new, replace(item_of(new.mime), stamp=new.stamp)):
        yield f"not verified: {made_again}"


def _defects(data: bytes) -> Counter[str]:
    return Counter(type(defect).__name__ for part in email.message_from_bytes(data).walk() for defect in part.defects)


@pytest.mark.corpus
def test_real_messages_that_nobody_edited_pass_the_guards() -> None:
    refused = Counter[str]()
    for entry in corpus():
        try:
            message = parse(entry.data)
        except LimitExceededError:
            continue
        item = item_of(entry.data)
        if (refusal := by_itself(item, 100_000_000)) is not None:
            refused[refusal.reason] += 1
        else:
            assert by_content(item, message) is None, entry.path
    assert set(refused) == {"signed", "encrypted", "meeting", "tnef"}
    assert sum(refused.values()) < 250


def test_nobody_is_named_twice() -> None:
    item = item_of(RICH, to=(Participant("tom@example.net"), Participant("ann@example.net")))
    assert parse(_built(RICH, item).mime).headers("To") == ["Tom <tom@example.net>, Ann <ann@example.net>"]
