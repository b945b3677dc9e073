"""What rules may name: templates, groups, next hops, attributes. They are checked against it when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class TemplateCatalogue(Protocol):
    """What deciding needs to know of the templates."""

    def names(self) -> frozenset[str]: ...

    def uses_recipient(self, name: str) -> bool:
        """Whether the template speaks of the recipient, so that each recipient gets a copy of their own."""
        ...

    def speaks_of_records(self, name: str) -> bool:
        """Whether only notices of tracking can be made of it."""
        ...

    def has_subject(self, name: str) -> bool:
        """Whether a mail can be written from the template that has a subject of its own."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What rules may name. None means that it isn't known, so that such names aren't checked."""

    templates: TemplateCatalogue | None = None
    groups: frozenset[str] | None = None
    """The directory's groups, lower case."""
    next_hops: frozenset[str] | None = None
    attributes: frozenset[str] | None = None
    """The directory's attribute names."""
    organisation: Mapping[str, str] | None = None
    """The organisation's attributes."""
    dkim_selectors: frozenset[str] | None = None
    """Of the organisation's DKIM keys."""
    modules: tuple[str, ...] | None = None
    """Kinds of records that the organisation tracks; () where it tracks none."""
