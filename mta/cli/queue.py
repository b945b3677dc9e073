"""`stampline queue`: see what waits, and work it. It opens the spool itself, so it works while the relay is down."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from functools import partial
from typing import Any

from mta.cli import queue_frozen, queue_recover, queue_show, queue_view, queue_work
from mta.cli.command import ExitCode, add_operation, at_least_one, new_parser, print_json
from mta.cli.queue_filters import add_filters, filter_of
from mta.cli.queue_hops import tell_of_unknown_hop
from mta.cli.queue_spool import read_configuration, with_spool
from mta.model.queue import Breakdown
from mta.ports.spool import Spool

LIST_LIMIT = 1000
EXIT_CODES = (
    "exit codes: 0 done, also where a filter matches nothing · 2 bad configuration or usage ·\n"
    "1 failed: an id is not in the queue, or what a worker has in hand was left alone"
)
_word = partial(add_operation, exit_codes=EXIT_CODES)


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "queue", "list the queue and work it",
        "List the queue and work it. What is being delivered at the moment is left alone.", with_config=False,
    )  # fmt: skip
    words = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = _word(words, "list", "list what waits, oldest first", run_list)
    add_filters(listing)
    listing.add_argument("--limit", type=at_least_one, default=LIST_LIMIT, metavar="N", help="at most N messages "
        "(default: %(default)s); the sums are those of all that match")  # fmt: skip
    listing.add_argument("--count", action="store_true", help="only the sums")
    listing.add_argument("--wide", action="store_true", help="whole addresses and replies, however long")
    summary = _word(words, "summary", "sum up what waits, by age", run_summary)
    add_filters(summary)
    summary.add_argument("--by", type=Breakdown, choices=tuple(Breakdown), default=Breakdown.NEXT_HOP,
        metavar="WHAT", help=f"a row for each {', '.join(b.value for b in Breakdown)} (default: next-hop)")  # fmt: skip
    summary.add_argument("--limit", type=at_least_one, default=50, metavar="N", help="rows (default: %(default)s)")
    show = _word(words, "show", "show one message: envelope, decision, attempts, what happens next, and its header",
        queue_show.run)  # fmt: skip
    queue_show.add_arguments(show)
    for name, work in queue_work.WORKS.items():
        queue_work.add_arguments(_word(words, name, work.summary, queue_work.run), name, add_filters)
    queue_frozen.add_words(words, _word)
    queue_recover.add_words(words)


def run_list(arguments: argparse.Namespace) -> int:
    which, configuration = filter_of(arguments), read_configuration(arguments)

    async def use(spool: Spool) -> int:
        count = await spool.count(which)
        tell_of_unknown_hop(configuration, [which], count)
        if arguments.count:
            print_json(asdict(count)) if arguments.json else print(queue_view.count_text(count))
            return ExitCode.OK
        entries = await spool.entries(which, limit=arguments.limit)
        if arguments.json:
            print_json([queue_view.entry_to_json(entry) for entry in entries])
        else:
            queue_view.print_entries(entries, count, await spool.frozen(), wide=arguments.wide)
        return ExitCode.OK

    return with_spool(configuration, use)


def run_summary(arguments: argparse.Namespace) -> int:
    which, configuration = filter_of(arguments), read_configuration(arguments)

    async def use(spool: Spool) -> int:
        rows = await spool.summary(which, arguments.by)
        frozen = await spool.frozen()
        count = await spool.count(which)
        tell_of_unknown_hop(configuration, [which], count)
        if arguments.json:
            print_json(queue_view.summary_to_json(rows[: arguments.limit], count, frozen))
        else:
            queue_view.print_summary(arguments.by, rows, arguments.limit, count, frozen)
        return ExitCode.OK

    return with_spool(configuration, use)
