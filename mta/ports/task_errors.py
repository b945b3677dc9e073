"""Why something that tracking wants done elsewhere (a call, a notice, a write-back) was not done.

`reason` is one of the fixed words of `mta.model.task_reasons`, or `status-` and an HTTP status code. `detail` goes
into logs and lists: one line of what the other side said, nothing of a message's or record's content, no secret.
"""

from __future__ import annotations

from datetime import timedelta


class TaskError(Exception):
    def __init__(self, reason: str, detail: str = "", *, retry_after: timedelta | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
        """The other side's own hint, where it gave one."""


class TryAgainError(TaskError):
    """Not now; others for the same target may well be done."""


class TargetDownError(TaskError):
    """Nothing can be done with this target at the moment: it can't be reached, doesn't let us in, wants a pause."""


class RefusedTaskError(TaskError):
    """Never: trying again would be refused again."""
