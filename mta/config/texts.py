"""How values may be written in rule files: one, or several; numbers count as the texts that they look like."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_AMBIGUOUS = re.compile(r"""[,'"\\]|^\s|\s$|^$""")


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class OrOne:
    """Marks a tuple that may be written as its only item, without the list around it."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_or_one, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        several = handler(schema)
        return {"anyOf": [several["items"], several]}


@dataclass(frozen=True, slots=True)
class ShortFor:
    """Marks a mapping in whose place a text or a list may stand: it is then the value of that key alone."""

    key: str
    shorts: tuple[type, ...] = (str, list)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._lengthened, handler(source))

    def _lengthened(self, value: Any) -> Any:
        return {self.key: value} if isinstance(value, self.shorts) else value

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        written = handler(schema)
        options = written.get("anyOf", [written])
        models = [handler.resolve_ref_schema(option) for option in options]
        short = next(model["properties"][self.key] for model in models if "properties" in model)
        return {"anyOf": [{key: value for key, value in short.items() if key != "default"}, *options]}


def _or_one(value: Any) -> Any:
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | int)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1), OrOne()]
"""One text, or a list of which any will do."""


def listed(texts: Iterable[str]) -> str:
    """Texts for an explanation; in quotes where one has a comma or a quote, so that no two lists look the same."""
    return ", ".join(repr(text) if _AMBIGUOUS.search(text) else text for text in texts)
