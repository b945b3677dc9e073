from __future__ import annotations

import pytest

from mta.message.html.scan import attributes, tokens


def seen(text: str) -> list[tuple[str, str]]:
    return [(token.kind, text[token.start : token.end]) for token in tokens(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<p title="a>b" x=y>t</p>', [("open", '<p title="a>b" x=y>'), ("close", "</p>")]),
        ("<a b='x>y' c>d", [("open", "<a b='x>y' c>")]),
        ("a < b and <3", []),
        ("<!-- </body> --><b>", [("comment", "<!-- </body> -->"), ("open", "<b>")]),
        ("<!--><b>", [("comment", "<!-->"), ("open", "<b>")]),
        ("<!--[if mso]><table><![endif]--><p>", [("comment", "<!--[if mso]><table><![endif]-->"), ("open", "<p>")]),
        ("<![if !mso]>x<![endif]>", [("bogus", "<![if !mso]>"), ("bogus", "<![endif]>")]),
        ("<style>a > b <p></style><p>", [("raw", "<style>a > b <p>"), ("close", "</style>"), ("open", "<p>")]),
        ('<script>"</scripts>"</SCRIPT >', [("raw", '<script>"</scripts>"'), ("close", "</SCRIPT >")]),
        ('<p it\'s title="x">q', [("open", '<p it\'s title="x">')]),
        ("<br/><o:p>", [("open", "<br/>"), ("open", "<o:p>")]),
    ],
)
def test_tokens(text: str, expected: list[tuple[str, str]]) -> None:
    assert seen(text) == expected


@pytest.mark.parametrize("text", ["x<!-- ", 'x<a title="y>z', "x<style>p", "x<a b", "x<!doctype"])
def test_what_the_text_breaks_off_in_is_not_closed(text: str) -> None:
    found = list(tokens(text))
    assert (len(found), found[0].start, found[0].end, found[0].closed) == (1, 1, len(text), False)


def test_attributes() -> None:
    written = " ID='Main' class=\"a  b\" hidden data-x = 5 id=second"
    assert attributes(written) == {"id": "Main", "class": "a  b", "hidden": "", "data-x": "5"}


@pytest.mark.parametrize(
    "unit",
    ["<a ", "<!--", '<a b="', "<style>", "</", "<a b=c ", "<", "<a =", "<!-- -", "<a '", "<style></styl", "<a b= "],
)
def test_what_costs_more_than_its_size_runs_into_the_time_out(unit: str) -> None:
    text = unit * 160_000
    end = 0
    for token in tokens(text):
        assert end <= token.start < token.end <= len(text)
        end = token.end
