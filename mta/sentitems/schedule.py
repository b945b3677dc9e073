"""How long to wait before something is tried again, by what went wrong. Seconds; after the last one it is over."""

from __future__ import annotations

from datetime import timedelta

from mta.sentitems import reasons

_HOUR, _DAY = 3600.0, 86400.0

JOB_WAITS_S: dict[str, tuple[float, ...]] = {
    # Exchange and Outlook write the sent copy when they please; in cached mode minutes later.
    reasons.NOT_FOUND: (5, 15, 45, 120, 300, 900, _HOUR, 4 * _HOUR, _DAY),
    reasons.OUTCOME_UNKNOWN: (10, 60, 300, 900, _HOUR, 4 * _HOUR),
    # Lists of items that lag for longer are none that anybody has seen.
    reasons.MADE_AGAIN: (900,),
    reasons.AFTER_COPY: (5, 15, 60, 300, 900, _HOUR),
    reasons.CONFLICT: (5, 30, 120, 600, _HOUR),
    # Moves of mailboxes and fail-overs take hours: given up after a day.
    reasons.MAILBOX_UNAVAILABLE: (60, 300, 900, 1800, *[_HOUR] * 23),
    reasons.QUOTA: (_DAY, _DAY),
    reasons.INTERNAL_ERROR: (60, 300, 900, _HOUR, 4 * _HOUR),
}
"""Of a job, by its reason."""
OTHER_WAITS_S = (30, 120, 600, _HOUR, 4 * _HOUR)
"""Of a job whose reason is none of these."""
PATIENT_WAITS_S = (0, 15, 60, 300, 900, _HOUR)
"""Of a job whose server is in trouble, after the server's own wait: what one message does to a server must not keep
others from it. The last one repeats."""

BUSY_S, BUSY_MAX_S = 60.0, 3600.0
"""Of a server that wants to be left alone and doesn't say for how long; doubled each time."""
DOWN_WAITS_S = (5.0, 15, 30, 60, 120, 300, 600)
"""Of a server that can't be reached; the last one repeats."""
SIGN_IN_WAITS_S = (60.0, 300)
"""Of a server that refused to sign us in; after the last one it is stopped."""
OVERLOADED_S = 5.0

GIVE_UP_AFTER = timedelta(days=7)
"""A job that is older, and still can't be done, is given up, whatever it waits for."""
ABSENT_FOR = timedelta(hours=1)
"""How long nobody asks again for a mailbox that isn't there, or that we may not open."""
RESOLVED_FOR = timedelta(days=1)
"""How long it counts where a mailbox is."""
MISSING_IN_A_ROW = 3
"""After so many messages without an item a mailbox is one that keeps none."""
SELDOM_FOR = timedelta(days=1)
"""How long it counts as such."""


def nth(waits: tuple[float, ...], attempts: int) -> float:
    """The wait after so many attempts, the last one repeated."""
    return waits[min(attempts, len(waits) - 1)]
