"""A person (or group, or contact) as the directory knows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn


@dataclass(frozen=True, slots=True)
class Person:
    """One directory entry. `address` and `aliases` are lower-case keys (`Address.key`)."""

    address: str
    aliases: frozenset[str] = frozenset()
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Names as in the directory (`displayName`, `telephoneNumber`, `department`, …); values are plain text."""
    groups: frozenset[str] = frozenset()
    """Every group the person is in, nested ones included, lower case."""
    manager: str | None = None
    """Address key of the manager."""
    disabled: bool = False
    is_contact: bool = False
    """A directory contact with a foreign address: external."""
    unit: str = ""
    """Organisational unit, outermost first, lower case: `corp.example/berlin/sales`; "" where the source has none."""
    photo: bytes = field(default=b"", repr=False)
    """A PNG or JPEG picture, b"" where there is none."""
    group_name: str = ""
    """The group's name in lower case where the entry is a group with an address, else ""."""


class UnansweredPerson(Person):
    """Stands for an address about which the directory could not be asked just now.

    Whoever needs to know more than the address gets `error` raised, so that what depends on it fails as a failure and
    doesn't pass for somebody unknown.
    """

    __slots__ = ("error",)
    error: Exception

    def __init__(self, address: str, error: Exception) -> None:
        for name, value in (("address", address), ("aliases", frozenset()), ("is_contact", False), ("group_name", "")):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "error", error)

    def _raise(self) -> NoReturn:
        raise self.error

    attributes = property(_raise)
    groups = property(_raise)
    manager = property(_raise)
    disabled = property(_raise)
    unit = property(_raise)
    photo = property(_raise)

    def __repr__(self) -> str:
        return f"UnansweredPerson({self.address!r})"

    __eq__ = object.__eq__
    __hash__ = object.__hash__
