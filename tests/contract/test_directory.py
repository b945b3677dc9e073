"""What every adapter of the directory port must do. The people are those of `tests.contract.directories`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mta.ports.directory import Directory
from tests.contract.directories import BUILT_IN, PHOTO, csv_directory, ldap_directory, yaml_directory

pytestmark = pytest.mark.timeout(300)  # the first one may have to make a domain


@pytest.fixture(params=["yaml", "csv", pytest.param("ldap", marks=pytest.mark.server)])
async def directory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Directory]:
    if request.param == "ldap":
        opened: Directory = ldap_directory(request.getfixturevalue("samba"))
    else:
        opened = {"yaml": yaml_directory, "csv": csv_directory}[request.param](tmp_path)
    await opened.start()
    yield opened
    await opened.close()


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
    assert found["jane@example.com"].groups - BUILT_IN == {"sales", "company", "ring"}
    assert found["boss@example.com"].groups - BUILT_IN == {"sales", "company", "ring"}
    assert found["chief@example.com"].groups - BUILT_IN == frozenset()


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
    assert group.groups == {"company", "ring"}
    assert (await directory.people(["jane@example.com"]))["jane@example.com"].group_name == ""


async def test_units_and_photos(directory: Directory) -> None:
    found = await directory.people(["jane@example.com", "boss@example.com"])
    assert found["jane@example.com"].unit == "corp.example/staff/sales team"
    assert found["jane@example.com"].photo == PHOTO
    assert found["boss@example.com"].unit == "corp.example/staff"
    assert found["boss@example.com"].photo == b""


async def test_everybody_comes_once_and_as_a_look_up_gives_them(directory: Directory) -> None:
    everybody = [person async for person in directory.everybody()]
    assert sorted(person.address for person in everybody) == [
        "boss@example.com", "buyer@customer.example", "chief@example.com", "gone@example.com",
        "jane.doe@example.com", "sales@example.com",
    ]  # fmt: skip
    found = await directory.people([person.address for person in everybody])
    assert {person.address: person for person in everybody} == found


@pytest.mark.parametrize(
    "key",
    [
        "*", "*@example.com", "jane@example.com)(mail=*", "*)(uid=*", "jane\0@example.com", "jane@example.com\0",
        "\\6aane@example.com", "jané@example.com", "jane@example.com ", "", "x" * 5000 + "@example.com",
        "\u202ejane@example.com", "\ud800@example.com",
    ],
)  # fmt: skip
async def test_no_key_means_more_than_itself(directory: Directory, key: str) -> None:
    found = await directory.people([key, "boss@example.com"])
    assert key not in found
    assert "jane.doe@example.com" not in found
    assert found["boss@example.com"].attributes["displayName"] == "Boss"


async def test_hundreds_of_keys_at_once(directory: Directory) -> None:
    keys = [f"nobody{number}@example.com" for number in range(300)]
    found = await directory.people([*keys, "jane@example.com", *keys])
    assert set(found) == {"jane@example.com", "boss@example.com"}


def test_names_for_checking(directory: Directory) -> None:
    assert directory.group_names() in (None, {"sales", "company", "ring", "customers"})
    attributes = directory.attribute_names()
    assert attributes is None or {"displayName", "department", "mail", "telephoneNumber"} <= attributes
