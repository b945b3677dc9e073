"""A person (or group, or contact) as the directory knows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
