"""The administrator's own filters, compiled once for each configuration."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from mta.config.tracking_schema import FilterRule, Filters, Match
from mta.message.patterns.text_patterns import compile_regex
from mta.tracking.people import Role

Direction = Literal["incoming", "outgoing"]


class Correspondent(NamedTuple):
    """Who wrote to us, or whom we are about to write to."""

    address: str
    """Address key; "" for none."""
    name: str
    subject: str

    def field(self, name: str) -> str:
        if name == "address":
            return self.address
        if name == "local-part":
            return self.address.rpartition("@")[0]
        return self.name if name == "display-name" else self.subject


class CompiledRule(NamedTuple):
    rule: FilterRule
    matches: Callable[[str], bool]


@lru_cache(maxsize=32)
def compiled(filters: Filters) -> Sequence[CompiledRule]:
    """Raises PatternError for a regex that RE2 doesn't take; the check of the configuration finds it before."""
    return tuple(CompiledRule(rule, _matcher(rule.match)) for rule in filters.rules)


def _matcher(match: Match) -> Callable[[str], bool]:
    if match.regex:
        pattern = compile_regex(match.regex)
        return lambda text: pattern.search(text) is not None
    parts = tuple(part.casefold() for part in literal_parts(match))
    return lambda text: any(part in text.casefold() for part in parts)


def literal_parts(match: Match) -> list[str]:
    """The texts of which one has to stand in the field."""
    written = match.any_of.split(",") if match.any_of else [match.contains]
    return [text for part in written if (text := part.strip() if match.any_of else part)]


async def first_match(
    filters: Filters, direction: Direction, who: Correspondent, role: Callable[[], Awaitable[Role]]
) -> str:
    """Name of the first rule that leaves it out; "" for none. `role` is asked for only where it decides."""
    for rule, matches in compiled(filters):
        if rule.direction in (direction, "both") and matches(who.field(rule.field)) and await _is_for(rule, role):
            return rule.name
    return ""


async def _is_for(rule: FilterRule, role: Callable[[], Awaitable[Role]]) -> bool:
    """`both` is whoever it is, unknown people too."""
    if rule.role == "both":
        return True
    found = await role()
    return found.is_technician if rule.role == "technician" else found.is_requestor
