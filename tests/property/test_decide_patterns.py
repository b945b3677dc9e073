"""Patterns leave out searches whose answer is known; no answer may change by it."""

from __future__ import annotations

from contextlib import suppress

import re2
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mta.message.patterns.required_text import in_regex
from mta.message.patterns.text_patterns import (
    PatternBank,
    PatternError,
    Text,
    compile_keywords,
    compile_phrases,
    compile_regex,
)

modest = settings(max_examples=400, deadline=None)

# Parts of a regex with texts that they match: the Kelvin sign and the long s are case folded to ASCII letters, ß to two
# characters, and the lone surrogate, no character, stands for a question mark.
PARTS = {
    "a": "aA", "k": "kK\u212a", "s": "sSſ", "é": "éÉ", "ß": "ß\u1e9e", r"\[": "[", r"\?": "?\udc80", ".": "axé",
    " ": " ", r"\d": "17", "[ks]": "kſ", "[^a]": "x", "[]k]": "]K", r"\x6b": "kK", r"\pL": "aé",
    "(?:a|k)": "aK", "(s)": "sſ",
}  # fmt: skip
TIMES = {"": (1, 1), "?": (0, 1), "*": (0, 2), "+": (1, 2), "{0,2}": (0, 2), "{0}": (0, 0), "{2}": (2, 2), "*?": (0, 2)}
BROKEN = ("|", "(", ")", "^", "$", r"\b", "]", "{", "}", r"\Q", "*", "?", "+", *PARTS)
LETTERS = ("a", "k", "s", "A", "K", "S", "é", "É", "ß", "ſ", "\u212a", "\u0130", "1", " ", "[", "?", "_", "\udc80")


@st.composite
def regexes_with_text(draw: st.DrawFn) -> tuple[str, str]:
    """A regex, and a text that it matches."""
    regex, text = draw(st.sampled_from(["", "(?i)", "(?s)"])), ""
    for part in draw(st.lists(st.sampled_from(("a", "k", r"\?", *PARTS)), min_size=2, max_size=5)):
        times = draw(st.sampled_from(("", "", "", "", *TIMES)))
        least, most = TIMES[times]
        regex += part + times
        text += "".join(draw(st.lists(st.sampled_from(PARTS[part]), min_size=least, max_size=most)))
    return regex, text


broken_regexes = st.lists(st.sampled_from(BROKEN), max_size=7).map("".join)
texts = st.lists(st.sampled_from(LETTERS), max_size=8).map("".join)
words = st.text(alphabet="aksAKSé[1.*?", min_size=1, max_size=6).filter(lambda word: bool(word.strip("*?")))


def found_by_re2(regex: str, text: str) -> bool:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return re2.compile(regex, options).search(text.encode("utf-8", "replace").decode()) is not None


@modest
@given(regexes_with_text(), texts, texts)
def test_a_regex_finds_every_text_that_it_describes(pair: tuple[str, str], before: str, after: str) -> None:
    regex, text = pair
    assert found_by_re2(regex, before + text + after)
    assert compile_regex(regex).search(before + text + after)


@modest
@given(broken_regexes, st.lists(texts, min_size=1, max_size=8))
def test_a_regex_finds_what_re2_finds(regex: str, subjects: list[str]) -> None:
    try:
        pattern = compile_regex(regex)
    except PatternError:
        assume(False)
    for subject in [*subjects, regex, regex.upper()]:
        assert (pattern.search(subject) is not None) is found_by_re2(regex, subject)


@modest
@given(st.lists(words, min_size=1, max_size=3), texts, texts, st.data())
def test_phrases_and_keywords_are_found_in_any_case(
    wanted: list[str], before: str, after: str, data: st.DataObject
) -> None:
    word = data.draw(st.sampled_from(wanted))
    filled = word.replace("*", data.draw(st.sampled_from(["", "k", "as"]))).replace("?", "a")
    for text in (filled, filled.upper(), filled.replace("k", "\u212a").replace("s", "ſ")):
        assert compile_phrases(wanted).search(f"{before}{text}{after}")
        assert compile_keywords(wanted).search(f"{before} {text} {after}")


@modest
@given(st.lists(broken_regexes, min_size=3, max_size=6), st.lists(words, min_size=1, max_size=3), texts, texts)
def test_together_patterns_find_what_each_finds(regexes: list[str], wanted: list[str], before: str, after: str) -> None:
    patterns = [compile_phrases(wanted), compile_keywords(wanted)]
    for regex in regexes:
        with suppress(PatternError):
            patterns.append(compile_regex(regex))
    bank = PatternBank()
    for pattern in patterns:
        bank.add(pattern)
    for subject in (before, f"{before} {wanted[0]} {after}", regexes[0].upper(), f"{after}ſ\u212a".join(wanted)):
        alone = {number for number, pattern in enumerate(patterns) if pattern.search(subject) is not None}
        assert bank.hits(Text(subject)) == alone


def test_what_a_regex_needs() -> None:
    needed = {
        r"(?i)\bNewsletter\b": "newsletter", r"\[no ?sig\]": "sig]", r"^Re: ticket \d+ closed$": "re: ticket ",
        r"offer+ing": "offer", r"ab{0,2}cde{2}": "cde", r"really\?\?": "really",
    }  # fmt: skip
    assert {regex: in_regex(regex) for regex in needed} == needed
    unknown = (r"a|bcd", r"(abc)?", r"\Qabc\E", r"[[:alpha:]]abc", r"\d+", r"(?i:abc)", "")
    assert [in_regex(regex) for regex in unknown] == [""] * len(unknown)
