"""One line of a log file, in either format, as its fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

Value = str | int | float | bool
_PAIR = re.compile(r'([a-z0-9_]+)=("(?>(?:[^"\\]|\\.)*)"|[^\s"]*)(?:\s+|\Z)')


@dataclass(frozen=True, slots=True)
class LogLine:
    """One event."""

    at: datetime
    level: str
    action: str
    fields: Mapping[str, Value]
    """All others; empty ones are not in the log."""

    @property
    def queue_id(self) -> str:
        return self.text("queue_id")

    def text(self, name: str) -> str:
        """A field as text, "" where it is not there."""
        return str(self.fields.get(name, ""))

    def items(self, name: str) -> tuple[str, ...]:
        """A field that holds a list."""
        text = self.text(name)
        return tuple(text.split(",")) if text else ()


def read_line(line: bytes) -> LogLine:
    """Raises ValueError for what is no line of ours."""
    text = line.decode("utf-8", "replace").strip()
    fields = _from_json(text) if text.startswith("{") else _from_logfmt(text)
    try:
        at = datetime.fromisoformat(str(fields.pop("time")))
        level, action = str(fields.pop("level")), str(fields.pop("action"))
    except KeyError as exc:
        raise ValueError("a line without time, level or action") from exc
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return LogLine(at, level, action, fields)


def _from_json(text: str) -> dict[str, Value]:
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")
    return {str(key): value for key, value in values.items() if isinstance(value, str | int | float | bool)}


def _from_logfmt(text: str) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    position = 0
    while position < len(text):
        match = _PAIR.match(text, position)
        if match is None:
            raise ValueError("not logfmt")
        name, value = match.groups()
        fields[name] = json.loads(value) if value.startswith('"') else value
        position = match.end()
    return fields
