"""Answers are kept within bounds of time, number and size."""

from __future__ import annotations

import pytest

from mta.adapters.dns.cache import AnswerCache
from mta.ports.resolver import Answer, Outcome

ANSWER = Answer(Outcome.ANSWER, (b"x",))
QUESTION = ("example.com", "TXT")


@pytest.mark.parametrize(
    ("outcome", "ttl_s", "kept_s"),
    [
        (Outcome.ANSWER, 60, 60),
        (Outcome.ANSWER, 0, 5),
        (Outcome.ANSWER, 10**6, 3600),
        (Outcome.NXDOMAIN, 86400, 300),
        (Outcome.NODATA, 86400, 300),
        (Outcome.TEMPFAIL, 0, 2),
    ],
)
def test_an_answer_is_kept_for_its_time(outcome: Outcome, ttl_s: float, kept_s: float) -> None:
    cache = AnswerCache()
    cache.put(QUESTION, Answer(outcome), ttl_s, 100.0)
    assert cache.get(QUESTION, 100.0 + kept_s - 0.1) == Answer(outcome)
    assert cache.get(QUESTION, 100.0 + kept_s) is None
    assert len(cache) == 0
    assert cache.octets == 0


def test_the_least_recently_used_goes_first() -> None:
    cache = AnswerCache(entries_max=2)
    cache.put(("a", "TXT"), ANSWER, 60, 0)
    cache.put(("b", "TXT"), ANSWER, 60, 0)
    cache.get(("a", "TXT"), 1)
    cache.put(("c", "TXT"), ANSWER, 60, 1)
    assert cache.get(("b", "TXT"), 1) is None
    assert cache.get(("a", "TXT"), 1) == ANSWER


def test_large_answers_push_others_out() -> None:
    cache = AnswerCache(octets_max=200_000)
    for number in range(50):
        cache.put((f"n{number}", "TXT"), Answer(Outcome.ANSWER, (b"x" * 60_000,)), 60, 0)
    assert cache.octets <= 200_000
    assert len(cache) == 3


def test_an_answer_replaces_the_one_before() -> None:
    cache = AnswerCache()
    cache.put(QUESTION, ANSWER, 60, 0)
    octets = cache.octets
    cache.put(QUESTION, ANSWER, 60, 0)
    assert cache.octets == octets
