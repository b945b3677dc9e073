"""Each bad file fails for the expected reason, and for no other.

`# !! TEXT` at the end of a line says that a problem with that text is expected there; several may follow each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mta.adapters.directory import YamlDirectory
from mta.config.load import load_configuration
from mta.config.problems import ConfigurationError
from mta.relay.decide.rules import compile_rules
from tests.unit.relay.decide.situation import SURROUNDINGS

HERE = Path(__file__).parent
LOADERS: dict[str, Callable[[Path], object]] = {
    "configuration": load_configuration,
    "rules": lambda path: compile_rules([path], SURROUNDINGS),
    "people": YamlDirectory.load,
}
CASES = sorted(path for folder in LOADERS for path in (HERE / folder).glob("*.yaml"))


def expected(path: Path) -> list[tuple[int, str]]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        _, *texts = re.split(r" !! ", line)
        found += [(number, text.strip()) for text in texts]
    return found


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_fails_for_the_expected_reasons(path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        LOADERS[path.parent.name](path)
    problems = list(caught.value.problems)
    for line, text in expected(path):
        fitting = [p for p in problems if text in str(p) and p.line == line]
        assert fitting, f"line {line}: {text}\namong:\n{caught.value}"
        problems.remove(fitting[0])
    assert not problems, "not expected:\n" + "\n".join(map(str, problems))
    assert expected(path), "the file expects nothing"
    assert all(problem.column >= 1 for problem in caught.value.problems)


def test_a_secret_written_into_the_file_is_not_shown_again() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(HERE / "configuration" / "inline-secret.yaml")
    assert "verysecret" not in str(caught.value)
