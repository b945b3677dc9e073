"""The copies of a job: which of them are to stand in Sent Items, and their bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, ParamSpec, TypeVar

from mta.message.edit import Edit, joined
from mta.message.parse import LimitExceededError, Message, parse
from mta.model.sentitem import JobCopy
from mta.sentitems.reasons import BYTES_LOST, UNREADABLE

P = ParamSpec("P")
T = TypeVar("T")

IN_A_THREAD_FROM = 128_000
"""Octets: work on larger messages is done in a thread, so that other mailboxes' attempts go on."""
Policy = Literal["external", "first", "last", "all"]


class UnusableCopyError(Exception):
    """A copy's bytes can't be worked with; `reason` is the job's."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Content:
    """One copy as it came to us, and as it went out."""

    copy: JobCopy
    received: Message
    sent: Message


def wanted(copies: Iterable[JobCopy], policy: Policy) -> tuple[JobCopy, ...]:
    """Those that are to stand in Sent Items, in the order in which they were sent."""
    ordered = sorted(copies, key=lambda copy: (copy.sent_at, copy.key))
    if policy == "all" or not ordered:
        return tuple(ordered)
    if policy == "last":
        return (ordered[-1],)
    if policy == "external":
        return (next((copy for copy in ordered if copy.external), ordered[0]),)
    return (ordered[0],)


def has_bytes(copy: JobCopy) -> bool:
    """False for one that was put into the mailbox earlier: its bytes were let go."""
    return copy.body.size_octets > 0


def size_octets(copy: JobCopy) -> int:
    """About as large as it went out."""
    return copy.body.size_octets + sum(len(edit[2]) for edit in copy.variant.edits)


def content_of(copy: JobCopy) -> Content:
    """Read and parse it. Raises UnusableCopyError."""
    received = _received(copy)
    sent = joined(received, [Edit(*edit) for edit in copy.variant.edits])
    try:
        return Content(copy, parse(received), parse(sent))
    except LimitExceededError as exc:
        raise UnusableCopyError(UNREADABLE, str(exc)) from exc


def _received(copy: JobCopy) -> bytes:
    body = copy.body
    if body.data is not None:
        return body.data
    assert body.path is not None
    try:
        data = body.path.read_bytes()
    except OSError as exc:
        raise UnusableCopyError(BYTES_LOST, f"{body.path.name}: {exc.strerror}") from exc
    if len(data) != body.size_octets:
        raise UnusableCopyError(BYTES_LOST, f"{body.path.name} has {len(data)} octets, not {body.size_octets}")
    return data


async def off_the_loop(octets: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work on so many octets: at once, or in a thread where they are many."""
    if octets < IN_A_THREAD_FROM:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
