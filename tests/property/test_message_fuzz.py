"""Mutated messages of the corpus: whatever is broken in them, an edit changes what it says and nothing else."""

from __future__ import annotations

import random

import pytest

from mta.message.body_text import Change, displayed
from mta.message.classify import classify
from mta.message.edit import CannotEditError, joined
from mta.message.headers import addresses, prepend, set_header, tag_subject
from mta.message.parse import LimitExceededError, Message, parse
from mta.message.structure import Picture, add_pictures
from tests.shared import as_smtp, corpus
from tests.unit.message.changes import MARK, problems_of_change, tree_of

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
        problems += [f"round {number}: {what}" for what in check_header_edits(message) + check_bodies(message, chance)]
    assert problems == []
