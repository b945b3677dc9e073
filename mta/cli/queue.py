"""`stampline queue`: see what waits, and work it. It opens the spool itself, so it works while the relay is down."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from mta.cli import queue_view
from mta.cli.command import (
    CommandFailedError,
    ExitCode,
    add_config,
    add_word,
    bad_configuration,
    new_parser,
    print_json,
    seconds_of,
)
from mta.config.schema import Configuration
from mta.model.delivery import Body, State
from mta.model.queue import QueueFilter
from mta.model.reply import MailError
from mta.ports.spool import Spool

LIST_LIMIT = 1000
HEADER_MAX = 65_536
"""Octets of a message's header that `queue show` prints."""

LOGGED_MAX = 100_000
"""Messages whose queue ids one operation writes to the log."""
IDS_PER_LINE = 100

Operation = Callable[[Spool, QueueFilter], Awaitable[int]]

_OPERATIONS: dict[str, tuple[Operation, str, str]] = {
    "retry": (lambda spool, which: spool.retry_now(which), "retried", "try queued messages now"),
    "hold": (lambda spool, which: spool.hold(which), "held", "keep queued messages back"),
    "release": (lambda spool, which: spool.release(which), "released", "let held messages go, now"),
    "delete": (lambda spool, which: spool.delete(which), "deleted", "take messages out of the queue, without a DSN"),
}
_WAKES = ("retry", "release")
_CHANGES = {"retry": {State.QUEUED}, "hold": {State.QUEUED}, "release": {State.HELD}}
"""The state in which a recipient is touched by an operation; `delete` takes all."""


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "queue", "list the queue and work it",
        "List the queue and work it. What is being delivered at the moment is left alone.", with_config=False,
    )  # fmt: skip
    words = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = add_word(words, "list", "list what waits, oldest first")
    _add_filters(listing)
    listing.add_argument("--limit", type=int, default=LIST_LIMIT, metavar="N", help="at most N (default: %(default)s)")
    _add_common(listing, run_list)
    show = add_word(words, "show", "show one message: envelope, decision, last replies, and its header, not its body")
    show.add_argument("id", metavar="ID", help="queue id, as in the list, the log, and our 250")
    _add_common(show, run_show)
    for name, (_, _, summary) in _OPERATIONS.items():
        word = add_word(words, name, summary)
        word.add_argument("ids", nargs="*", metavar="ID", help="queue ids")
        _add_filters(word)
        word.add_argument("--all", action="store_true", help="everything in the queue; needed where no filter is given")
        word.set_defaults(operation=name)
        _add_common(word, run_operation)


def _add_common(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--id", default="", metavar="ID", help="this queue id")
    parser.add_argument("--sender", default="", metavar="ADDRESS", help="this reverse-path; * stands for anything")
    parser.add_argument("--recipient", default="", metavar="ADDRESS", help="this recipient; * stands for anything")
    parser.add_argument("--next-hop", default="", metavar="NAME", help="for this next hop")
    parser.add_argument("--state", type=State, choices=(State.QUEUED, State.HELD), metavar="queued|held", default=None,
        help="this state; held is what a rule or `queue hold` keeps back")  # fmt: skip
    parser.add_argument("--older-than", type=seconds_of, metavar="TIME", default=None, help="accepted before 30m, 4h …")


def run_list(arguments: argparse.Namespace) -> int:
    async def use(spool: Spool, configuration: Configuration) -> int:
        entries = await spool.entries(_filter(arguments), limit=arguments.limit)
        if arguments.json:
            print_json([queue_view.entry_to_json(entry) for entry in entries])
        else:
            queue_view.print_entries(entries)
        return ExitCode.OK

    return _with_spool(arguments, use)


def run_show(arguments: argparse.Namespace) -> int:
    async def use(spool: Spool, configuration: Configuration) -> int:
        delivery = await spool.load(arguments.id)
        entries = await spool.entries(QueueFilter(queue_id=arguments.id))
        if delivery is None or not entries:
            raise CommandFailedError(f"{arguments.id} is not in the queue")
        header = await _header(spool, arguments.id)
        if arguments.json:
            print_json(queue_view.message_to_json(delivery.message, entries[0], header))
        else:
            queue_view.print_message(delivery.message, entries[0], header)
        return ExitCode.OK

    return _with_spool(arguments, use)


async def _header(spool: Spool, queue_id: str) -> bytes:
    """The message's header. Raises CommandFailedError."""
    try:
        return await asyncio.to_thread(read_header, await spool.read_body(queue_id))
    except (KeyError, MailError) as exc:
        raise CommandFailedError(f"{queue_id} has gone, or its file is missing in the spool") from exc


def run_operation(arguments: argparse.Namespace) -> int:
    filters = filters_of(arguments)
    operate, done, _ = _OPERATIONS[arguments.operation]

    async def use(spool: Spool, configuration: Configuration) -> int:
        ids = [queue_id for which in filters for queue_id in await _concerned(spool, which, arguments.operation)]
        count = sum([await operate(spool, which) for which in filters])
        _log(configuration, arguments.operation, filters, count, ids)
        if arguments.operation in _WAKES:
            _wake(configuration)
        if arguments.json:
            print_json({done: count})
        else:
            print(f"{done}: {count}")
        return ExitCode.OK if count or not arguments.ids else ExitCode.FAILED

    return _with_spool(arguments, use)


def filters_of(arguments: argparse.Namespace) -> list[QueueFilter]:
    """What to work on: one filter for each id, or one in all. Raises CommandFailedError if that would be everything."""
    which = _filter(arguments)
    ids = list(dict.fromkeys(arguments.ids))
    if not ids and which == QueueFilter() and not arguments.all:
        text = f"`queue {arguments.operation}` needs an id or a filter; --all means everything in the queue"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
    if (ids or which != QueueFilter()) and arguments.all:
        raise CommandFailedError("--all goes with no id and no filter", ExitCode.BAD_CONFIGURATION)
    return [replace(which, queue_id=queue_id) for queue_id in ids] or [which]


def read_header(body: Body) -> bytes:
    """The message's header, up to HEADER_MAX octets."""
    if body.data is not None:
        start = body.data[:HEADER_MAX]
    else:
        assert body.path is not None
        with body.path.open("rb") as file:
            start = file.read(HEADER_MAX)
    return start.partition(b"\r\n\r\n")[0]


def _filter(arguments: argparse.Namespace) -> QueueFilter:
    return QueueFilter(
        arguments.id, arguments.sender, arguments.recipient, arguments.next_hop, arguments.state, arguments.older_than
    )


def _with_spool(arguments: argparse.Namespace, use: Callable[[Spool, Configuration], Awaitable[int]]) -> int:
    from mta.adapters.store.errors import StoreError
    from mta.app import open_spool
    from mta.config.load import examine_configuration
    from mta.config.problems import ConfigurationError

    try:
        # Not its surroundings: an administrator's shell has no secrets in its environment.
        configuration = examine_configuration(arguments.config)[0].value
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc

    # Made here it would belong to whoever gave the command, and the service could not use it.
    if not configuration.spool.folder.is_dir():
        raise CommandFailedError(
            f"there is no spool at {configuration.spool.folder}; the relay makes it when it starts"
        )

    async def run() -> int:
        spool = await open_spool(configuration, slot=None)
        try:
            return await use(spool, configuration)
        finally:
            await spool.close()

    try:
        return asyncio.run(run())
    except (StoreError, OSError) as exc:
        raise CommandFailedError(str(exc)) from exc


def _wake(configuration: Configuration) -> None:
    """Have a running relay look at the queue at once; one that doesn't run looks when it starts."""
    from mta.control.client import NotRunningError, ask

    try:
        ask(configuration.control.socket, {"do": "wake"}, timeout_s=10)
    except NotRunningError:
        print("the relay does not run; it will look at the queue when it starts", file=sys.stderr)
    except OSError as exc:
        raise CommandFailedError(f"done, but the relay was not reached; it will look by itself soon: {exc}") from exc


async def _concerned(spool: Spool, which: QueueFilter, operation: str) -> list[str]:
    """Queue ids of what an operation is about to change, for the log."""
    states = _CHANGES.get(operation, frozenset(State))
    return [
        entry.queue_id
        for entry in await spool.entries(which, limit=LOGGED_MAX)
        if not entry.leased and any(recipient.state in states for recipient in entry.recipients)
    ]


def _log(
    configuration: Configuration, what: str, filters: Sequence[QueueFilter], count: int, ids: Sequence[str]
) -> None:
    """Who changed what, in the relay's log; with the queue ids, so that grep finds what befell a message."""
    from mta import events
    from mta.log_sinks import sinks_from

    logs = configuration.logs.model_copy(update={"also": ()})
    events.configure(sinks_from(logs, "relay"), as_json=logs.format == "json", level=logs.level)
    by = os.environ.get("SUDO_USER") or getpass.getuser()
    which = "; ".join(queue_view.filter_text(each) for each in filters)
    for start in range(0, max(len(ids), 1), IDS_PER_LINE):
        some = ids[start : start + IDS_PER_LINE]
        events.queue_changed(what, by=by, which=which, deliveries=count, queue_ids=some)
