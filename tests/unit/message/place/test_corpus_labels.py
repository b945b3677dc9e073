"""Placement on the labelled corpus: precision and recall, in all and per client (`pytest -s` shows the table)."""

from __future__ import annotations

import pytest

from mta.message.body_text import displayed
from mta.message.parse import LimitExceededError, parse
from tests.corpus_labels.__main__ import table
from tests.corpus_labels.labels import LabelKind, body_hash, labels
from tests.corpus_labels.measure import Outcome, outcomes, scores
from tests.shared import corpus

pytestmark = pytest.mark.corpus
BAR = 0.98
CLIENT_FLOOR = 0.95
FEW = 20
"""Of a client with fewer quotes than this one may go wrong, whatever its share."""


@pytest.fixture(scope="module")
def found() -> list[Outcome]:
    return list(outcomes())


def wrong(found: list[Outcome]) -> str:
    return "\n".join(f"{outcome.path}: {outcome.problem}" for outcome in found if outcome.problem)


def test_precision_and_recall_over_all_clients(found: list[Outcome]) -> None:
    print(f"\n{table(found)}\n{wrong(found)}")
    score = scores(found)["all"]
    assert score.wanted > 200
    assert score.precision >= BAR, wrong(found)
    assert score.recall >= BAR, wrong(found)
    assert score.at_end_right / score.at_end >= 0.995, wrong(found)


def test_no_client_falls_behind(found: list[Outcome]) -> None:
    table_of_clients = scores(found)
    assert len(table_of_clients) > 12
    for client, score in table_of_clients.items():
        missed, misplaced = score.wanted - score.hit, score.found - score.hit
        if score.wanted < FEW:
            assert missed <= 1, (client, wrong(found))
            assert misplaced <= 1, (client, wrong(found))
        else:
            assert min(score.precision, score.recall) >= CLIENT_FLOOR, (client, wrong(found))


def test_every_label_names_a_body_of_the_corpus_and_a_place_in_it() -> None:
    texts: dict[tuple[str, str], str] = {}
    for entry in corpus():
        try:
            bodies = displayed(parse(entry.data))
        except LimitExceededError:
            continue
        texts |= {(entry.path, body_hash(body.text)): body.text for body in bodies}
    assert len(labels()) > 500
    for key, label in labels().items():
        assert key in texts, f"{label.path} decodes differently from what was labelled"
        assert (label.kind is LabelKind.ABOVE) == (label.offset is not None)
        assert label.offset is None or 0 <= label.offset < len(texts[key])
