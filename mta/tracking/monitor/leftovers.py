"""Messages that were taken and still lie where they were, because the server doesn't let us move or mark them.

They are not fetched again; what is to come after is tried again with growing pauses. A restart forgets them: they are
fetched once more, and the store knows them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from mta.ports import mailbox as port

_WAITS_S = (60.0, 300.0, 1800.0, 7200.0)
FAILURES_MAX = 3
_LOOK_UPS_S = (60.0, 300.0, 1800.0, 7200.0)
"""Pauses before it is tried again whether a message's author wrote it; after the last one it is taken as it is."""
LEFTOVERS_MAX = 1000
"""With so many nothing more is taken: what lies there would be fetched again after each restart."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A message that the store has."""

    ref: str
    message_id: str
    folder: str = ""
    """Where it is set aside; "": what comes after any message."""


class Leftovers:
    """Of one mailbox, for as long as the process runs."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._waiting: dict[str, Leftover] = {}
        self._again_at_s: dict[str, tuple[int, float]] = {}
        self._deleted: dict[str, Leftover] = {}
        """Marked as deleted in this session: they go with its end."""
        self._acquitted: set[str] = set()
        self._faults: dict[str, tuple[str, str]] = {}
        self._failures: dict[str, tuple[int, str]] = {}
        self._not_looked_up: dict[str, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, ref: str) -> bool:
        return ref in self._waiting

    @property
    def are_too_many(self) -> bool:
        return len(self._waiting) >= LEFTOVERS_MAX

    def add(self, leftover: Leftover) -> None:
        self._waiting[leftover.ref] = leftover

    def put_off(self, ref: str) -> float:
        """Seconds until it is tried again."""
        attempts, _ = self._again_at_s.get(ref, (0, 0.0))
        wait_s = _WAITS_S[min(attempts, len(_WAITS_S) - 1)]
        self._again_at_s[ref] = (attempts + 1, self._clock_s() + wait_s)
        return wait_s

    def settled(self, ref: str) -> None:
        """It has gone from where it lay: what kept it there doesn't keep the others either."""
        if ref in self._again_at_s:
            self._again_at_s.clear()
        self.remove(ref)

    def remove(self, ref: str) -> None:
        self._waiting.pop(ref, None)
        self._again_at_s.pop(ref, None)
        self._acquitted.discard(ref)
        self._faults.pop(ref, None)
        self._failures.pop(ref, None)
        self._not_looked_up.pop(ref, None)

    def due(self) -> list[Leftover]:
        now_s = self._clock_s()
        return [each for each in self._waiting.values() if self._again_at_s.get(each.ref, (0, 0.0))[1] <= now_s]

    def keep_those_seen(self, refs: Collection[str], *, is_all: bool) -> None:
        """Forget what has gone from the server; `is_all`: there was no more to see."""
        if is_all:
            known = (*self._waiting, *self._acquitted, *self._faults, *self._failures, *self._not_looked_up)
            for ref in [ref for ref in known if ref not in refs]:
                self.remove(ref)

    # --- deleted in this session --------------------------------------------------------------------------------------

    def note_deleted(self, leftover: Leftover) -> None:
        self._deleted[leftover.ref] = leftover

    def remember_deleted(self) -> None:
        """The session has broken: who knows whether they have gone."""
        self._waiting |= self._deleted
        self._deleted.clear()

    def forget_deleted(self) -> None:
        self._deleted.clear()

    # --- attempts that don't count ------------------------------------------------------------------------------------

    def acquit(self, ref: str) -> None:
        """The store is to forget its attempts."""
        self._acquitted.add(ref)

    def is_acquitted(self, ref: str) -> bool:
        """Whether the store could not do that."""
        return ref in self._acquitted

    def acquitted(self, ref: str) -> None:
        self._acquitted.discard(ref)

    # --- faults of our own --------------------------------------------------------------------------------------------

    def note_fault(self, ref: str, kind: str, message_id: str) -> None:
        self._faults[ref] = (kind, message_id)

    def fault(self, ref: str) -> tuple[str, str] | None:
        """What kind of fault it was, and the Message-ID; None for none that this process knows of."""
        return self._faults.get(ref)

    # --- messages that the server fails at ----------------------------------------------------------------------------

    def note_failure(self, ref: str, error: Exception) -> bool:
        """The poll ends by it; whether it is the message's own fault by now, so that others have to go on."""
        if not _may_be_of_the_message(error):
            return False
        if ref not in self._failures and len(self._failures) >= LEFTOVERS_MAX:
            self._failures.clear()
        self._failures[ref] = (self._failures.get(ref, (0, ""))[0] + 1, str(error)[:200])
        return self.is_failing(ref)

    def is_failing(self, ref: str) -> bool:
        """Several polls that signed in and listed well ended at this message."""
        return self._failures.get(ref, (0, ""))[0] >= FAILURES_MAX

    def failure(self, ref: str) -> str:
        return self._failures.get(ref, (0, ""))[1]

    # --- messages whose author can't be looked up now -----------------------------------------------------------------

    def may_wait(self, ref: str) -> bool:
        """Whether it is tried again if DNS doesn't tell this time either."""
        known = self._not_looked_up.get(ref)
        if known is None:
            return len(self._not_looked_up) < LEFTOVERS_MAX
        return known[0] < len(_LOOK_UPS_S)

    def look_up_later(self, ref: str) -> float:
        """Seconds until it is fetched and tried again."""
        attempts, _ = self._not_looked_up.get(ref, (0, 0.0))
        wait_s = _LOOK_UPS_S[min(attempts, len(_LOOK_UPS_S) - 1)]
        self._not_looked_up[ref] = (attempts + 1, self._clock_s() + wait_s)
        return wait_s

    def passed_over(self) -> frozenset[str]:
        """What is not fetched now, though it lies there."""
        now_s = self._clock_s()
        return frozenset(self._waiting) | {ref for ref, (_, at_s) in self._not_looked_up.items() if at_s > now_s}


def _may_be_of_the_message(error: Exception) -> bool:
    """What servers answer where one item is broken, and where all of them are away; of the first nobody tells."""
    kinds = port.EndpointDownError | port.MailboxUnavailableError | port.OutcomeUnknownError
    return isinstance(error, kinds) or type(error) is port.MailboxError


def is_of_the_message(error: Exception) -> bool:
    """Whether the session goes on, for other messages."""
    return isinstance(error, port.RefusedError | port.ConflictError | port.QuotaError | port.AccessDeniedError)
