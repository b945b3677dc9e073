"""Shapes that conditions and rules have in common."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from mta.config.types import Strict
from mta.relay.decide.texts import Text, Texts


class Tests(Strict):
    """A set of tests that must all hold; one without a test would say nothing, so it is refused."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set - self.ways():
            keys = [field.alias or name for name, field in type(self).model_fields.items() if name not in self.ways()]
            raise ValueError(f"says nothing | write one or more of {', '.join(keys)}")
        return self

    @classmethod
    def ways(cls) -> frozenset[str]:
        """Fields that are no tests but say how the others are meant."""
        return frozenset()


class CountTests(Tests):
    over: Annotated[int, Field(ge=0)] | None = None
    under: Annotated[int, Field(ge=1)] | None = None


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
