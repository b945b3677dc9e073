"""Limits of the Outlook service, for each pair of app and mailbox (learn.microsoft.com/graph/throttling-limits)."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass, field

from tests.peers.graph.answers import GraphError
from tests.peers.graph.settings import Settings


@dataclass(slots=True)
class _Budget:
    running: int = 0
    most: int = 0
    requests: deque[float] = field(default_factory=deque)
    octets: deque[tuple[float, int]] = field(default_factory=deque)


class Throttle:
    """Counts what runs and what ran."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.running = 0
        self.most = 0
        self._budgets: dict[tuple[str, str], _Budget] = defaultdict(_Budget)

    def enter(self, app: str, mailbox: str, octets: int) -> None:
        """Begin a request. Raises GraphError: the request is not carried out, and has not begun."""
        budget, now = self._budgets[app, mailbox], time.monotonic()
        limits = self._settings
        while budget.requests and budget.requests[0] < now - limits.requests_within_s:
            budget.requests.popleft()
        while budget.octets and budget.octets[0][0] < now - limits.octets_within_s:
            budget.octets.popleft()
        if limits.concurrency and budget.running >= limits.concurrency:
            raise _throttled("MailboxConcurrency", 1)
        budget.requests.append(now)  # refused ones count, too
        if limits.requests and len(budget.requests) > limits.requests:
            raise _throttled("RequestRate", max(1, round(budget.requests[0] + limits.requests_within_s - now)))
        if limits.octets and octets and sum(size for _, size in budget.octets) + octets > limits.octets:
            first = budget.octets[0][0] if budget.octets else now
            raise _throttled("IncomingBytes", max(1, round(first + limits.octets_within_s - now)))
        if octets:
            budget.octets.append((now, octets))
        budget.running += 1
        self.running += 1
        budget.most = max(budget.most, budget.running)
        self.most = max(self.most, self.running)

    def leave(self, app: str, mailbox: str) -> None:
        self._budgets[app, mailbox].running -= 1
        self.running -= 1

    def most_by_mailbox(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for (_, mailbox), budget in self._budgets.items():
            found[mailbox] = max(found.get(mailbox, 0), budget.most)
        return found

    def forget(self) -> None:
        self.most = self.running
        for budget in self._budgets.values():
            budget.most = budget.running


def _throttled(limit: str, retry_after_s: int) -> GraphError:
    text = f"Application is over its {limit} limit."
    return GraphError(429, "ApplicationThrottled", text, {"Retry-After": str(retry_after_s)})
