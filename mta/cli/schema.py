"""`stampline schema`: JSON Schemas of what is written in YAML, for editors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mta.adapters.directory.entries import DirectoryFile
from mta.cli.command import CommandFailedError, ExitCode, new_parser
from mta.config.schema import Configuration
from mta.relay.decide.patterns.dictionaries import DictionaryFile
from mta.relay.decide.rule_schema import RuleFile
from mta.relay.stamp.templates.settings import Settings
from mta.tracking.record.schema import RuleFile as BusinessRuleFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS: dict[str, tuple[type[BaseModel], str]] = {
    "configuration": (Configuration, "Stampline's configuration, stampline.yaml"),
    "rules": (RuleFile, "A file of rules"),
    "tracking-rules": (BusinessRuleFile, "A file of business rules"),
    "template": (Settings, "A template's settings, template.yaml"),
    "dictionary": (DictionaryFile, "A dictionary: words with weights, for tests of the body"),
    "people": (DirectoryFile, "A directory of people and groups"),
}
"""Name → model and title; each stands in a file NAME.json."""


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "schema", "print the JSON Schema of a kind of file",
        "Print the JSON Schema by which an editor completes and checks a file. With --write, all of them are written\n"
        "to a folder. `stampline check` knows more than a schema can say: names that must exist, keys, patterns.",
        with_config=False,
    )  # fmt: skip
    parser.add_argument("kind", nargs="?", choices=sorted(SCHEMAS), help="what to print the schema of")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write all schemas as files to this folder")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if (arguments.kind is None) == (arguments.write is None):
        raise CommandFailedError("say which schema to print, or where to write all", ExitCode.BAD_CONFIGURATION)
    if arguments.kind is not None:
        print(as_text(arguments.kind), end="")
        return ExitCode.OK
    folder: Path = arguments.write
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in SCHEMAS:
            (folder / f"{kind}.json").write_text(as_text(kind), encoding="utf-8")
    except OSError as exc:
        raise CommandFailedError(f"cannot write to {folder}: {exc.strerror}") from exc
    return ExitCode.OK


def as_text(kind: str) -> str:
    """The schema of one kind of file, as JSON."""
    model, title = SCHEMAS[kind]
    schema = _without_titles(model.model_json_schema(by_alias=True))
    return json.dumps({"$schema": DIALECT, "title": title, **schema}, indent=1, ensure_ascii=False) + "\n"


def _without_titles(schema: Any) -> Any:
    """Without the titles that only repeat a key in other letters."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: inner for key, inner in schema.items() if key != "title"}
    for key, inner in kept.items():
        if key in ("properties", "$defs"):
            kept[key] = {name: _without_titles(value) for name, value in inner.items()}
        elif key not in ("default", "enum", "const"):
            kept[key] = _without_titles(inner)
    return kept
