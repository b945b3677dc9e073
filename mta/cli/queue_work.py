"""`stampline queue hold`, `release`, `retry`, `reroute`, `delete`, `bounce`: changes to what a filter matches."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from mta import events
from mta.cli import queue_view
from mta.cli.command import CommandFailedError, ExitCode, print_json
from mta.cli.queue_filters import filter_text, filters_of, narrowed
from mta.cli.queue_hops import configured_hop, tell_of_unknown_hop
from mta.cli.queue_spool import log_as_relay, read_configuration, wake, who, with_spool
from mta.config.schema import Configuration
from mta.model.delivery import State
from mta.model.queue import QueueCount, QueueFilter
from mta.ports.spool import NewHop, Spool, Tell

BUSY_S = 5.0
"""How long to wait for deliveries that a worker has in hand at the moment."""
_LOOK_AGAIN_S = 0.2
PREVIEWED = 20
"""Messages that a dry run lists."""
IDS_PER_LINE = 100
_PROGRESS_FROM = 2000
"""Deliveries from which on a terminal is told how far it is."""

Change = Callable[[Spool, QueueFilter, Tell], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Work:
    """One word of `stampline queue` that changes something."""

    done: str
    """As in "held: 12"."""
    summary: str
    state: State | None
    """In which a recipient is touched; None: in any."""
    awaits_busy: bool
    """Whether what is being delivered at the moment is meant, too."""
    wakes: bool


WORKS = {
    "retry": Work("retried", "try queued messages now", State.QUEUED, awaits_busy=False, wakes=True),
    "hold": Work("held", "keep queued messages back", State.QUEUED, awaits_busy=True, wakes=False),
    "release": Work("released", "let held messages go, now", State.HELD, awaits_busy=False, wakes=True),
    "reroute": Work("rerouted", "send messages by another next hop; held ones stay held", None,
        awaits_busy=True, wakes=True),
    "delete": Work("deleted", "take messages out of the queue; nobody is told", None, awaits_busy=True, wakes=False),
    "bounce": Work("bounced", "take messages out of the queue, and tell their senders by DSN", None,
        awaits_busy=True, wakes=True),
}  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Carry out one of WORKS."""
    name, work = arguments.operation, WORKS[arguments.operation]
    now = datetime.now(UTC)
    # An id is meant whatever the clock says; with a filter, what comes from now on is not, such as DSNs of its work.
    filters = [
        which if which.queue_id else replace(which, accepted_by=now) for which in filters_of(arguments, name)
    ]  # fmt: skip
    configuration = read_configuration(arguments)
    change = _change(arguments, configuration)

    async def use(spool: Spool) -> int:
        meant = narrowed(filters, work.state)
        count = await _count(spool, meant)
        tell_of_unknown_hop(configuration, filters, count)
        if arguments.dry_run:
            return await _preview(spool, meant, count, work, as_json=arguments.json)
        _confirm(arguments, count)
        log_as_relay(configuration)
        begun = _Begun(name, count.deliveries, "; ".join(filter_text(each) for each in filters), arguments)
        done, busy = await _carry_out(spool, meant, change, begun, awaits_busy=work.awaits_busy)
        begun.end()
        if done and work.wakes:
            wake(configuration)
        if arguments.json:
            print_json({work.done: done, "busy": busy})
        else:
            left = f" ({busy} are being delivered at the moment, and were left alone)" if busy else ""
            print(f"{work.done}: {done}{left}")
        return ExitCode.FAILED if busy or (arguments.ids and not done) else ExitCode.OK

    return with_spool(configuration, use)


def _change(arguments: argparse.Namespace, configuration: Configuration) -> Change:
    match arguments.operation:
        case "retry":
            return lambda spool, which, tell: spool.retry_now(which, tell)
        case "hold":
            return lambda spool, which, tell: spool.hold(which, tell=tell)
        case "release":
            return lambda spool, which, tell: spool.release(which, tell)
        case "delete":
            return lambda spool, which, tell: spool.delete(which, tell)
        case "reroute":
            towards = new_hop(configuration, arguments.to)
            return lambda spool, which, tell: spool.reroute(which, towards, tell)
    from mta.cli.queue_settle import bounce

    return lambda spool, which, tell: bounce(spool, which, configuration, tell)


def new_hop(configuration: Configuration, name: str) -> NewHop:
    """Where `--to NAME` sends each recipient. Raises CommandFailedError for a name that nothing delivers to.

    An MX hop sends each to the servers of its own domain; `NAME/DOMAIN` sends all to those of that one.
    """
    from mta.config.delivery_schema import MxHop
    from mta.relay.deliver.routing import RoutingTable

    wanted = configured_hop(configuration, name)
    by_domain = {hop.name for hop in configuration.next_hops if isinstance(hop, MxHop)}
    if wanted.domain or wanted.hop not in by_domain:
        return lambda recipient: str(wanted)
    table = RoutingTable(configuration.routing, configuration.next_hops)
    return lambda recipient: table.next_hop(recipient, named=wanted.hop) + str(wanted).removeprefix(wanted.hop)


async def _count(spool: Spool, filters: Sequence[QueueFilter]) -> QueueCount:
    counts = [await spool.count(which) for which in filters]
    columns = zip(*((c.messages, c.deliveries, c.recipients, c.octets, c.leased) for c in counts), strict=True)
    return QueueCount(*(sum(column) for column in columns))


async def _preview(
    spool: Spool, filters: Sequence[QueueFilter], count: QueueCount, work: Work, *, as_json: bool
) -> int:
    """What would be touched; nothing is."""
    entries = [entry for which in filters for entry in await spool.entries(which, limit=PREVIEWED)][:PREVIEWED]
    if as_json:
        print_json({f"would_be_{work.done}": asdict(count), "first": [entry.queue_id for entry in entries]})
        return ExitCode.OK
    queue_view.print_entries(entries, count)
    print(f"would be {work.done}: {queue_view.count_text(count)}; nothing was changed")
    return ExitCode.OK


def _confirm(arguments: argparse.Namespace, count: QueueCount) -> None:
    """Everything at once is asked for again, where there is somebody to ask. Raises CommandFailedError at a no."""
    if not arguments.all or arguments.yes or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    print(f"{arguments.operation} all of the queue: {queue_view.count_text(count)}. Go on? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandFailedError("nothing was changed")


class _Begun:
    """Work under way: writes who changed what to the log, and on a terminal how far it is."""

    def __init__(self, name: str, of: int, which: str, arguments: argparse.Namespace) -> None:
        self._name = name
        self._of = of
        self._which = which
        self._to = getattr(arguments, "to", "")
        self._done = 0
        self._shows = of >= _PROGRESS_FROM and sys.stderr.isatty()

    def tell(self, queue_ids: Sequence[str]) -> None:
        """After each transaction: with the queue ids, so that grep finds what befell a message."""
        for start in range(0, len(queue_ids), IDS_PER_LINE):
            some = queue_ids[start : start + IDS_PER_LINE]
            events.queue_changed(self._name, by=who(), which=self._which, to=self._to, queue_ids=some)
        self._done += len(queue_ids)
        if self._shows:
            print(f"\r{self._done:,} of about {self._of:,}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._shows:
            print(file=sys.stderr)


async def _carry_out(
    spool: Spool, filters: Sequence[QueueFilter], change: Change, begun: _Begun, *, awaits_busy: bool
) -> tuple[int, int]:
    """Change what can be, and what workers let go of within a few seconds; gives (changed, still busy)."""
    deadline = time.monotonic() + BUSY_S
    done = sum([await change(spool, which, begun.tell) for which in filters])
    while awaits_busy and (busy := (await _count(spool, filters)).leased):
        if time.monotonic() >= deadline:
            return done, busy
        await asyncio.sleep(_LOOK_AGAIN_S)
        done += sum([await change(spool, which, begun.tell) for which in filters])
    return done, 0


def add_arguments(word: argparse.ArgumentParser, name: str, any_filters: Callable[[Any], None]) -> None:
    """Ids, filters, and what all words that change something have."""
    word.add_argument("ids", nargs="*", metavar="ID", help="queue ids")
    if name == "reroute":
        word.add_argument("--to", required=True, metavar="NEXT-HOP", help="a next hop of the configuration")
    any_filters(word)
    word.add_argument("--all", action="store_true", help="everything in the queue; needed where no filter is given")
    word.add_argument("--yes", action="store_true", help="don't ask again before --all")
    word.add_argument("--dry-run", action="store_true", help="say what would be changed, and change nothing")
    word.set_defaults(operation=name)
