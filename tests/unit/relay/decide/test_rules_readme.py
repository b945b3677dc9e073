"""`rules/README.md` names all that a rule file may hold, and its example is a rule file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from mta.relay.decide.condition_schema import KIND_NAMES
from mta.relay.decide.rule_schema import RuleEntry
from mta.relay.decide.rules import load_rules
from mta.relay.decide.surroundings import Surroundings

README = (Path(__file__).parents[4] / "rules" / "README.md").read_text()


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def keys(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in models_in(field.annotation):
            yield from keys(inner, seen)


@pytest.mark.parametrize("word", sorted({*keys(RuleEntry, set()), *KIND_NAMES}))
def test_every_key_and_kind_is_explained(word: str) -> None:
    assert re.search(rf"[`{{ ]{re.escape(word)}[`:\]]", README)


def test_the_example_is_a_rule_file(tmp_path: Path) -> None:
    example = README.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "10-example.yaml").write_text(example)
    rules = load_rules(tmp_path, Surroundings(None, None, None, None, None))
    assert len(rules) == 1
