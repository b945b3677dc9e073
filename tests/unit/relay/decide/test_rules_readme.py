"""`rules/README.md` names all that a rule file may hold, and its example is a rule file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from mta.relay.decide.conditions.schema import KIND_NAMES, Conditions
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


TESTS = README.partition("## Tests\n")[2].partition("\n## ")[0]
EXAMPLES = re.findall(r"^\| `([^`]+)` \|", TESTS, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_test(example: str, tmp_path: Path) -> None:
    dictionary = TESTS.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "dictionaries").mkdir()
    (tmp_path / "dictionaries" / "dlp.yaml").write_text(dictionary)
    rule = f"rules:\n- name: r\n  when:\n    {example}\n  actions: [hold: {{reason: example}}]\n"
    (tmp_path / "10-example.yaml").write_text(rule)
    assert len(load_rules(tmp_path, Surroundings())) == 1


def test_every_test_has_an_example() -> None:
    shown = {example.partition(":")[0] for example in EXAMPLES}
    assert shown | {"all", "any", "not"} == {field.alias or name for name, field in Conditions.model_fields.items()}


@pytest.mark.parametrize("key", ["sender", "recipient", "subject", "client", "authentication"])
def test_every_key_of_a_test_has_an_example(key: str) -> None:
    shown = "\n".join(EXAMPLES) + TESTS
    model = next(models_in(Conditions.model_fields[key].annotation))
    assert [
        name for name, field in model.model_fields.items() if not re.search(rf"[`{{ ]{field.alias or name}[:`]", shown)
    ] == []


ACTIONS = README.partition("### Who gets it\n")[2].partition("\n## ")[0]
ACTION_EXAMPLES = [text for text in re.findall(r"^\| `([^`]+)` \|", ACTIONS, re.MULTILINE) if "plugin" not in text]


@pytest.mark.parametrize("example", ACTION_EXAMPLES)
def test_every_example_is_an_action(example: str, tmp_path: Path) -> None:
    (tmp_path / "10-example.yaml").write_text(f"rules:\n- name: r\n  actions:\n  - {example}\n")
    assert len(load_rules(tmp_path, Surroundings())) == 1


def test_every_action_that_names_somebody_has_an_example() -> None:
    shown = {example.partition(":")[0] for example in ACTION_EXAMPLES}
    assert shown == {
        "add-recipients", "forward-copy", "redirect", "archive", "require-tls", "set-reply-to", "rewrite-sender",
        "dkim-key", "set-importance", "set-sensitivity", "set-classification", "notify", "auto-respond",
        "track",
    }  # fmt: skip


def test_the_example_is_a_rule_file(tmp_path: Path) -> None:
    example = README.partition("## Example\n")[2].partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "10-example.yaml").write_text(example)
    rules = load_rules(tmp_path, Surroundings(None, None, None, None, None))
    assert len(rules) == 1
