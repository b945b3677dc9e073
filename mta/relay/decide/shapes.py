"""Shapes that conditions and rules have in common."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from mta.config.rule_shapes import Tests
from mta.config.texts import Text, Texts


class ActiveTimes(Tests):
    """Days and hours by the wall clock of a time zone; all that is given must hold."""

    from_: Annotated[date | None, Field(alias="from")] = None
    until: date | None = None
    """Last day, included."""
    weekdays: Text | None = None
    """`mon-fri`, or `mon,wed,sat-sun`."""
    day: Text | None = None
    """Of the month: `1`, `1-7,15`, `last`."""
    nth_weekday: Texts | None = None
    """Of the month: `first mon`, `last fri`."""
    hours: Text | None = None
    """`08:00-18:00`; past midnight: `22:00-06:00`."""
    timezone: str = "UTC"

    @classmethod
    def ways(cls) -> frozenset[str]:
        return frozenset({"timezone"})
