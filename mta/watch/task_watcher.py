"""Who looks at tasks of tracking: dead letters, and those that wait for too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from mta.model.tracking import TargetLook, TaskKind
from mta.watch.trouble import CantLookError, Trouble, in_words

_WHAT = {
    TaskKind.CALL: ("call", "sink {}", "What it should have been told stays here"),
    TaskKind.NOTICE: ("notice", "outgoing account {}", "Nobody got them"),
    TaskKind.WRITE_BACK: ("write-back", "mailboxes of {}", "Mails in people's mailboxes have no mark"),
}


class TaskWatcher:
    """Tells of each target by itself: what mends one doesn't mend another."""

    kinds = frozenset({"tasks-dead", "tasks-late"})

    def __init__(self, look: Callable[[datetime], Sequence[TargetLook]], *, age: timedelta) -> None:
        """`look` is asked, in a thread, for what waits since a time; it raises where the store can't be read."""
        self._look = look
        self._age = age

    async def look(self, now: datetime) -> Sequence[Trouble]:
        try:
            seen = await asyncio.to_thread(self._look, now - self._age)
        except Exception as exc:  # who watches the queue tells of it
            raise CantLookError(f"the store can't be read: {exc}") from exc
        return [trouble for target in seen for trouble in (*_dead(target), *self._late(target, now))]

    def _late(self, target: TargetLook, now: datetime) -> Iterable[Trouble]:
        if target.late and target.oldest_at is not None:
            noun, place, _ = _words(target)
            yield Trouble(
                _key("tasks-late", target),
                "tasks-late",
                f"{_counted(target.late, noun)} for {place} wait{'s' if target.late == 1 else ''} for longer than "
                f"{in_words(self._age)}",
                f"The oldest has waited for {in_words(now - target.oldest_at)}. They are tried again, and nothing is "
                f"lost. `stampline records tasks {_option(target)}` shows what they wait for.",
            )


def _dead(target: TargetLook) -> Iterable[Trouble]:
    if target.dead:
        noun, place, means = _words(target)
        yield Trouble(
            _key("tasks-dead", target),
            "tasks-dead",
            f"{_counted(target.dead, noun)} for {place} could not be done",
            f"{means}. `stampline records dead {_option(target)}` shows why; once it is mended, `stampline records "
            f"replay {_option(target)}` has them tried again, and `stampline records drop` gives them up.",
        )


def _words(target: TargetLook) -> tuple[str, str, str]:
    noun, place, means = _WHAT[target.at.kind]
    return noun, place.format(target.at.target or target.at.organisation), means


def _key(kind: str, target: TargetLook) -> str:
    return f"{kind}:{target.at.kind.value}:{target.at.organisation}:{target.at.target}"


def _option(target: TargetLook) -> str:
    at = target.at
    return f"--kind {at.kind.value} " + (f"--target {at.target}" if at.target else f"--organisation {at.organisation}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
