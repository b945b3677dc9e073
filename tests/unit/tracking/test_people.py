"""Who is known, and which addresses are one person's."""

from __future__ import annotations

from typing import Any

import pytest

from mta.model.address import without_tag
from mta.model.person import Person
from mta.tracking.people import KnownPeople, Role
from tests.unit.tracking.scene import MemoryDirectory, desk_settings

ANNA = Person("anna@example.com", frozenset({"a.smith@example.com"}), groups=frozenset({"sales", "everybody"}))
SALES = Person("sales@example.com", group_name="sales")


def people(**settings: Any) -> KnownPeople:
    return KnownPeople(MemoryDirectory((ANNA, SALES)), desk_settings(**settings))


@pytest.mark.parametrize(
    ("address", "settings", "role"),
    [
        ("anna@example.com", {}, Role.REQUESTOR),
        ("a.smith@example.com", {}, Role.REQUESTOR),
        ("x@y.example", {}, Role.UNKNOWN),
        ("", {}, Role.UNKNOWN),
        ("x@y.example", {"requestors": {"addresses": ["*@y.example"]}}, Role.REQUESTOR),
        ("x@y.example", {"technicians": {"addresses": ["X@Y.example"]}}, Role.TECHNICIAN),
        ("x+tag@y.example", {"technicians": {"addresses": ["x@y.example"]}}, Role.TECHNICIAN),
        ("a.smith@example.com", {"technicians": {"addresses": ["anna@example.com"]}}, Role.BOTH),
        ("anna@example.com", {"technicians": {"groups": ["Sales"]}}, Role.BOTH),
        ("anna@example.com", {"technicians": {"groups": ["other"]}}, Role.REQUESTOR),
    ],
)
async def test_roles(address: str, settings: dict[str, Any], role: Role) -> None:
    assert await people(**settings).role(address) is role


@pytest.mark.parametrize(
    ("address", "others", "is_one"),
    [
        ("anna@example.com", {"anna@example.com"}, True),
        ("anna+x@example.com", {"anna@example.com"}, True),
        ("anna@example.com", {"anna+x@example.com"}, True),
        ("a.smith@example.com", {"anna@example.com"}, True),
        ("anna@example.com", {"a.smith@example.com"}, True),
        ("anna@example.com", {"sales@example.com"}, True),
        ("x@y.example", {"sales@example.com"}, False),
        ("x@y.example", {"anna@example.com"}, False),
        ("anna@example.com", set(), False),
        ("", {""}, False),
        ("+x@example.com", {"+y@example.com"}, False),
    ],
)
async def test_one_person(address: str, others: set[str], is_one: bool) -> None:
    assert await people().is_one_of(address, others) is is_one


@pytest.mark.parametrize(
    ("address", "base"),
    [("a+b@c.d", "a@c.d"), ("a+b+c@d.e", "a@d.e"), ("a@b.c", "a@b.c"), ("+a@b.c", "+a@b.c"), ("", ""), ("a+b", "a+b")],
)
def test_tags(address: str, base: str) -> None:
    assert without_tag(address) == base


@pytest.mark.parametrize(
    ("address", "audience", "person", "is_marked"),
    [
        ("anna@example.com", {"groups": ["Sales"]}, ANNA, True),
        ("anna@example.com", {"groups": ["support"]}, ANNA, False),
        ("anna@example.com", {"addresses": ["A.Smith@*"]}, ANNA, True),
        ("anna+shop@example.com", {"addresses": ["anna@example.com"]}, None, True),
        ("bob@example.com", {"addresses": ["anna@example.com"]}, None, False),
        ("carl@other.example", {"addresses": ["*"]}, Person("carl@other.example", is_contact=True), False),
    ],
)
def test_whose_copies_are_marked(
    address: str, audience: dict[str, Any], person: Person | None, is_marked: bool
) -> None:
    assert people(write_back={"audience": audience}).gets_marks(address, person) is is_marked


def test_without_write_back_nobody_s_copies_are_marked() -> None:
    assert not people().gets_marks("anna@example.com", ANNA)
