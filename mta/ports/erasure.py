"""Erasing a person from what the store keeps: queue, Sent Items jobs, records and all else of tracking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mta.model.erasure import Erased, ErasedPerson, RecordsMode, Wiped

Step = Callable[[str, int], None]
"""(what is gone through, how many rows of it so far): called now and then."""


class Erasure(Protocol):
    """Each step is a transaction of its own, so that mail goes on; whatever breaks it off, the same call goes on."""

    async def survey(self, person: ErasedPerson, mode: RecordsMode, step: Step) -> Erased:
        """What `erase` would do as things stand; nothing is changed."""
        ...

    async def erase(self, person: ErasedPerson, mode: RecordsMode, step: Step) -> Erased:
        """Take the person out. What waits to be delivered or told to others stays, and so does what is in work."""
        ...

    async def wipe(self, *, anyhow: bool) -> Wiped:
        """Leave nothing of what was removed in the database's files.

        `anyhow`: rewrite the database however large it is; nothing is accepted meanwhile.
        """
        ...

    async def close(self) -> None: ...
