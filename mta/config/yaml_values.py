"""YAML text in; plain values, and the place of each, out. A strict and bounded reading of YAML.

Scalars are read as YAML 1.2's core schema does, less floats: `true`/`false`, `null`/`~`/nothing, and whole numbers in
their plain decimal form; every other plain scalar is text. So a country `NO`, a time `08:00`, a telephone number
`+4930123` and a postal code `01234` stay what was written, and `yes`/`on` are text (a switch takes them all the same).
Refused: tags, several documents, repeated keys, keys that aren't text, and aliases that would blow up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mta.config.problems import ConfigurationError, Problem

FILE_OCTETS_MAX = 20_000_000
DEPTH_MAX = 50
ALIASED_VALUES_MAX = 10_000

Loc = tuple[str | int, ...]
Place = tuple[int, int]

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_CONSTANTS: dict[str, bool | None] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}  # fmt: skip
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Document:
    """A YAML file's value; `values` and `keys` hold line and column (from 1) of each value and of each mapping key."""

    file: Path
    value: Any = None
    values: dict[Loc, Place] = field(default_factory=dict)
    keys: dict[Loc, Place] = field(default_factory=dict)

    def place(self, loc: Loc, *, key: bool = False) -> Place:
        """Line and column of a value (or of its key), or of the nearest thing around it that stands in the file.

        Elements of `loc` that the file doesn't have (a union's tag) are passed over.
        """
        known: Loc = ()
        for item in loc:
            longer = (*known, item)
            if longer in self.values:
                known = longer
        if key and known in self.keys and known[-1:] == loc[-1:]:
            return self.keys[known]
        return self.values.get(known, (1, 1))

    def problem(self, loc: Loc, what: str, mend: str = "", *, key: bool = False) -> Problem:
        """A problem with the value (or the key) at `loc`."""
        return Problem(self.file, *self.place(loc, key=key), what, mend)


class _Refused(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, mark: Any, what: str, mend: str = "") -> None:
        super().__init__(what)
        self.place = (mark.line + 1, mark.column + 1)
        self.what = what
        self.mend = mend


def read_document(path: Path) -> Document:
    """Read one YAML file. Raises ConfigurationError if it can't be read or is not such YAML as we take."""
    try:
        raw = path.read_bytes()
    except OSError as exc:
        mend = "create it, or correct the path" if isinstance(exc, FileNotFoundError) else "let the service read it"
        raise ConfigurationError([Problem(path, 0, 0, f"cannot read: {exc.strerror}", mend)]) from exc
    return parse_document(path, raw)


def parse_document(path: Path, raw: bytes) -> Document:
    """The same for bytes at hand; `path` names them in problems."""
    if len(raw) > FILE_OCTETS_MAX:
        raise ConfigurationError([Problem(path, 0, 0, f"larger than {FILE_OCTETS_MAX // 1_000_000} MB", "split it")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        column = exc.start - raw.rfind(b"\n", 0, exc.start)
        raise ConfigurationError([Problem(path, line, column, "not UTF-8", "save the file as UTF-8")]) from exc
    document = Document(path)
    try:
        _Builder(document, yaml.parse(text, Loader=_LOADER)).build()
    except _Refused as exc:
        raise ConfigurationError([Problem(path, *exc.place, exc.what, exc.mend)]) from exc
    except yaml.MarkedYAMLError as exc:
        raise ConfigurationError([_syntax_problem(path, exc)]) from exc
    except yaml.reader.ReaderError as exc:
        before = text[: exc.position]
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise ConfigurationError([Problem(path, *place, "a control character", "remove it")]) from exc
    return document


def _syntax_problem(path: Path, exc: yaml.MarkedYAMLError) -> Problem:
    mark: Any = exc.problem_mark or exc.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    what = "; ".join(part for part in (exc.context, exc.problem) if part)
    return Problem(path, line, column, f"not YAML: {what}", "check indentation, quotes and colons here")


class _Builder:
    """Builds values from parser events: no recursion, so that no nesting can exhaust the stack."""

    def __init__(self, document: Document, events: Iterator[Any]) -> None:
        self._document = document
        self._events = events
        self._anchors: dict[str, _Anchored | None] = {}
        self._count = 0
        self._aliased = 0
        self._stack: list[_Open] = []

    def build(self) -> None:
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Refused(event.start_mark, "more than one YAML document", "remove the line '---'")
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)

    def _node(self, event: Any) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and top.awaits_key:
            self._key(top, event)
            return
        loc = (*top.loc, top.next_item()) if top is not None else ()
        self._document.values[loc] = (event.start_mark.line + 1, event.start_mark.column + 1)
        self._count += 1
        if isinstance(event, yaml.AliasEvent):
            self._put(self._alias(event))
            return
        if event.tag is not None:
            raise _Refused(event.start_mark, f"tag {event.tag!r} is not taken here", "write the plain value")
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
            if event.anchor:
                self._anchors[event.anchor] = _Anchored(value, 1, 0)
            self._put(value)
            return
        if len(self._stack) >= DEPTH_MAX:
            raise _Refused(event.start_mark, f"nested deeper than {DEPTH_MAX} levels", "nest less")
        new: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(loc, new, event.anchor, self._count))

    def _key(self, top: _Open, event: Any) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            raise _Refused(event.start_mark, "a key must be text", "put it in quotes")
        # Whatever it looks like, a key is text: `404: …`, `no: …`.
        key: str = event.value
        mark: Any = event.start_mark
        loc = (*top.loc, key)
        if key in top.value:
            first = self._document.keys[loc][0]
            raise _Refused(mark, f"key {key!r} stands here twice (first in line {first})", "keep one")
        self._document.keys[loc] = (mark.line + 1, mark.column + 1)
        top.value[key] = None
        top.key = key

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            raise _Refused(event.start_mark, f"alias *{event.anchor} has no anchor above it", f"define &{event.anchor}")
        known = self._anchors[event.anchor]
        if known is None:
            raise _Refused(event.start_mark, f"alias *{event.anchor} stands inside itself", "write the value out")
        self._aliased += known.size
        self._count += known.size
        if self._aliased > ALIASED_VALUES_MAX:
            raise _Refused(event.start_mark, "aliases repeat too many values", "write them out")
        if len(self._stack) + known.height > DEPTH_MAX:
            raise _Refused(event.start_mark, f"nested deeper than {DEPTH_MAX} levels", "nest less")
        self._stack[-1].height = max(self._stack[-1].height, known.height + 1)
        return known.value

    def _close(self) -> None:
        done = self._stack.pop()
        if done.anchor:
            self._anchors[done.anchor] = _Anchored(done.value, self._count - done.count_before + 1, done.height)
        if self._stack:
            self._stack[-1].height = max(self._stack[-1].height, done.height + 1)
        self._put(done.value)

    def _put(self, value: Any) -> None:
        if not self._stack:
            self._document.value = value
        else:
            self._stack[-1].add(value)


@dataclass(frozen=True, slots=True)
class _Anchored:
    """A value with an anchor: how many values it holds, and how many levels."""

    value: Any
    size: int
    height: int


@dataclass(slots=True)
class _Open:
    """A mapping or sequence whose end hasn't come yet; `key` is the mapping key that waits for its value."""

    loc: Loc
    value: Any
    anchor: str | None
    count_before: int
    key: str | None = None
    height: int = 1

    @property
    def awaits_key(self) -> bool:
        return self.key is None and isinstance(self.value, dict)

    def next_item(self) -> str | int:
        return self.key if self.key is not None else len(self.value)

    def add(self, value: Any) -> None:
        if self.key is None:
            self.value.append(value)
        else:
            self.value[self.key] = value
            self.key = None


def _scalar(event: Any) -> Any:
    """A scalar's value; quoted and block scalars are always text."""
    text: str = event.value
    if event.style not in (None, ""):
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return int(text) if _INTEGER.match(text) else text
