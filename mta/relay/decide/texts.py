"""How texts may be written in rule files: one, or several; numbers count as the texts that they look like."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _texts(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_text(item) for item in value]
    return as_list(_text(value))


Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts), Field(min_length=1)]
"""One text, or a list of which any will do."""
