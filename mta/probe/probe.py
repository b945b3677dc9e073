"""What a probe is, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from mta.config.schema import Configuration
from mta.ports.resolver import Resolver
from mta.relay.snapshot import Snapshot


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, and could be better or soon won't."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Line:
    """One finding; `mend` says what to do, "" where nothing is to be done."""

    status: Status
    what: str
    mend: str = ""


Say = Callable[[Line], None]


def ok(what: str) -> Line:
    return Line(Status.OK, what)


def warning(what: str, mend: str) -> Line:
    return Line(Status.WARNING, what, mend)


def failed(what: str, mend: str) -> Line:
    return Line(Status.FAILED, what, mend)


class Probe(Protocol):
    """Tries one thing of the configuration."""

    @property
    def name(self) -> str:
        """As the configuration calls it; unique among its kind."""
        ...

    async def run(self, say: Say) -> None:
        """Say each finding as soon as it is known, for whoever runs this may end it. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What probes work with."""

    snapshot: Snapshot
    resolver: Resolver
    now: datetime

    @property
    def configuration(self) -> Configuration:
        return self.snapshot.configuration
