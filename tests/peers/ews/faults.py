"""What tests have arranged to go wrong, and the bounds on what runs at once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock

from tests.peers.ews.calls import Settings
from tests.peers.ews.errors import SoapFaultError


@dataclass(slots=True)
class Fault:
    """See `EwsServer.fail`."""

    kind: str
    times: int = 1
    after: int = 0
    operation: str = ""
    mailbox: str = ""
    code: str = ""
    status: int = 503
    retry_after: str = ""
    back_off_ms: int | None = None
    delay_s: float = 0
    healed: Event = field(default_factory=Event)
    """Ends the delay."""

    def fits(self, operation: str, mailbox: str) -> bool:
        return (not self.operation or operation in self.operation.split()) and (
            not self.mailbox or mailbox == self.mailbox.lower()
        )


class Faults:
    """Queued by tests, used up by requests."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._queue: deque[Fault] = deque()
        self._healed = Event()

    def add(self, fault: Fault) -> None:
        with self._lock:
            fault.healed = self._healed
            self._queue.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._queue.clear()
            self._healed.set()
            self._healed = Event()

    def next(self, operation: str, mailbox: str) -> Fault | None:
        """The first one that is for this request, one time less of it left."""
        with self._lock:
            for fault in self._queue:
                if not fault.fits(operation, mailbox):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    return None
                if fault.times > 0:
                    fault.times -= 1
                if fault.times == 0:
                    self._queue.remove(fault)
                return fault
        return None


class Concurrency:
    """How many requests are being served, in all and for each budget.

    With impersonation the mailbox's budget is charged, else the account's ("EWS throttling in Exchange").
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        """High-water marks; "" is in all."""

    @contextmanager
    def holding(self, budget: str, settings: Settings) -> Iterator[None]:
        """Raises SoapFaultError for one too many."""
        with self._lock:
            for name in ("", budget):
                self._now[name] += 1
                self.most[name] = max(self.most[name], self._now[name])
            over = 0 < settings.per_budget < self._now[budget] or 0 < settings.in_all < self._now[""]
        try:
            if over:
                raise SoapFaultError(settings.over_code)
            yield
        finally:
            with self._lock:
                self._now[""] -= 1
                self._now[budget] -= 1

    def forget(self) -> None:
        with self._lock:
            self.most.clear()
