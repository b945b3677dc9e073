"""The kinds of value that configuration files share: durations, sizes, secrets, and the strict base model."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from mta.config.attribute_docs import attribute_docs

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Network = IPv4Network | IPv6Network

_DURATION = re.compile(r"(\d+)\s*(s|m|h|d)\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"(\d+)\s*(B|kB|MB|GB)\Z")
_OCTETS = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}


class Strict(BaseModel):
    """Base of everything that users write: unknown keys are errors, values don't change."""

    # Built when first used, which most are as a part of the whole only: each by itself would double a process's start.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """With the texts below the attributes as descriptions of their keys."""
        schema = handler(core_schema)
        keys = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in attribute_docs(cls).items():
            key = keys.get(cls.model_fields[name].alias or name) if name in cls.model_fields else None
            if key is not None:
                key.setdefault("description", text)
        return schema


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a duration as a whole number and a unit: 30s, 5m, 4h or 2d")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def _size(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a size as a whole number and a unit: 500B, 64kB, 35MB or 1GB")
    return int(match[1]) * _OCTETS[match[2]]


def _written(value: timedelta) -> str:
    """The largest unit that gives a whole number."""
    seconds = round(value.total_seconds())
    unit, length = next(item for item in reversed(_SECONDS.items()) if seconds % item[1] == 0)
    return f"{seconds // length}{unit}"


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(_written, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^\d+\s*(s|m|h|d)$"}),
]
"""Written `30s`, `5m`, `4h`, `2d`."""
Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\d+\s*(B|kB|MB|GB)$"}]}),
]
"""Octets, written `64kB`, `35MB`."""


class Frequency(NamedTuple):
    """So many in any such period."""

    most: int
    period: timedelta


def _rate(value: Any) -> Any:
    if isinstance(value, Frequency):
        return value
    count, _, period = value.partition("/") if isinstance(value, str) else ("", "", "")
    period = period.strip()
    if not count.strip().isdecimal() or not int(count) or not period:
        raise ValueError("write a rate as a number and a period: 10/s, 100/1m, 5000/h or 20000/1d")
    return Frequency(int(count), _duration(period if period[0].isdigit() else f"1{period}"))


def written_rate(rate: Frequency) -> str:
    """As it stands in a configuration."""
    return f"{rate.most}/{_written(rate.period)}"


Rate = Annotated[
    Frequency,
    BeforeValidator(_rate),
    PlainSerializer(written_rate, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^\s*\d+\s*/\s*\d*\s*(s|m|h|d)$"}),
]
"""Written `100/1m`, `10/s`."""


class Secret(Strict):
    """A secret that stands outside the configuration: in an environment variable or in a file."""

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("a secret is {env: NAME} or {file: PATH}, exactly one of them")
        return self

    def read(self) -> bytes:
        """The secret, without a trailing line end. Raises OSError or KeyError if it is not there."""
        if self.file is not None:
            return self.file.read_bytes().rstrip(b"\r\n")
        return os.environ[str(self.env)].encode()
