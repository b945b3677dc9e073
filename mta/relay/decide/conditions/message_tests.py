"""Tests of the message as a whole: kind, size, subject, header."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mta.config.texts import listed
from mta.message.patterns.text_patterns import Pattern, compile_keywords, compile_phrases, has_wildcard
from mta.relay.decide.conditions.condition import MessageTest, shortened
from mta.relay.decide.conditions.schema import HeaderTests, SizeTests
from mta.relay.decide.facts import Facts

_FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,76}\Z")
COST_HEADER = 10
COST_REGEX = 20


def is_field_name(name: str) -> bool:
    """Whether a header field may be called so (RFC 5322 §2.2, in the narrower RFC 9110 token characters)."""
    return _FIELD_NAME.match(name) is not None


def kind(names: Sequence[str]) -> MessageTest:
    wanted = frozenset(names)
    return MessageTest(
        f"kind: {listed(names)}",
        lambda facts: not wanted.isdisjoint(facts.kind_names),
        lambda facts: ", ".join(sorted(facts.kind_names)),
        cost=1,
    )


def size(written: SizeTests) -> MessageTest:
    over, under = written.over, written.under
    words = [f"over {over}" if over is not None else "", f"under {under}" if under is not None else ""]

    def test(facts: Facts) -> bool:
        octets = facts.size_octets
        return (over is None or octets > over) and (under is None or octets < under)

    return MessageTest(
        f"size: {' and '.join(filter(None, words))}", test, lambda facts: f"{facts.size_octets} octets", cost=1
    )


def _subject_value(facts: Facts) -> str:
    return f"the subject is {shortened(facts.subject)}"


def subject_phrase(phrases: Sequence[str]) -> MessageTest:
    plain = [" ".join(phrase.split()).casefold() for phrase in phrases if not has_wildcard(phrase)]
    wild = [phrase.casefold() for phrase in phrases if has_wildcard(phrase)]
    pattern = compile_phrases(wild) if wild else None

    def test(facts: Facts) -> bool:
        subject = facts.folded_subject
        return any(phrase in subject for phrase in plain) or (
            pattern is not None and pattern.search(subject) is not None
        )

    return MessageTest(f"subject.phrase: {listed(phrases)}", test, _subject_value, cost=3)


def subject_keywords(keywords: Sequence[str]) -> MessageTest:
    pattern = compile_keywords([word.casefold() for word in keywords])
    return MessageTest(
        f"subject.keywords: {listed(keywords)}",
        lambda facts: pattern.search(facts.folded_subject) is not None,
        _subject_value,
        cost=COST_REGEX,
    )


def subject_regex(texts: Sequence[str], patterns: Sequence[Pattern]) -> MessageTest:
    return MessageTest(
        f"subject.regex: {listed(texts)}",
        lambda facts: any(pattern.search(facts.subject) is not None for pattern in patterns),
        _subject_value,
        cost=COST_REGEX,
    )


def subject_empty(*, empty: bool) -> MessageTest:
    return MessageTest(
        f"subject.empty: {str(empty).lower()}",
        lambda facts: (not facts.subject.strip()) is empty,
        _subject_value,
        cost=2,
    )


def header(written: HeaderTests, patterns: Sequence[Pattern]) -> MessageTest:
    """`patterns` are the compiled `matches`."""
    name = written.name
    if written.present is not None or written.absent is not None:
        wanted = bool(written.present) if written.present is not None else not written.absent
        return MessageTest(
            f"header {name} {'present' if wanted else 'absent'}",
            lambda facts: facts.message.has(name) is wanted,
            lambda facts: "it is there" if facts.message.has(name) else "it is not there",
            cost=2,
        )
    test, words = _header_text_test(written, patterns)
    return MessageTest(
        f"header {name} {words}",
        lambda facts: facts.message.has(name) and any(test(value) for value in facts.message.headers(name)),
        lambda facts: ", ".join(shortened(value) for value in facts.message.headers(name)) or "it is not there",
        cost=COST_HEADER,
    )


def _header_text_test(written: HeaderTests, patterns: Sequence[Pattern]) -> tuple[Callable[[str], bool], str]:
    if written.equals is not None:
        wanted = frozenset(text.strip().casefold() for text in written.equals)
        return lambda value: value.strip().casefold() in wanted, f"equals {listed(written.equals)}"
    if written.contains is not None:
        found = compile_phrases(written.contains)
        return lambda value: found.search(value) is not None, f"contains {listed(written.contains)}"
    words = f"matches {listed(written.matches or ())}"
    return lambda value: any(pattern.search(value) is not None for pattern in patterns), words
