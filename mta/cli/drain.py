"""`stampline drain` and `undrain`: have this node take no mail, and deliver what it has."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from mta import events
from mta.cli.command import ExitCode, new_parser, print_json, printable, seconds_of, short_age
from mta.cli.queue_spool import log_as_relay, read_configuration, wake, who, with_spool
from mta.cli.queue_view import count_text, print_summary
from mta.config.schema import Configuration
from mta.model.delivery import State
from mta.model.queue import Breakdown, Draining, QueueCount, QueueFilter, is_frozen
from mta.ports.spool import Spool

_LOOK_S = 2.0
_EXITS = "exit codes: 0 empty, or without --wait: no more mail is taken · 1 something is left · 2 bad configuration"


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "drain", "take no mail on this node, and deliver what it has",
        "Have this node take no mail: clients get 421 4.3.2, so that Exchange uses another smart host or keeps it.\n"
        "What is queued is tried at once, and goes on being delivered. The order stands until `stampline undrain`,\n"
        "also over restarts. With --wait: until nothing is left but what is held or frozen.",
    )  # fmt: skip
    parser.epilog = _EXITS
    parser.add_argument("--reason", type=printable, default="", metavar="TEXT", help="for those who look at it later")
    parser.add_argument("--wait", action="store_true", help="wait until the queue is empty, and show how far it is")
    parser.add_argument(
        "--timeout", type=seconds_of, metavar="TIME", default=None, help="wait no longer than 10m, 2h …"
    )
    parser.add_argument("--json", action="store_true", help="print what is left as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    order = Draining(datetime.now(UTC).replace(microsecond=0), who(), arguments.reason)

    async def begin(spool: Spool) -> bool:
        is_new = await spool.drain(order)
        await spool.retry_now(QueueFilter())
        return is_new

    if with_spool(configuration, begin):
        log_as_relay(configuration)
        events.draining(by=order.by, reason=order.reason)
    wake(configuration)
    if not arguments.wait:
        return _tell_begun(arguments, configuration)
    return with_spool(configuration, lambda spool: _wait(spool, arguments))


def _tell_begun(arguments: argparse.Namespace, configuration: Configuration) -> int:
    count = with_spool(configuration, lambda spool: spool.count(QueueFilter()))
    if arguments.json:
        print_json({"draining": True, "left": asdict(count)})
    else:
        print(f"no more mail is taken; in the queue: {count_text(count)}")
    return ExitCode.OK


async def _wait(spool: Spool, arguments: argparse.Namespace) -> int:
    """Until nothing is left that can be delivered, or the time is up."""
    deadline = None if arguments.timeout is None else time.monotonic() + arguments.timeout
    began, shown = time.monotonic(), QueueCount()
    while (left := await _deliverable(spool)).messages:
        if deadline is not None and time.monotonic() >= deadline:
            break
        if left != shown and not arguments.json:
            print(f"{short_age(time.monotonic() - began):>6}  {count_text(left)}", file=sys.stderr, flush=True)
            shown = left
        await asyncio.sleep(_LOOK_S)
    everything = await spool.count(QueueFilter())
    if arguments.json:
        print_json({"draining": True, "deliverable": asdict(left), "left": asdict(everything)})
    elif everything.messages:
        print("left in the queue:")
        rows = await spool.summary(QueueFilter(), Breakdown.NEXT_HOP)
        print_summary(Breakdown.NEXT_HOP, rows, len(rows), everything, await spool.frozen())
    else:
        print("the queue is empty")
    return ExitCode.FAILED if everything.messages else ExitCode.OK


async def _deliverable(spool: Spool) -> QueueCount:
    """What is neither held nor frozen; a message for several next hops counts for each."""
    frozen = frozenset(hop.next_hop for hop in await spool.frozen())
    rows = await spool.summary(QueueFilter(state=State.QUEUED), Breakdown.NEXT_HOP)
    left = [row for row in rows if not is_frozen(row.key, frozen)]
    return QueueCount(
        messages=sum(row.messages for row in left),
        recipients=sum(row.recipients for row in left),
        octets=sum(row.octets for row in left),
        leased=sum(row.leased for row in left),
    )
