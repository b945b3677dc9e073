"""What a template can see of people, the message and the organisation: names and one-line texts, nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from jinja2 import TemplateRuntimeError

_LINE_ENDS = re.compile(r"\s*(?:\r\n|[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029])\s*")
KEY = re.compile(r"(?:sender|recipient|manager|organisation|message)\.\w[\w-]*\Z")
"""How settings write a value's name."""
VALUE_MAX = 1_000
"""Characters of a value; what is longer is cut, with an ellipsis."""
_CONTROLS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)


class MissingValueError(TemplateRuntimeError):
    """A template needs a value that the directory doesn't have."""


def one_line(value: str) -> str:
    """The value as it may stand in a line: line ends become `, `, control and direction characters vanish."""
    if len(value) > VALUE_MAX:
        value = f"{value[: VALUE_MAX - 1]}…"
    if value.isprintable():
        return value
    lines = (_CONTROLS.sub("", line.replace("\t", " ")).strip() for line in _LINE_ENDS.split(value))
    return ", ".join(line for line in lines if line)


@dataclass(frozen=True, slots=True)
class Missing:
    """What a template does about values that are missing or empty. Keys are written `sender.title`."""

    defaults: Mapping[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    all_required: bool = False

    def value(self, key: str) -> str:
        """The text to print instead. Raises MissingValueError where there has to be a value."""
        default = self.defaults.get(key)
        if default is not None:
            return default
        if self.all_required or key in self.required:
            raise MissingValueError(f"{key} has no value")
        return ""


class Values:
    """One name of a template's context, e.g. `sender`. Each attribute is one line of text, "" where there is none; but
    for those in `inner`: lists of lines, and names of their own."""

    __slots__ = ("inner", "known", "look_up", "missing", "name", "photo", "seen")

    def __init__(
        self,
        name: str,
        look_up: Callable[[str], str],
        missing: Missing,
        known: Callable[[], bool] = lambda: True,
        photo: Callable[[], bytes] = lambda: b"",
        inner: Mapping[str, Values | list[str] | list[Values]] = MappingProxyType({}),
    ) -> None:
        self.name = name
        self.look_up = look_up
        self.missing = missing
        self.known = known
        """Whether there is anything behind the name: a directory entry, a banner whose turn it is."""
        self.photo = photo
        self.inner = inner
        self.seen: dict[str, str] = {}

    def get_value(self, attribute: str) -> str:
        """The value of one attribute. Raises MissingValueError."""
        value = self.seen.get(attribute)
        if value is None:
            value = one_line(self.look_up(attribute))
            if not value or value.isspace():
                value = self.missing.value(f"{self.name}.{attribute}")
            self.seen[attribute] = value
        return value

    def peek(self, attribute: str) -> str:
        """The value or its default, "" where there is neither."""
        value = one_line(self.look_up(attribute))
        return value if value and not value.isspace() else self.missing.defaults.get(f"{self.name}.{attribute}", "")

    def __bool__(self) -> bool:
        return self.known()

    def __str__(self) -> str:
        raise TemplateRuntimeError(f"{self.name} can't be printed: print one of its attributes")


def values_of(name: str, given: Mapping[str, Any], missing: Missing) -> Values:
    """Of a text for each attribute; of lists of texts or of mappings, and of mappings, which hold texts only."""
    lines = {key: value for key, value in given.items() if isinstance(value, str)}
    inner: dict[str, Values | list[str] | list[Values]] = {}
    for key, value in given.items():
        if isinstance(value, Mapping):
            inner[key] = values_of(key, value, missing)
        elif not isinstance(value, str):
            inner[key] = _rows(key, value, missing)
    return Values(name, lambda attribute: lines.get(attribute, ""), missing, lambda: bool(given), inner=inner)


def _rows(name: str, given: Sequence[Any], missing: Missing) -> list[str] | list[Values]:
    rows = [each for each in given if isinstance(each, Mapping)]
    return [values_of(name, each, missing) for each in rows] if rows else [one_line(str(each)) for each in given]
