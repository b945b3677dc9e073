"""LDAP filters and the text of HTML: whatever is written, they answer, and as a plain reading would."""

from __future__ import annotations

import html
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.shown_text import text_of_html
from mta.model.person import Person
from mta.relay.decide.conditions.ldap_filter import FilterError, compile_filter

NAMES = ("department", "title", "company")
VALUES = st.text(alphabet=r"ab(*)\ é", min_size=1, max_size=4).map(lambda text: text.strip() or "a")
Judged = tuple[str, Callable[[Person], bool]]


def escaped(text: str) -> str:
    return "".join(f"\\{octet:02x}" if chr(octet) in r"()*\ " or octet > 127 else chr(octet) for octet in text.encode())


def value(person: Person, name: str) -> str:
    return " ".join(person.attributes.get(name, "").split()).casefold()


@st.composite
def comparisons(draw: st.DrawFn) -> Judged:
    name, wanted = draw(st.sampled_from(NAMES)), draw(VALUES)
    folded = " ".join(wanted.split()).casefold()
    if draw(st.booleans()):
        return f"({name}={escaped(wanted)})", lambda person: value(person, name) == folded
    return f"({name}=*{escaped(wanted)}*)", lambda person: wanted.casefold() in value(person, name)


def joined(sign: str, judge: Callable[[list[bool]], bool], parts: list[Judged]) -> Judged:
    text = "".join(text for text, _ in parts)
    return f"({sign}{text})", lambda person: judge([test(person) for _, test in parts])


def combined(inner: st.SearchStrategy[Judged]) -> st.SearchStrategy[Judged]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        inner.map(lambda part: joined("!", lambda answers: not answers[0], [part])),
        several.map(lambda parts: joined("&", all, parts)),
        several.map(lambda parts: joined("|", any, parts)),
    )


@settings(deadline=None, max_examples=200)
@given(st.recursive(comparisons(), combined, max_leaves=6), st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_filters_say_what_their_parts_say(judged: Judged, attributes: dict[str, str]) -> None:
    text, expected = judged
    person = Person("x@example.com", attributes=attributes)
    assert compile_filter(text)(person) == expected(person)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet=r"()&|!=*\:<>~ab1. 5ca", max_size=30))
def test_any_text_is_a_filter_or_is_refused(text: str) -> None:
    person = Person("x@example.com", attributes={"a": "b"})
    try:
        test = compile_filter(f"({text})")
    except FilterError as exc:
        mend = exc.mend
        assert mend
    else:
        assert test(person) in (True, False)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(alphabet="ab<>&\"'/! -é\n", max_size=6), max_size=6))
def test_what_is_escaped_is_read_as_it_was_written(texts: list[str]) -> None:
    source = "".join(f"<p title='x'>{html.escape(text)}</p>" for text in texts)
    read = text_of_html(source)
    assert read.split() == " ".join(texts).split()


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="<>!-/\"'apstyle &;#", max_size=60))
def test_any_text_is_html(source: str) -> None:
    assert len(text_of_html(source)) <= len(source) + 1
