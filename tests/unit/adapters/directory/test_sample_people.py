"""The sample directory that the demonstration and the documentation use."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.adapters.directory import YamlDirectory

PEOPLE = Path(__file__).parents[4] / "conf" / "people.yaml"


@pytest.fixture(scope="module")
def directory() -> YamlDirectory:
    return YamlDirectory.load(PEOPLE)


async def test_it_has_what_a_demonstration_needs(directory: YamlDirectory) -> None:
    keys = ["jane@example.com", "john.roe@example.com", "ole.nordmann@example.com", "former.colleague@example.com"]
    found = await directory.people([*keys, "buyer@customer.example"])
    assert found["john.roe@example.com"].groups == {"sales engineers", "sales", "everyone"}
    assert "telephoneNumber" not in found["john.roe@example.com"].attributes
    assert found["ole.nordmann@example.com"].attributes["c"] == "NO"
    assert found["jane@example.com"].manager == "maria.gruber@example.com"
    assert found["former.colleague@example.com"].disabled
    assert found["buyer@customer.example"].is_contact


def test_attribute_names_are_active_directorys(directory: YamlDirectory) -> None:
    assert {"displayName", "wWWHomePage", "extensionAttribute15"} <= directory.attribute_names()
    assert "displayname" not in directory.attribute_names()
