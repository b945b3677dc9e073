"""One of several, as messages, senders or days go by: the same for every attempt and every copy of a message."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateRuntimeError, pass_context
from jinja2.runtime import Context

from mta.relay.stamp.templates.rendering import Rendering, rendering_of

WAYS = ("message", "sender", "day", "week", "month")


@pass_context
def choose(context: Context, items: Any, by: str = "message") -> Any:
    """An item of a list; lists of one length choose the same place, so a picture and its text stay together."""
    if not isinstance(items, (list, tuple)):
        raise TemplateRuntimeError("choose: made of a list")
    return items[place(rendering_of(context), len(items), by)] if items else ""


def place(rendering: Rendering, count: int, by: str) -> int:
    """Which of `count`: by message and sender as if by chance, by day, week and month one after the other."""
    if by == "message":
        rendering.is_of_message = True
        return _spread(rendering.key, count)
    if by == "sender":
        return _spread(rendering.sender, count)
    today = rendering.today()
    if by == "day":
        return today.toordinal() % count
    if by == "week":
        return (today.toordinal() - today.weekday()) // 7 % count
    if by == "month":
        return (today.year * 12 + today.month) % count
    raise TemplateRuntimeError(f"choose: by {by!r} is none of {', '.join(WAYS)}")


def weighted(rendering: Rendering, weights: Sequence[int], by: str) -> int:
    """The same, each as often as its weight says."""
    at = place(rendering, sum(weights), by)
    for index, weight in enumerate(weights):
        at -= weight
        if at < 0:
            return index
    raise ValueError("weights are positive")


def _spread(seed: str, count: int) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode("utf-8", "replace")).digest()[:8], "big") % count
