"""Runs probes side by side, each within its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mta.probe.probe import Line, Probe, Status, failed

AT_ONCE = 16
LINES_MAX = 200
"""Of one probe: what a server says may have no end."""


@dataclass(slots=True)
class Result:
    """One probe and what it said."""

    kind: str
    name: str
    lines: list[Line] = field(default_factory=list)

    @property
    def status(self) -> Status:
        """That of the worst line."""
        statuses = {line.status for line in self.lines}
        return next((status for status in (Status.FAILED, Status.WARNING) if status in statuses), Status.OK)


async def run_probes(
    probes: Sequence[tuple[str, Probe]], timeout_s: float, done: Callable[[int, Result], None]
) -> list[Result]:
    """Run probes, each given with its kind; `done` is called with a probe's position when it has ended."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(position: int, kind: str, probe: Probe) -> Result:
        result = Result(kind, probe.name)
        try:
            async with slots:
                await _run(probe, result, timeout_s)
        finally:  # also where all is broken off: some have things to say about what they began
            done(position, result)
        return result

    return list(await asyncio.gather(*(one(position, kind, probe) for position, (kind, probe) in enumerate(probes))))


async def _run(probe: Probe, result: Result, timeout_s: float) -> None:
    def say(line: Line) -> None:
        if len(result.lines) < LINES_MAX:
            result.lines.append(line)

    try:
        async with asyncio.timeout(timeout_s):
            await probe.run(say)
    except TimeoutError:
        result.lines.append(
            failed(f"not done within {timeout_s:g} seconds", "see what answers slowly; --timeout gives more")
        )
    except Exception as exc:  # noqa: BLE001 - one probe's fault must not hide what the others found
        result.lines.append(failed(f"this test itself failed: {exc!r}"[:500], "please report it"))
