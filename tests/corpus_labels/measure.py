"""Precision and recall of the relay's placement against the labels, in all and per client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

from mta.message.body_text import displayed
from mta.message.classify import Kind, classify
from mta.message.parse import LimitExceededError, parse
from mta.message.place.quote_marks import DEFAULT_MARKS
from mta.model.actions import Place
from mta.relay.stamp.bodies import ShownBody, place_in
from tests.corpus_labels.clients import client_of
from tests.corpus_labels.detector import opinion
from tests.corpus_labels.labels import Label, LabelKind, body_hash, labels
from tests.corpus_labels.rendering import html_lines, plain_lines, seen_before
from tests.shared import corpus

_NOT_MEASURED = (LabelKind.RETURNED, LabelKind.UNCLEAR)
_QUOTES = ("gmail_quote", "yahoo_quoted", "divRplyFwdMsg", "moz-forward-container", "protonmail_quote")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One body: what the label says, and where the relay puts a stamp."""

    path: str
    client: str
    is_html: bool
    kind: LabelKind
    found: bool
    """Whether the relay takes something for a quoted part below the reply."""
    right: bool
    """Whether the stamp stands where the label wants it."""

    @property
    def problem(self) -> str:
        """What is wrong, in words; "" if nothing."""
        if self.right:
            return ""
        if self.kind is LabelKind.ABOVE:
            return "at another place" if self.found else "at the end, not above the quoted part"
        return f"above something, though the reply is {self.kind.value}"


@dataclass(slots=True)
class Score:
    """Counts of bodies. A stamp above a quoted part, but at another place, lowers precision and recall."""

    wanted: int = 0
    found: int = 0
    hit: int = 0
    at_end: int = 0
    at_end_right: int = 0

    def add(self, outcome: Outcome) -> None:
        if outcome.kind is LabelKind.ABOVE:
            self.wanted += 1
            self.hit += outcome.right
        else:
            self.at_end += 1
            self.at_end_right += outcome.right
        self.found += outcome.found

    @property
    def precision(self) -> float:
        return self.hit / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.hit / self.wanted if self.wanted else 1.0


def outcomes() -> Iterator[Outcome]:
    """Every displayed body of the corpus that is measured; one without a label quotes nothing."""
    known = labels()
    for entry in corpus():
        try:
            message = parse(entry.data)
        except LimitExceededError:
            continue
        is_reply = classify(message, False).kind in (Kind.REPLY, Kind.FORWARD)
        header = entry.data.partition(b"\r\n\r\n")[0]
        for body in map(ShownBody, displayed(message)):
            label = known.get((entry.path, body_hash(body.text)))
            kind = LabelKind.NONE if label is None else label.kind
            if kind not in _NOT_MEASURED:
                found, right = _judged(body, is_reply, label)
                client = client_of(entry.path, header, body.text)
                yield Outcome(entry.path, client, body.is_html, kind, found, right)


def _judged(body: ShownBody, is_reply: bool, label: Label | None) -> tuple[bool, bool]:
    reply, bottom = (place_in(body, place, is_reply, DEFAULT_MARKS) for place in (Place.REPLY, Place.BOTTOM))
    found = reply.position < bottom.position
    if label is None or label.offset is None:
        seen = [seen_before(body.text, at, is_html=body.is_html) for at in (reply.position, len(body.text))]
        return found, not found or seen[0] == seen[1]
    if not found:
        return False, False
    before = seen_before(body.text, reply.position, is_html=body.is_html)
    right = before == seen_before(body.text, label.offset, is_html=body.is_html)
    return True, right and not (body.is_html and _is_inside_quote(body.text, reply.position, before))


def _is_inside_quote(text: str, position: int, seen: int) -> bool:
    """Whether an element that marks a quote is open at the place, with nothing of the reply in it."""
    opened = _OpenQuotes()
    opened.feed(text[:position])
    opened.close()
    return any(seen_before(text, start, is_html=True) == seen and seen > 0 for start in opened.starts())


class _OpenQuotes(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self._open: list[tuple[str, int | None]] = []
        self._lines = [0]

    def feed(self, data: str) -> None:
        at = 0
        for line in data.split("\n"):
            at += len(line) + 1
            self._lines.append(at)
        super().feed(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("div", "blockquote", "span"):
            return
        named = " ".join(value or "" for key, value in attrs if key in ("id", "class"))
        is_quote = tag == "blockquote" or any(sign in named for sign in _QUOTES)
        line, column = self.getpos()
        self._open.append((tag, self._lines[line - 1] + column if is_quote else None))

    def handle_endtag(self, tag: str) -> None:
        if any(name == tag for name, _ in self._open):
            while self._open.pop()[0] != tag:
                pass

    def starts(self) -> list[int]:
        return [start for _, start in self._open if start is not None]


def scores(found: list[Outcome]) -> dict[str, Score]:
    """By client, "all" last."""
    table: dict[str, Score] = {}
    for outcome in sorted(found, key=lambda outcome: outcome.client):
        table.setdefault(outcome.client, Score()).add(outcome)
    total = Score()
    for outcome in found:
        total.add(outcome)
    return {**table, "all": total}


def agreement() -> tuple[int, int]:
    """How many labels the independent detector agrees with, and how many are measured."""
    agreed = measured = 0
    known = labels()
    for entry in corpus():
        for body in _bodies(entry.data):
            label = known.get((entry.path, body_hash(body.text)))
            if label is None or label.kind in _NOT_MEASURED:
                continue
            lines = html_lines(body.text) if body.is_html else plain_lines(body.text)
            seen = opinion(lines)
            measured += 1
            same = seen.kind == label.kind.value
            agreed += same and (label.offset is None or lines[seen.line].start == label.offset)
    return agreed, measured


def _bodies(data: bytes) -> list[ShownBody]:
    try:
        return [ShownBody(body) for body in displayed(parse(data))]
    except LimitExceededError:
        return []
