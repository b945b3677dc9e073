"""Who is next: those who wait take turns by sender, so that one sender's many messages don't keep others waiting."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Each sender's own come in their order."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[T]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, sender: str, item: T, *, in_front: bool = False) -> None:
        """Take a place behind the sender's others, or before them."""
        queue = self._queues.setdefault(sender, deque())
        queue.appendleft(item) if in_front else queue.append(item)
        self._count += 1

    def take(self) -> T:
        """The next one; its sender's turn is over then. Raises StopIteration if nobody waits."""
        sender = next(iter(self._queues))
        queue = self._queues.pop(sender)
        item = queue.popleft()
        self._count -= 1
        if queue:
            self._queues[sender] = queue
        return item

    def leave(self, sender: str, item: T) -> None:
        """Give a place up, if it is still held."""
        queue = self._queues.get(sender)
        if queue is not None and item in queue:
            queue.remove(item)
            self._count -= 1
            if not queue:
                del self._queues[sender]
