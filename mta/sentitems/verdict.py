"""What one attempt at a job came to."""

from __future__ import annotations

from dataclasses import dataclass

from mta.model.sentitem import JobState


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is one of a fixed set of words; of a job that waits, the runner says when it is tried again."""

    state: JobState
    reason: str = ""
    detail: str = ""
    placed: str = ""
    """Keys of the copies that stand in the mailbox now, separated by spaces."""
