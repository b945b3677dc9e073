"""A trap in the regexes of Python 3.11.0 to 3.11.4, which Debian 12 has: possessive groups match wrongly there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mta

POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{\{?[0-9,]*\}?\})\+")
SOURCES = sorted(Path(mta.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(SOURCES[0].parent)))
def test_no_group_is_repeated_possessively(path: Path) -> None:
    found = [line for line in path.read_text().splitlines() if POSSESSIVE_GROUP.search(line)]
    assert found == [], "write (?>(?:...)*) for (?:...)*+"


def test_the_trap_is_recognised() -> None:
    assert POSSESSIVE_GROUP.search(r"(?:-(?!-)[^-]*+)*+")
    assert not POSSESSIVE_GROUP.search(r"(?>(?:-(?!-)[^-]*+)*)")
