"""Reads a YAML file against a schema and reports everything that is wrong with it at once, each at its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from mta.config.checks import check_consistency, check_surroundings
from mta.config.explain_errors import schema_problems
from mta.config.problems import ConfigurationError, Problem
from mta.config.schema import Configuration
from mta.config.types import Frequency
from mta.config.yaml_values import Document, Loc, Place, read_document

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Located(Generic[M]):
    """A validated value, and where each part of it stands in its file."""

    value: M
    document: Document

    @property
    def file(self) -> Path:
        return self.document.file

    def place(self, loc: Loc) -> Place:
        """Line and column of the value at `loc`, e.g. ("listeners", 0, "port")."""
        return self.document.place(loc)

    def problem(self, loc: Loc, what: str, mend: str = "", *, key: bool = False) -> Problem:
        """A problem with the value (or with the key) at `loc`."""
        return self.document.problem(loc, what, mend, key=key)


def read_yaml(path: Path, model: type[M]) -> Located[M]:
    """Read a YAML file against a strict model. Raises ConfigurationError with every problem of the file."""
    return validate(read_document(path), model)


def validate(document: Document, model: type[M]) -> Located[M]:
    """Validate a document that was read. Raises ConfigurationError with every problem."""
    try:
        return Located(model.model_validate(document.value), document)
    except ValidationError as exc:
        raise ConfigurationError(schema_problems(document, model, exc.errors(include_url=False))) from exc


def examine_configuration(path: Path) -> tuple[Located[Configuration], list[Problem]]:
    """Read the configuration; paths in it become absolute. The problems are those of its content and surroundings.

    Surroundings are the files, folders, certificates, secrets and keys that it names. Raises ConfigurationError if the
    file doesn't even fit the schema.
    """
    path = path.absolute()
    located = read_yaml(path, Configuration)
    located = Located(absolute(located.value, path.parent), located.document)
    problems = [
        located.problem(finding.loc, finding.what, finding.mend)
        for finding in (*check_consistency(located.value), *check_surroundings(located.value))
    ]
    return located, sorted(set(problems))


def load_configuration(path: Path) -> Configuration:
    """Read and check the configuration. Raises ConfigurationError with every problem of it and its surroundings."""
    located, problems = examine_configuration(path)
    if problems:
        raise ConfigurationError(problems)
    return located.value


def absolute(value: Any, base: Path) -> Any:
    """The same value with every relative path in it under `base`."""
    if isinstance(value, Path):
        # Not resolve(): a configuration may go through a symbolic link that is moved at deployment.
        return Path(*_without_dots(base / value))
    if isinstance(value, BaseModel):
        return value.model_copy(
            update={name: absolute(getattr(value, name), base) for name in type(value).model_fields}
        )
    if isinstance(value, tuple) and not isinstance(value, Frequency):
        return tuple(absolute(item, base) for item in value)
    if isinstance(value, dict):
        return {key: absolute(item, base) for key, item in value.items()}
    return value


def _without_dots(path: Path) -> list[str]:
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and len(parts) > 1:
            parts.pop()
        else:
            parts.append(part)
    return parts
