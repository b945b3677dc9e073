"""How far a poll is."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace


@dataclass(slots=True)
class Progress:
    """How far a poll is; of one that has ended, what it did."""

    of: int = 0
    """Messages that were seen to wait."""
    taken: int = 0
    known: int = 0
    """Taken before; only what comes after was done."""
    set_aside: int = 0
    failed: int = 0
    """Our own faults; they are tried again."""
    stays: int = 0
    """Taken, but the server doesn't let us do what comes after."""
    began_s: float = field(default_factory=time.monotonic)
    took_s: float | None = None
    server: str = ""
    has_more: bool = False

    def minus(self, before: Progress) -> Progress:
        """What was done since it stood so."""
        return replace(
            self, of=self.of - before.of, taken=self.taken - before.taken, known=self.known - before.known,
            set_aside=self.set_aside - before.set_aside, failed=self.failed - before.failed,
            stays=self.stays - before.stays,
        )  # fmt: skip

    def end(self) -> None:
        self.took_s = time.monotonic() - self.began_s

    @property
    def done(self) -> int:
        return self.taken + self.known + self.set_aside + self.failed

    @property
    def per_s(self) -> float:
        took_s = self.took_s if self.took_s is not None else time.monotonic() - self.began_s
        return self.done / took_s if took_s > 0 else 0.0
