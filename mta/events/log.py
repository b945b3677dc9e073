"""How an event becomes a line, and where lines go: `configure` once at the start, `emit` for each event.

Sinks: one file per component and day, journald, syslog, standard error. A sink that fails (full disk) loses lines,
never mail: `write` swallows OSError and counts it. No field ever holds a body, a subject, an attribute value or a
secret.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol

Value = str | int | float | bool | None
Level = Literal["debug", "info", "warning", "error"]
_LEVELS: dict[str, int] = {"debug": 0, "info": 1, "warning": 2, "error": 3}
# White space, what has a meaning in logfmt, control characters, and marks that turn the direction of writing.
_NEEDS_QUOTES = re.compile(r'[\s"=\\\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]').search
# What JSON itself lets stand but a terminal does not.
_NEEDS_ESCAPES = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]").search
_to_json = json.JSONEncoder(ensure_ascii=False).encode
_to_ascii_json = json.JSONEncoder().encode


class Sink(Protocol):
    def write(self, level: Level, action: str, line: str, day: str) -> None:
        """Take one finished line (no line end). Must not raise OSError. `day` is YYYY-MM-DD, local."""
        ...


class _Log:
    """Where this process's events go; set once at start by `configure`."""

    sinks: tuple[Sink, ...] = ()
    as_json = False
    threshold = 1


_sinks_here: ContextVar[tuple[Sink, ...]] = ContextVar("sinks_here", default=())
"""Where the events of this task go instead."""


@contextmanager
def logged_to(sinks: Iterable[Sink]) -> Iterator[None]:
    """What this task, and those that it begins, log meanwhile goes to these sinks instead; to none: as ever."""
    token = _sinks_here.set(tuple(sinks))
    try:
        yield
    finally:
        _sinks_here.reset(token)


def configure(sinks: Iterable[Sink], *, as_json: bool = False, level: Level = "info") -> None:
    """Send all later events of this process to `sinks`."""
    _Log.sinks = tuple(sinks)
    _Log.as_json = as_json
    _Log.threshold = _LEVELS[level]


class _Clock:
    """The local time as text, worked out once a second."""

    current: tuple[int, str, str, str] = (-1, "", "", "")
    """Second since 1970, its ISO 8601 text without and its zone, its day; replaced whole, for threads share it."""


def _now() -> tuple[str, str]:
    """Time with milliseconds and zone, and the day, both local."""
    now = time.time()
    second, start, zone, day = _Clock.current
    if second != int(now):
        local = time.localtime(now)
        start, day = time.strftime("%Y-%m-%dT%H:%M:%S", local), time.strftime("%Y-%m-%d", local)
        zone = time.strftime("%z", local)
        zone = f"{zone[:3]}:{zone[3:]}"
        second = int(now)
        _Clock.current = (second, start, zone, day)
    return f"{start}.{int((now - second) * 1000):03d}{zone}", day


def format_logfmt(fields: Mapping[str, Value]) -> str:
    """`key=value` pairs; values with spaces, quotes or control characters are quoted as in JSON."""
    parts = []
    for key, value in fields.items():
        if isinstance(value, str):
            if value:
                parts.append(f"{key}={_to_ascii_json(value)}" if _NEEDS_QUOTES(value) else f"{key}={value}")
        elif isinstance(value, bool):
            parts.append(f"{key}=true" if value else f"{key}=false")
        elif value is not None:
            parts.append(f"{key}={value}")
    return " ".join(parts)


def format_json(fields: Mapping[str, Value]) -> str:
    """One JSON object; empty values are left out."""
    kept = {key: value for key, value in fields.items() if value is not None and value != ""}
    line = _to_json(kept)
    if not line.isascii() and _NEEDS_ESCAPES(line):
        line = _to_ascii_json(kept)
    return line.replace("\x7f", "\\u007f")  # a control character that JSON leaves alone


def format_event(level: Level, action: str, fields: Mapping[str, Value], *, as_json: bool) -> tuple[str, str]:
    """The finished line and its day; for `emit`, and for sinks that have something to say of themselves."""
    now, day = _now()
    if as_json:
        return format_json({"time": now, "level": level, "action": action, **fields}), day
    return f"time={now} level={level} action={action} {format_logfmt(fields)}".rstrip(), day


def emit(level: Level, action: str, **fields: Value) -> None:
    """Write one event to all sinks. Only the functions below (and their like) call this."""
    sinks = _sinks_here.get() or _Log.sinks
    if not sinks or _LEVELS[level] < _Log.threshold:
        return
    line, day = format_event(level, action, fields, as_json=_Log.as_json)
    for sink in sinks:
        sink.write(level, action, line, day)


def listed(values: Iterable[object]) -> str:
    return ",".join(str(value) for value in values)
