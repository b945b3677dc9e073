"""Separators by configuration: which work, in plain text and in HTML, and what is said of those that can't."""

from __future__ import annotations

import pytest

from mta.message.place.own_separators import SEPARATORS_MAX, SeparatorError, marks_of, separator_errors
from mta.message.place.place_html import place_html
from mta.message.place.place_plain import place_plain
from mta.message.place.placement import BodyView
from mta.message.place.quote_marks import DEFAULT_MARKS
from mta.model.actions import Place

LINES = ("== Bitte über dieser Zeile antworten ==", "***")
PATTERNS = (r"^ticket #\d+( \(.*\))?$", "[–-]{3} verlauf [–-]{3}")


@pytest.mark.parametrize(
    "line",
    [
        "== Bitte über dieser Zeile antworten ==",
        "  == BITTE ÜBER  dieser\tZeile antworten ==  ",
        "***",
        "Ticket #12",
        "Ticket #12 (closed)",
        "––– Verlauf –––",
    ],
)
def test_a_separator_begins_the_rest_in_plain_text(line: str) -> None:
    text = f"Hi\n\n{line}\nOld\n"
    assert place_plain(BodyView(text), Place.REPLY, False, marks_of(LINES, PATTERNS)).position == 4
    assert place_plain(BodyView(text), Place.REPLY, False).position == len(text)


@pytest.mark.parametrize(
    "line",
    [
        "== Bitte &uuml;ber <b>dieser</b> Zeile&nbsp;antworten ==",
        "<span>***</span>",
        "Ticket <b>#12</b>",
        "&#8211;–– Verlauf –––",
    ],
)
def test_a_separator_begins_the_rest_in_html(line: str) -> None:
    text = f"<p>Hi</p><p>{line}</p>Old"
    assert place_html(BodyView(text), Place.REPLY, False, marks_of(LINES, PATTERNS)).position == len("<p>Hi</p>")
    assert place_html(BodyView(text), Place.REPLY, False).position == len(text)


@pytest.mark.parametrize("line", ["see ***", "Ticket #12 is done", "a -- verlauf"])
def test_a_separator_is_a_whole_line(line: str) -> None:
    text = f"Hi\n\n{line}\nOld\n"
    assert place_plain(BodyView(text), Place.REPLY, False, marks_of(LINES, PATTERNS)).position == len(text)


def test_without_separators_the_built_in_marks_serve() -> None:
    assert marks_of() is DEFAULT_MARKS


def test_the_built_in_marks_serve_beside_separators() -> None:
    text = "Hi\n\n-----Original Message-----\nFrom: A\n"
    assert place_plain(BodyView(text), Place.REPLY, False, marks_of(LINES)).position == 4


@pytest.mark.parametrize(
    ("lines", "patterns", "loc", "what", "mend"),
    [
        (["a b", " "], [], ("lines", 1), "empty", "write the line"),
        (["a\nb"], [], ("lines", 0), "several lines", "first of them"),
        (["a" * 501], [], ("lines", 0), "longer than 500", "pattern"),
        ([], ["a", "(b"], ("patterns", 1), "missing )", "RE2's syntax"),
        ([], ["(?<=a)b"], ("patterns", 0), "not RE2", "lookbehind"),
        ([], [r"(a)\1"], ("patterns", 0), "not RE2", "back-references"),
        ([], ["a*+"], ("patterns", 0), "not RE2", "possessive"),
        ([], [".*"], ("patterns", 0), "any line", "looks like"),
        ([], ["x?"], ("patterns", 0), "empty line", "one character"),
        ([], ["(a{1000}){1000}"], ("patterns", 0), "pattern", "RE2's syntax"),
        ([], ["a"] * (SEPARATORS_MAX + 1), ("patterns", SEPARATORS_MAX), "more than", "join"),
        (["a"] * (SEPARATORS_MAX + 1), [], ("lines", SEPARATORS_MAX), "more than", "join"),
    ],
)
def test_what_is_wrong_with_a_separator(
    lines: list[str], patterns: list[str], loc: tuple[str, int], what: str, mend: str
) -> None:
    with pytest.raises(SeparatorError, match=what.replace(")", r"\)")) as caught:
        marks_of(lines, patterns)
    assert caught.value.loc == loc
    assert mend in caught.value.mend


def test_every_separator_that_cannot_be_used_is_told() -> None:
    errors = separator_errors(["a", "", " "], ["ok", "(", ".*"])
    assert [error.loc for error in errors] == [("lines", 1), ("lines", 2), ("patterns", 1), ("patterns", 2)]
