"""What every adapter of the directory port must do. Add an adapter to `DIRECTORIES`, filled with the same people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mta.adapters.directory import YamlDirectory
from mta.ports.directory import Directory

PEOPLE = """
people:
  - address: Jane.Doe@Example.com
    aliases: [jane@example.com]
    manager: boss@example.com
    attributes: {displayName: Jane Döe, department: Sales, postalCode: 01234}
  - address: boss@example.com
    manager: chief@example.com
    attributes: {displayName: Boss}
  - address: chief@example.com
    attributes: {displayName: Chief}
  - {address: gone@example.com, disabled: true}
contacts:
  - address: buyer@customer.example
    attributes: {displayName: Buyer}
groups:
  - {name: Sales, address: sales@example.com, aliases: [verkauf@example.com], members: [jane@example.com],
     groups: [Ring]}
  - {name: Company, groups: [Sales]}
  - {name: Ring, members: [boss@example.com], groups: [Company]}
  - {name: Customers, members: [buyer@customer.example]}
"""


def yaml_directory(folder: Path) -> Directory:
    path = folder / "people.yaml"
    path.write_text(PEOPLE, encoding="utf-8")
    return YamlDirectory.load(path)


DIRECTORIES: dict[str, Callable[[Path], Directory]] = {"yaml": yaml_directory}


@pytest.fixture(params=DIRECTORIES.values(), ids=list(DIRECTORIES))
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Directory:
    made: Directory = request.param(tmp_path)
    return made


async def test_people_are_found_by_primary_address_and_alias(directory: Directory) -> None:
    found = await directory.people(["jane.doe@example.com", "jane@example.com"])
    assert found["jane.doe@example.com"] == found["jane@example.com"]
    jane = found["jane@example.com"]
    assert jane.address == "jane.doe@example.com"
    assert "jane@example.com" in jane.aliases
    assert jane.attributes["displayName"] == "Jane Döe"
    assert jane.attributes["postalCode"] == "01234"
    assert jane.attributes["mail"] == "jane.doe@example.com"


async def test_unknown_keys_are_left_out(directory: Directory) -> None:
    assert await directory.people(["nobody@example.com"]) == {}
    assert await directory.people([]) == {}


async def test_managers_of_those_found_come_with_them_but_not_theirs(directory: Directory) -> None:
    found = await directory.people(["jane@example.com"])
    assert set(found) == {"jane@example.com", "boss@example.com"}
    assert found["jane@example.com"].manager == "boss@example.com"


async def test_groups_are_closed_over_nesting_and_circles(directory: Directory) -> None:
    found = await directory.people(["jane@example.com", "boss@example.com", "chief@example.com"])
    assert found["jane@example.com"].groups == {"sales", "company", "ring"}
    assert found["boss@example.com"].groups == {"sales", "company", "ring"}
    assert found["chief@example.com"].groups == frozenset()


async def test_contacts_and_disabled_accounts_are_known_as_such(directory: Directory) -> None:
    found = await directory.people(["buyer@customer.example", "gone@example.com", "jane@example.com"])
    assert found["buyer@customer.example"].is_contact
    assert found["buyer@customer.example"].groups == {"customers"}
    assert found["gone@example.com"].disabled
    assert not found["jane@example.com"].is_contact
    assert not found["jane@example.com"].disabled


async def test_a_group_with_an_address_is_an_entry_itself(directory: Directory) -> None:
    found = await directory.people(["verkauf@example.com"])
    group = found["verkauf@example.com"]
    assert group.group_name == "sales"
    assert group.address == "sales@example.com"
    assert "company" in group.groups
    assert (await directory.people(["jane@example.com"]))["jane@example.com"].group_name == ""


def test_names_for_checking(directory: Directory) -> None:
    assert directory.group_names() in (None, {"sales", "company", "ring", "customers"})
    attributes = directory.attribute_names()
    assert attributes is None or {"displayName", "department", "mail", "telephoneNumber"} <= attributes
