"""Folders of rule files, in the order of their names, and the rules in them that fit their schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from mta.config.load import validate
from mta.config.problems import ConfigurationError, Problem
from mta.config.yaml_values import Document, read_document

Entry = TypeVar("Entry", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class WrittenRules(Generic[Entry]):
    """The rules of one file."""

    document: Document
    entries: Mapping[int, Entry]
    """By position, those that fit the schema."""
    problems: Sequence[Problem]
    """Of the others."""


def rule_files(folder: Path) -> list[Path]:
    """The rule files of a folder, in order. Raises ConfigurationError."""
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as exc:
        raise ConfigurationError([Problem(folder, 0, 0, f"cannot read: {exc.strerror}", "correct the path")]) from exc
    wrong = [path for path in paths if path.suffix == ".yml"]
    if wrong:
        problems = [Problem(path, 0, 0, "would not be read", f"rename it to {path.stem}.yaml") for path in wrong]
        raise ConfigurationError(problems)
    return [path for path in paths if path.suffix == ".yaml"]


def read_rules(path: Path, file: type[BaseModel], entry: type[Entry]) -> WrittenRules[Entry]:
    """`file` is the schema of a whole file, with `rules`; where one doesn't fit it, the others are given all the same.

    Raises ConfigurationError for what is no YAML.
    """
    document = read_document(path)
    try:
        whole: Any = validate(document, file).value
    except ConfigurationError as exc:
        return WrittenRules(document, _sound_entries(document.value, entry), exc.problems)
    return WrittenRules(document, dict(enumerate(whole.rules)), ())


def _sound_entries(value: object, entry: type[Entry]) -> dict[int, Entry]:
    written = value.get("rules") if isinstance(value, dict) else None
    entries: dict[int, Entry] = {}
    for n, each in enumerate(written if isinstance(written, list) else []):
        with suppress(ValidationError):
            entries[n] = entry.model_validate(each)
    return entries
