"""Patterns looked for together find what each finds alone."""

from __future__ import annotations

import pytest

from mta.message.patterns import text_patterns as patterns
from mta.message.patterns.text_patterns import PatternBank, Text, compile_keywords, compile_phrases, compile_regex

ALL = [
    compile_phrases(["dear all", "gr?ß*"]),
    compile_keywords(["iban", "kont*"]),
    compile_regex(r"\b\d{4}\b"),
    compile_regex("(?-i)Falcon"),
    compile_regex("^$"),
    compile_regex("nowhere"),
]
TEXTS = ["", "Dear  all,\nIBAN 1234", "falcon Kontonummer", "Falcon", "viele Grüße\n", "\udc80 iban", "ibanx 12345"]


def bank_of_all() -> PatternBank:
    bank = PatternBank()
    assert [bank.add(pattern) for pattern in ALL] == list(range(len(ALL)))
    return bank


@pytest.mark.parametrize("text", TEXTS)
def test_together_as_alone(text: str) -> None:
    alone = {number for number, pattern in enumerate(ALL) if pattern.search(text) is not None}
    assert bank_of_all().hits(Text(text)) == alone


@pytest.mark.parametrize("count", [1, 2, len(ALL)])
@pytest.mark.parametrize("text", TEXTS)
def test_some_of_few_and_of_many_patterns(text: str, count: int) -> None:
    bank = PatternBank()
    numbers = [bank.add(pattern) for pattern in ALL[-count:]]
    for number, pattern in zip(numbers, ALL[-count:], strict=True):
        assert bank.finds(Text(text), frozenset({number})) is (pattern.search(text) is not None)
    alone = any(pattern.search(text) is not None for pattern in ALL[-count:])
    assert bank.finds(Text(text), frozenset(numbers)) is alone


@pytest.mark.parametrize("text", TEXTS)
def test_where_memory_is_too_small_for_the_set_each_is_tried_alone(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = bank_of_all().hits(Text(text))
    monkeypatch.setattr(patterns, "_BANK_MEMORY_MAX", 20_000)
    assert bank_of_all().hits(Text(text)) == expected


@pytest.mark.parametrize(
    ("pattern", "text", "count"),
    [
        (compile_keywords(["iban"]), "iban iban,iban ibanx", 3),
        (compile_phrases(["aa"]), "aaaaa", 2),
        (compile_regex("x*"), "axxb", 4),
        (compile_regex("q"), "abc", 0),
    ],
)
def test_count(pattern: patterns.Pattern, text: str, count: int) -> None:
    assert pattern.count(Text(text), 1000) == count
    assert pattern.count(Text(text), 1) == min(count, 1)
