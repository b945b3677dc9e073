"""This machine: room on the disks."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mta.probe.probe import Probe, Say, Surroundings, failed, ok, warning


@dataclass(frozen=True, slots=True)
class DiskProbe:
    """The disk of one folder."""

    name: str
    folder: Path
    reserve_octets: int
    """Below it the relay takes no mail; 0 for a folder that doesn't stop it."""
    alert_octets: int

    async def run(self, say: Say) -> None:
        there = next(folder for folder in (self.folder, *self.folder.parents) if folder.exists())
        free = shutil.disk_usage(there).free
        if free < self.reserve_octets:
            say(failed(f"{_size(free)} are free: below {_size(self.reserve_octets)} no mail is taken", "make room"))
        elif free < self.alert_octets:
            say(warning(f"{_size(free)} are free: alerts begin at {_size(self.alert_octets)}", "make room"))
        else:
            say(ok(f"{_size(free)} are free"))


def _size(octets: int) -> str:
    return f"{octets / 1e9:.1f} GB" if octets >= 1e9 else f"{octets / 1e6:.1f} MB"


def probes(surroundings: Surroundings) -> Iterable[Probe]:
    """The disks of spool and logs."""
    configuration = surroundings.configuration
    spool, least = configuration.spool, configuration.alerts.disk_free
    return [
        DiskProbe("disk of the spool", spool.folder, spool.reserve, least),
        DiskProbe("disk of the logs", configuration.logs.folder, 0, least),
    ]
