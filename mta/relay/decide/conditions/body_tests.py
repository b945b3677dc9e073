"""Tests of the displayed text, of its language and charset, and of stamps that stand in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mta.config.texts import listed
from mta.message.patterns.text_patterns import Pattern, PatternBank, Text, has_wildcard
from mta.message.wildcards import Glob
from mta.relay.decide import languages
from mta.relay.decide.conditions.condition import MessageTest, shortened
from mta.relay.decide.conditions.schema import BodyTests
from mta.relay.decide.facts import Facts, charset_name
from mta.relay.decide.patterns.dictionaries import Dictionary

COST_BODY = 200
COST_LANGUAGE = 300
Scope = Callable[[Facts], Sequence[Text]]


class BodyPatterns:
    """Makes tests of the body; patterns that look into the same text are looked for together."""

    def __init__(self) -> None:
        self._banks: dict[tuple[bool, bool], PatternBank] = {}
        self._known: dict[str, MessageTest] = {}

    def test(self, words: str, written: BodyTests, patterns: Sequence[Pattern]) -> MessageTest:
        """Whether one of the patterns stands in the text; the same test for the same words."""
        source = f"{_name(written)}.{words}"
        if source not in self._known:
            self._known[source] = self._test(source, written, patterns)
        return self._known[source]

    def _test(self, source: str, written: BodyTests, patterns: Sequence[Pattern]) -> MessageTest:
        texts = _scope(written)
        bank = self._banks.setdefault((written.within == "newest", written.with_subject), PatternBank())
        numbers = frozenset(bank.add(pattern) for pattern in patterns)

        def value(facts: Facts) -> str:
            matches = (pattern.find(text) for text in texts(facts) for pattern in patterns)
            match = next((match for match in matches if match is not None), None)
            if match is None:
                return f"not found in {sum(len(text.text) for text in texts(facts))} characters"
            return f"the text has {shortened(match.group().decode(errors='replace').strip())}"

        return MessageTest(
            source,
            lambda facts: any(bank.finds(text, numbers) for text in texts(facts)),
            value,
            cost=COST_BODY,
        )


def _scope(written: BodyTests) -> Scope:
    newest, with_subject = written.within == "newest", written.with_subject
    return lambda facts: facts.texts(newest=newest, with_subject=with_subject)


def _name(written: BodyTests) -> str:
    subject = " and subject" if written.with_subject else ""
    return f"body{subject}" if written.within == "whole" else f"newest body{subject}"


def empty(written: BodyTests, *, expected: bool) -> MessageTest:
    texts = _scope(written)
    return MessageTest(
        f"{_name(written)}.empty: {str(expected).lower()}",
        lambda facts: (not any(text.text.strip() for text in texts(facts))) is expected,
        lambda facts: f"the text has {max((len(text.text.strip()) for text in texts(facts)), default=0)} characters",
        cost=COST_BODY,
    )


def dictionary(written: BodyTests, words: Dictionary, over: int) -> MessageTest:
    """Whether the weights of what the text holds come to more than `over`, in the reading that holds most."""
    texts = _scope(written)

    def value(facts: Facts) -> str:
        scores = [words.score(text) for text in texts(facts)]
        best = max(scores, key=lambda score: score.weight, default=None)
        if best is None or not best.found:
            return "weight 0"
        return f"weight {best.weight}: " + ", ".join(f"{shortened(name, 30)} x {n}" for name, n in best.found[:10])

    return MessageTest(
        f"{_name(written)}.dictionary: {words.name} over {over}",
        lambda facts: any(words.score(text).weight > over for text in texts(facts)),
        value,
        cost=COST_BODY,
    )


def language(written: Sequence[str]) -> MessageTest:
    wanted = [languages.common_tag(tag) for tag in written]
    return MessageTest(
        f"language: {listed(written)}",
        lambda facts: any(languages.is_of(languages.common_tag(facts.language), tag) for tag in wanted),
        lambda facts: f"the language is {facts.language or 'not known'}",
        cost=COST_LANGUAGE,
    )


def charset(written: Sequence[str]) -> MessageTest:
    exact = frozenset(charset_name(label) for label in written if not has_wildcard(label))
    wild = [label for label in written if has_wildcard(label)]
    glob = Glob(wild) if wild else None
    return MessageTest(
        f"charset: {listed(written)}",
        lambda facts: (
            not exact.isdisjoint(facts.charsets)
            or (glob is not None and any(glob.search(name) is not None for name in facts.charsets))
        ),
        lambda facts: ", ".join(sorted(facts.charsets)) or "no text",
        cost=30,
    )


def stamped(templates: Sequence[str] | None) -> MessageTest:
    """Whether a stamp of one of the templates (None: of any) stands in the message or in what it quotes."""
    wanted = None if templates is None else frozenset(name.lower() for name in templates)
    return MessageTest(
        f"stamped: {'any' if templates is None else listed(templates)}",
        lambda facts: bool(facts.earlier_stamps) if wanted is None else not wanted.isdisjoint(facts.earlier_stamps),
        lambda facts: f"it has {', '.join(sorted(facts.earlier_stamps)) or 'no stamp'}",
        cost=COST_BODY,
    )
