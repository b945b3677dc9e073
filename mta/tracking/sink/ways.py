"""How each kind of task is carried out: calls by sinks, notices by accounts, write-backs by who writes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from mta.config.tracking_schema import OutgoingAccount, Sink, TrackingSettings
from mta.model import task_reasons as reasons
from mta.model.tracking import NewTask, Task, TaskKind
from mta.ports.clock import Clock
from mta.ports.outgoing import MailAccount, OutgoingMail
from mta.ports.record_sink import RecordSink, SinkCall
from mta.ports.task_errors import RefusedTaskError, TargetDownError
from mta.tracking.sink.sender import require_allowed, sender_of
from mta.tracking.sink.target import Done

OpenSink = Callable[[Sink], RecordSink]
OpenAccount = Callable[[OutgoingAccount], MailAccount]
"""Both ask nobody, and raise OSError or KeyError where a secret or file can't be read."""
WriteBack = Callable[[Task], Awaitable[None]]
"""Raises TaskError."""
_TOLD = 3
"""Recipients that a detail names."""


class Closable(Protocol):
    async def close(self) -> None: ...


Other = TypeVar("Other", bound=Closable)


class Opened(Generic[Other]):
    """The other side, opened when it is first needed, in a thread: importing what speaks to it takes its time."""

    def __init__(self, open_other: Callable[[], Other]) -> None:
        self._open_other = open_other
        self._opening = asyncio.Lock()
        self._other: Other | None = None

    async def get(self) -> Other:
        """Raises TargetDownError."""
        async with self._opening:
            if self._other is None:
                try:
                    self._other = await asyncio.to_thread(self._open_other)
                except Exception as exc:
                    # The text of these names the file or variable.
                    text = str(exc) if isinstance(exc, OSError | KeyError) else type(exc).__name__
                    raise TargetDownError(reasons.NOT_OPENED, text) from exc
            return self._other

    async def close(self) -> None:
        if self._other is not None:
            await self._other.close()


class SinkWay:
    def __init__(self, settings: Sink, open_sink: OpenSink) -> None:
        self._sink: Opened[RecordSink] = Opened(lambda: open_sink(settings))

    async def __call__(self, task: Task) -> Done:
        await (await self._sink.get()).call(SinkCall(task.key, task.payload))
        return Done()

    async def close(self) -> None:
        await self._sink.close()


class AccountWay:
    def __init__(
        self, settings: OutgoingAccount, organisation: TrackingSettings, open_account: OpenAccount, clock: Clock
    ) -> None:
        self._settings = settings
        self._organisation = organisation
        self._clock = clock
        self._account: Opened[MailAccount] = Opened(lambda: open_account(settings))

    async def __call__(self, task: Task) -> Done:
        """What the server takes later becomes a task of its own, so that nobody gets it twice."""
        if not task.recipients:
            raise RefusedTaskError(reasons.UNSENDABLE, "it has no recipients")
        sender = sender_of(task.payload)
        require_allowed(sender, self._settings, self._organisation)
        sent = await (await self._account.get()).send(OutgoingMail(sender, task.recipients, task.payload))
        followers = (self._rest(task, tuple(sent.deferred)),) if sent.deferred else ()
        if not sent.refused:
            return Done(followers=followers)
        told = "; ".join(f"{address}: {said}" for address, said in list(sent.refused.items())[:_TOLD])
        return Done(reasons.SOME_REFUSED, told, followers)

    def _rest(self, task: Task, recipients: tuple[str, ...]) -> NewTask:
        return NewTask(
            key=f"{task.key}+later",
            kind=TaskKind.NOTICE,
            organisation=task.organisation,
            target=task.target,
            payload=task.payload,
            due_at=self._clock.now(),
            transaction=task.transaction,
            recipients=recipients,
        )

    async def close(self) -> None:
        await self._account.close()


class WriteBackWay:
    def __init__(self, write_back: WriteBack) -> None:
        self._write_back = write_back

    async def __call__(self, task: Task) -> Done:
        await self._write_back(task)
        return Done()

    async def close(self) -> None:
        """What it writes with is not ours."""
