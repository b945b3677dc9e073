"""The JSON Schemas in conf/schema: they are the code's, and say the same as the code about good and bad files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from mta.cli import main
from mta.cli.schema import SCHEMAS, as_text
from mta.config.yaml_values import read_document

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "conf" / "schema"
CONFIGURATION = (ROOT / "conf" / "stampline.yaml").read_text(encoding="utf-8")


def judged_by_schema(kind: str, value: Any) -> list[str]:
    """What an editor would underline."""
    validator = Draft202012Validator(json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8")))
    return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(value)]


def judged_by_code(kind: str, value: Any) -> list[str]:
    try:
        SCHEMAS[kind][0].model_validate(value)
    except ValidationError as exc:
        return [str(error["loc"]) for error in exc.errors()]
    return []


def read(folder: Path, text: str) -> Any:
    path = folder / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return read_document(path).value


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_the_folder_holds_what_the_code_says(kind: str) -> None:
    written = (FOLDER / f"{kind}.json").read_text(encoding="utf-8")
    assert written == as_text(kind), "run: stampline schema --write conf/schema"


def test_the_schemas_are_schemas() -> None:
    for kind in SCHEMAS:
        Draft202012Validator.check_schema(json.loads(as_text(kind)))
    assert {path.stem for path in FOLDER.iterdir()} == set(SCHEMAS)


SAMPLES = [
    *(("configuration", path) for path in (ROOT / "conf" / "stampline.yaml", ROOT / "conf" / "demo.yaml")),
    ("people", ROOT / "conf" / "people.yaml"),
    *(("rules", path) for path in sorted((ROOT / "rules").glob("*.yaml"))),
    *(("tracking-rules", path) for path in sorted((ROOT / "rules" / "tracking").glob("*.yaml"))),
    *(("template", path) for path in sorted((ROOT / "templates").glob("*/template.yaml"))),
]


@pytest.mark.parametrize(("kind", "path"), SAMPLES, ids=lambda value: getattr(value, "name", value))
def test_what_comes_with_the_project_fits(kind: str, path: Path) -> None:
    assert judged_by_schema(kind, read_document(path).value) == []


def test_the_reference_fits_with_every_key_switched_on(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^( *)#(?=[a-z_]+:)", r"\1", CONFIGURATION)
    assert judged_by_schema("configuration", read(tmp_path, text)) == []


README = (ROOT / "rules" / "README.md").read_text(encoding="utf-8")


TESTS, ACTIONS = README.split("\n## Actions")
IN_A_ROW = re.compile(r"(?m)^\| `([a-z-]+: [^`]+)` \|")


@pytest.mark.parametrize("test", IN_A_ROW.findall(TESTS))
def test_the_tests_in_the_rules_readme_fit(test: str, tmp_path: Path) -> None:
    rule = f"rules:\n- name: r\n  when:\n    {test}\n  actions: [drop]\n"
    assert judged_by_schema("rules", read(tmp_path, rule)) == []


@pytest.mark.parametrize("action", IN_A_ROW.findall(ACTIONS))
def test_the_actions_in_the_rules_readme_fit(action: str, tmp_path: Path) -> None:
    rule = f"rules:\n- name: r\n  actions:\n  - {action}\n"
    assert judged_by_schema("rules", read(tmp_path, rule)) == []


def test_the_examples_in_the_rules_readme_fit(tmp_path: Path) -> None:
    text = README
    (dictionary,) = re.findall(r"(?s)```yaml\n(entries:.*?)```", text)
    assert judged_by_schema("dictionary", read(tmp_path, dictionary)) == []
    examples = re.findall(r"(?s)```yaml\n(rules:.*?)```", text)
    assert examples
    for example in examples:
        assert judged_by_schema("rules", read(tmp_path, example)) == []


RULE = "rules:\n  - name: r\n    actions: [{}]\n"
BAD = [
    ("configuration", CONFIGURATION.replace("hostname:", "host_name:")),
    ("configuration", CONFIGURATION.replace("role: trusted", "role: open")),
    ("configuration", CONFIGURATION.replace("expire_after: 2d", "expire_after: two days")),
    ("configuration", CONFIGURATION.replace("size: 37748736B", "size: 36 MiB")),
    ("configuration", CONFIGURATION.replace("accepted_domains: [example.com]", "accepted_domains: []")),
    ("configuration", CONFIGURATION.replace("port: 25\n", "port: 70000\n", 1)),
    ("rules", RULE.format("stamp: {template: a, place: middle}")),
    ("rules", RULE.format("stamp: {tmplate: a}")),
    ("rules", RULE.format("tag-subject: {text: ''}")),
    ("rules", RULE.format("reject: {code: 250}")),
    ("rules", "rules:\n  - name: r\n    when: {kind: letter}\n    actions: [drop]\n"),
    ("rules", "rules:\n  - name: r\n    when: {subject: {phrase: []}}\n    actions: [drop]\n"),
    ("rules", "rules:\n  - name: r\n    whenever: {subject: {phrase: a}}\n    actions: [drop]\n"),
    ("rules", "rules:\n  - name: r\n    direction: sideways\n    actions: [drop]\n"),
    ("template", "descripton: A signature\n"),
    ("template", "on_missing: perhaps\n"),
    ("people", "people:\n  - attributes: {displayName: Jane}\n"),
]


@pytest.mark.parametrize(("kind", "text"), BAD, ids=range(len(BAD)))
def test_schema_and_code_agree_on_what_is_bad(kind: str, text: str, tmp_path: Path) -> None:
    value = read(tmp_path, text)
    assert judged_by_code(kind, value) != []
    assert judged_by_schema(kind, value) != []


GOOD = [
    ("rules", "rules:\n  - name: 2026\n    when: {subject: {phrase: [2026, offer]}}\n    actions: [drop, hold]\n"),
    ("rules", "rules:\n  - name: r\n    when: [{direction: outbound}, {direction: [internal]}]\n    actions: [drop]\n"),
    ("rules", "rules:\n  - name: r\n    unless: [{attachments: any}]\n    on_match: stop\n"),
    ("rules", RULE.format("stamp: {template: a, formats: both}")),
    ("template", "{}\n"),
]


@pytest.mark.parametrize(("kind", "text"), GOOD, ids=range(len(GOOD)))
def test_schema_and_code_agree_on_what_is_good(kind: str, text: str, tmp_path: Path) -> None:
    value = read(tmp_path, text)
    assert judged_by_code(kind, value) == []
    assert judged_by_schema(kind, value) == []


def test_every_key_is_described_or_speaks_for_itself() -> None:
    rules = json.loads(as_text("rules"))
    assert rules["$defs"]["RuleEntry"]["properties"]["splitting"]["description"].startswith("off:")


def test_the_command_prints_one_and_writes_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "rules"]) == 0
    assert capsys.readouterr().out == as_text("rules")
    assert main(["schema", "--write", str(tmp_path / "new")]) == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"{kind}.json" for kind in SCHEMAS}
    assert main(["schema"]) == 2
