"""Every displayed body of the shared corpus gets a place that harms nothing, and every stamp can be taken out again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta.message.body_text import displayed
from mta.message.classify import Classification, Kind, classify
from mta.message.edit import joined
from mta.message.html.scan import tokens
from mta.message.parse import LimitExceededError, Message, parse
from mta.message.place.quote_marks import DEFAULT_MARKS
from mta.model.actions import Place
from mta.relay.stamp.bodies import ShownBody, place_in
from mta.relay.stamp.stamp import stamp_message
from tests.shared import CorpusMessage, corpus
from tests.unit.relay.stamp.samples import context, stamp, templates

pytestmark = pytest.mark.corpus


def parsed_corpus() -> Iterator[tuple[CorpusMessage, Message, Classification]]:
    for entry in corpus():
        try:
            message = parse(entry.data)
        except LimitExceededError:
            continue
        yield entry, message, classify(message, False)


def is_reply(classification: Classification) -> bool:
    return classification.kind in (Kind.REPLY, Kind.FORWARD)


def harm(body: ShownBody, position: int) -> str:
    """What is wrong with inserting at the position; "" if nothing."""
    if not 0 <= position <= len(body.text):
        return "outside"
    for token in tokens(body.text) if body.is_html else ():
        if token.start < position < token.end or (position == token.end and not token.closed):
            return f"inside {token.kind} {token.name}"
        if token.start >= position:
            break
    return ""


def test_places() -> None:
    found: Counter[str] = Counter()
    for entry, message, classification in parsed_corpus():
        for body in map(ShownBody, displayed(message)):
            for place in Place:
                position = place_in(body, place, is_reply(classification), DEFAULT_MARKS).position
                assert harm(body, position) == "", (entry.path, place)
                found[f"{place.value} {body.is_html}"] += 1
    assert found["reply True"] > 300
    assert found["reply False"] > 1000


def test_quotes_are_found_where_clients_mark_them() -> None:
    """The manifest tells which client's marks are there; forwards and answers below the quote make up the rest."""
    marked = above = 0
    for entry, message, classification in parsed_corpus():
        marks = entry.manifest["quote_markers_html"]
        for body in map(ShownBody, displayed(message)) if marks and is_reply(classification) else ():
            if body.is_html:
                reply, bottom = (place_in(body, p, True, DEFAULT_MARKS).position for p in (Place.REPLY, Place.BOTTOM))
                marked += 1
                above += reply < bottom
    assert marked > 40
    assert above / marked > 0.85


@pytest.mark.parametrize("place", list(Place))
def test_a_stamp_stands_once_in_each_alternative_and_the_rest_is_untouched(tmp_path: Path, place: Place) -> None:
    chosen = templates(tmp_path, note="Zustempelung {{ sender.title }}")
    stamped = 0
    for entry, message, classification in parsed_corpus():
        done = stamp_message(message, classification, [stamp("note", place)], context(), chosen)
        if not done.stamped:
            assert done.edits == (), entry.path
            assert done.skipped or done.failed, entry.path
            continue
        stamped += 1
        result = parse(joined(entry.data, done.edits))
        before, after = displayed(message), displayed(result)
        assert len(before) == len(after), entry.path
        changed = [(old, new) for old, new in zip(before, after, strict=True) if "Zustempelung" in new.text]
        assert changed, entry.path
        for old, new in changed:
            assert new.text.count("Zustempelung Account Manager") == 1, entry.path
            assert without_stamp(new.text, old.text), entry.path
        if place is not Place.BOTTOM:  # below an unmarked quote in plain text nobody can tell whose stamp it is
            again = stamp_message(result, classification, [stamp("note", place)], context(), chosen)
            assert again.edits == (), entry.path
    assert stamped > 1000


def without_stamp(stamped: str, original: str) -> bool:
    """Whether the original is what stands before the stamp and what stands behind it."""
    at = stamped.index("Zustempelung")
    head = next(n for n in range(min(at, len(original)) + 1) if n == at or stamped[n : n + 1] != original[n : n + 1])
    tail = len(original) - head
    return stamped[len(stamped) - tail :] == original[head:] if tail else True
