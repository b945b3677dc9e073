"""Mutated messages of the corpus: whatever is broken in them, an edit changes what it says and nothing else."""

from __future__ import annotations

import random

import pytest

from mta.message.body_text import Change, displayed
from mta.message.classify import classify
from mta.message.edit import CannotEditError, joined
from mta.message.headers import addresses, prepend, set_header, tag_subject
from mta.message.parse import LimitExceededError, Limits, Message, parse
from mta.message.structure import Picture, add_pictures
from tests.shared import as_smtp, corpus
from tests.unit.message.changes import MARK, problems_of_change, tree_of
from tests.unit.message.samples import crlf

ROUNDS = 20_000
LARGEST = 40_000
PICTURE = Picture("fuzz@example.com", "image/png", "grüße.png", b"x" * 100)
PIECES = [
    b"\r\n", b"\r\n\r\n", b"--", b"=", b"=\r\n", b" \r\n", b"\t", b"\xe9", b"\xc3\xbc", b"\x1b$B", b"\x1b(B", b"\x00",
    b'"', b";",
    b"Content-Type: text/html\r\n", b"Content-Transfer-Encoding: base64\r\n", b"boundary=", b"format=flowed",
    b"Content-Transfer-Encoding: quoted-printable\r\n", b"charset=utf-7", b"charset=utf-16", b"charset=iso-2022-jp",
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n", b"\r\n--x--\r\n", b"=?utf-8?q?=c3?=",
    b"Content-Type: message/rfc822\r\n\r\n",
]  # fmt: skip


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A few pieces put in, taken out, copied or cut off, every second time near the beginning."""
    octets = bytearray(data)
    for _ in range(chance.choice((1, 2, 4, 8))):
        reach = len(octets) if chance.random() < 0.5 else min(len(octets), 1500)
        place = chance.randrange(reach + 1)
        what = chance.randrange(5)
        if what == 0:
            del octets[place : place + chance.choice((1, 2, 10, 100))]
        elif what == 1 and place < len(octets):
            octets[place] = chance.randrange(256)
        elif what == 2:
            start = chance.randrange(reach + 1)
            octets[place:place] = octets[start : start + chance.choice((10, 80, 400))]
        elif what == 3 and chance.random() < 0.2:
            del octets[place:]
        else:
            octets[place:place] = chance.choice(PIECES)
    return as_smtp(bytes(octets))


def check_header_edits(message: Message) -> list[str]:
    for name in ("from", "to", "cc"):
        addresses(message, name)
    edits = tag_subject(message, "[Täg]", "prefix") + set_header(message, "X-New", "grüße")
    after = parse(joined(message.data, [*edits, prepend(message, b"Received: x\r\n")]))
    return [] if tree_of(after.root) == tree_of(message.root) else ["header edits make another tree"]


def check_bodies(message: Message, chance: random.Random) -> list[str]:
    problems: list[str] = []
    for index, body in enumerate(displayed(message)):
        place = chance.randrange(len(body.text) + 1)
        change = [Change(place, place, MARK)]
        try:
            after = parse(joined(message.data, body.change(change)))
            problems += problems_of_change(message, body, place, after, index)
            if body.is_html:
                after = parse(joined(message.data, add_pictures(message, body, change, [PICTURE])))
                found = [part for part in after.root.walk() if part.content_id == PICTURE.cid]
                if len(found) != 1 or len(displayed(after)) != len(displayed(message)):
                    problems.append("the picture is not there")
        except CannotEditError:
            continue
        except LimitExceededError:
            continue  # the mutation had come close to it
    return problems


MIXED = """\
From: Jane <jane@example.com>
To: a@example.com, "b c" <b@example.com>;
Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=
Message-ID: <1@example.com>
Content-Type: multipart/mixed; boundary="=_a"

preamble
--=_a
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

gr=FC=DFe=

--b
Content-Type: text/html

<html><body><p>x</p></body></html>
--b--
--=_a
Content-Type: application/pdf; name*0*=utf-8''a%20;
 name*1=b
Content-Disposition: attachment
Content-Transfer-Encoding: base64

QUJD
--=_a--
epilogue
"""
DIGEST = """\
Received: from a by b; x
From: jane@example.com
Content-Type: multipart/digest; boundary=d

--d

From: x@example.com
Content-Type: message/rfc822

Subject: inner

text
--d


--d--
"""
FLOWED = """\
From: jane@example.com
Content-Type: text/plain; format=flowed; delsp=yes; charset=utf-8

> a\x20
>> b
--\x20
"""
REPORT = """\
From: MAILER-DAEMON
Content-Type: multipart/report; report-type=delivery-status; boundary=r

--r

failed
--r
Content-Type: message/delivery-status

Reporting-MTA: dns; x

Action: failed
--r--
"""
SAMPLES = [crlf(text) for text in (MIXED, DIGEST, FLOWED, REPORT)]


def check_spans(message: Message) -> list[str]:
    """Fields and parts stand in the message in their order, each inside of its parent."""
    problems: list[str] = []
    size = len(message.data)
    for part in message.root.walk():
        if not 0 <= part.header_start <= part.body_start <= part.body_end <= size:
            problems.append(f"a part at {part.header_start}, {part.body_start}, {part.body_end} of {size}")
        end = part.header_start
        for found in part.fields:
            if not (
                end == found.start < found.end <= part.body_start and found.start <= found.value_start <= found.end
            ):
                problems.append(f"a field at {found.start}, {found.value_start}, {found.end}, after {end}")
            end = found.end
        end = part.body_start
        for child in part.children:
            if not end <= child.header_start <= child.body_end <= part.body_end:
                problems.append(f"a child at {child.header_start} to {child.body_end}, after {end} of {part.body_end}")
            end = child.body_end
    return problems


def check_message(data: bytes, chance: random.Random) -> list[str]:
    """All that is asked of a message before rules decide, and of edits in it."""
    try:
        message = parse(data, Limits(header_octets=5000, header_fields=100, mime_depth=10, mime_parts=50))
    except LimitExceededError:
        return []
    classify(message, chance.random() < 0.5, is_trusted=chance.random() < 0.5)
    for part in message.root.walk():
        _ = (part.params, part.charset, part.encoding, part.is_attachment, part.filename)
    for name in ("subject", "references", "date"):
        message.headers(name)
    _ = message.message_id
    return check_spans(message) + check_header_edits(message) + check_bodies(message, chance)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_no_mutation_of_a_sample_breaks_the_scanner(seed: int) -> None:
    chance = random.Random(seed)
    problems: list[str] = []
    for number in range(500):
        data = mutated(chance.choice(SAMPLES), chance)
        for _ in range(chance.choice((0, 0, 1, 3))):
            data = mutated(data + chance.choice(SAMPLES), chance)
        problems += [f"round {number}, {data!r}: {what}" for what in check_message(data, chance)]
    assert problems == []


@pytest.mark.long
@pytest.mark.corpus
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
def test_no_mutation_makes_an_edit_touch_anything_else(seed: int) -> None:
    chance = random.Random(seed)
    messages = [entry.data for entry in corpus() if len(entry.data) <= LARGEST]
    problems: list[str] = []
    for number in range(ROUNDS):
        data = mutated(chance.choice(messages), chance)
        try:
            message = parse(data)
        except LimitExceededError:
            continue
        classify(message, chance.random() < 0.5)
        problems += [f"round {number}: {what}" for what in check_spans(message)]
        problems += [f"round {number}: {what}" for what in check_header_edits(message) + check_bodies(message, chance)]
    assert problems == []
