"""Other systems that are told of records, and what a plug-in of the organisation's own looks like.

Plug-ins are named by entry points, in the group `stampline.sinks` for sinks and `stampline.columns` for the columns of
write-backs. An entry point is a function, or a class that is made once with the configured `settings`. They are called
on threads of their own, in their time limit, and may be called again for what they have done already: the process may
have ended before that was noted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

SINKS = "stampline.sinks"
COLUMNS = "stampline.columns"


@dataclass(frozen=True, slots=True)
class SinkCall:
    """One thing that a sink is told; told again under the same key, it has to count once."""

    key: str
    payload: bytes = field(repr=False)
    """A JSON object."""


class RecordSink(Protocol):
    """One sink. Calls for different records may run at a time. Bounded in time."""

    async def call(self, call: SinkCall) -> None:
        """Tell it. Raises TryAgainError, TargetDownError, RefusedTaskError (`mta.ports.task_errors`)."""
        ...

    async def close(self) -> None:
        """End connections and threads."""
        ...


SinkPlugin = Callable[[Mapping[str, Any]], Awaitable[None] | None]
"""`call(event)`: the call's JSON object, with the key as `idempotency_key`. Coroutine functions are run to their end.

Raises Retry or Refuse; anything else that it raises counts as Retry.
"""

ColumnsPlugin = Callable[[Mapping[str, Any]], Mapping[str, str | int | float | bool]]
"""`columns(record)`: names and values of columns, computed from the record (`mta.model.record.Record` as JSON)."""


class Retry(Exception):  # noqa: N818 - said by plug-ins: raise Retry("busy")
    """A plug-in's word: not now. The text is logged, so it holds no content."""

    def __init__(self, text: str = "", *, after: timedelta | None = None) -> None:
        super().__init__(text)
        self.after = after


class Refuse(Exception):  # noqa: N818 - as above
    """A plug-in's word: never; the call becomes a dead letter. The text is logged, so it holds no content."""
