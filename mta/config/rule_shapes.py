"""Shapes that conditions of rules have in common."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from mta.config.types import Strict


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
