"""`stampline check --online`: what was tried, line by line, as it ends."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from mta.app.dns import open_resolver
from mta.cli.command import CommandFailedError, ExitCode, printable
from mta.config.explain_errors import closest
from mta.probe.probe import Line, Probe, Status, Surroundings
from mta.probe.registry import KINDS, every_probe
from mta.probe.run import Result, run_probes
from mta.relay.snapshot import Snapshot

_COLOURS = {Status.OK: "\x1b[32m", Status.WARNING: "\x1b[33m", Status.FAILED: "\x1b[31m"}


def tried(snapshot: Snapshot, arguments: argparse.Namespace) -> list[Result]:
    """Try everything, or what `--only` names; on paper each is shown when it and those before it have ended."""
    return asyncio.run(_tried(snapshot, arguments))


async def _tried(snapshot: Snapshot, arguments: argparse.Namespace) -> list[Result]:
    resolver = open_resolver(snapshot.configuration)
    try:
        probes = _chosen(every_probe(Surroundings(snapshot, resolver, datetime.now(UTC))), arguments.only)
        shown = Shown([f"{kind} {probe.name}" for kind, probe in probes], is_silent=arguments.json)
        shown.progress()
        return await run_probes(probes, arguments.timeout, shown.done)
    finally:
        await resolver.close()


def _chosen(probes: Sequence[tuple[str, Probe]], only: Sequence[str]) -> list[tuple[str, Probe]]:
    if not only:
        return list(probes)
    names = {*KINDS, *(probe.name for _, probe in probes)}
    for name in only:
        if name not in names:
            raise CommandFailedError(
                f"nothing here is called {name!r}; {closest(name, names)}", ExitCode.BAD_CONFIGURATION
            )
    return [(kind, probe) for kind, probe in probes if kind in only or probe.name in only]


class Shown:
    """Shows results in their order, and on a terminal what is waited for."""

    def __init__(self, names: Sequence[str], *, is_silent: bool) -> None:
        self._names = names
        self._is_silent = is_silent
        self._results: dict[int, Result] = {}
        self._next = 0
        self._begun = time.monotonic()

    def done(self, position: int, result: Result) -> None:
        self._results[position] = result
        if self._is_silent:
            return
        self._clear()
        while (ready := self._results.get(self._next)) is not None:
            _show(ready)
            self._next += 1
        self.progress()

    def progress(self) -> None:
        waiting = [name for position, name in enumerate(self._names) if position not in self._results]
        if waiting and not self._is_silent and sys.stderr.isatty():
            text = printable(f"{len(self._results)} of {len(self._names)} done, waiting for {waiting[0]}")
            print(f"\r\x1b[K{text[:100]}", end="", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _show(result: Result) -> None:
    print(printable(f"{result.kind} {result.name}"))
    for line in result.lines:
        print(f"  {_coloured(line.status)} {printable(line.what)}")
        if line.mend:
            print(printable(f"           {line.mend}"))
    sys.stdout.flush()


def _coloured(status: Status) -> str:
    word = f"{status.value:<8}"
    return f"{_COLOURS[status]}{word}\x1b[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else word


def is_good(results: Sequence[Result]) -> bool:
    """Whether nothing failed."""
    return not any(result.status is Status.FAILED for result in results)


def summary(results: Sequence[Result]) -> str:
    """How many lines there are of each kind."""
    lines = [line for result in results for line in result.lines]
    return ", ".join(f"{sum(line.status is status for line in lines)} {status.value}" for status in Status)


def as_json(results: Sequence[Result]) -> list[dict[str, object]]:
    """For programs."""
    return [
        {"kind": result.kind, "name": result.name, "status": result.status.value,
         "lines": [_line_as_json(line) for line in result.lines]}
        for result in results
    ]  # fmt: skip


def _line_as_json(line: Line) -> dict[str, str]:
    return {"status": line.status.value, "what": line.what, "mend": line.mend}
