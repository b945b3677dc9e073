"""`stampline alerts`: what is wrong at the moment, and whether the ways to tell of it work."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from textwrap import fill, indent
from typing import TYPE_CHECKING, Any

from mta.cli.command import (
    CommandFailedError,
    ExitCode,
    bad_configuration,
    new_parser,
    one_path,
    print_json,
    printable,
    short_age,
)
from mta.config.problems import ConfigurationError

if TYPE_CHECKING:
    from mta.watch.board import Entry


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "alerts", "show what is wrong, or test the ways to be told",
        "Show what is wrong at the moment, as the running relay has found it: mail that waits too long, stopped next\n"
        "hops, a refused reload, full disks, certificates that expire, orders that may have been forgotten.\n"
        "Exit code 1 where anything is, 3 where nobody has looked lately, because the relay does not run.\n"
        "With --test, a test goes out at once by mail and webhook as they are configured.",
    )  # fmt: skip
    parser.add_argument("--test", action="store_true", help="send a test by each channel; exit code 1 where one fails")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.test:
        return _test(arguments)
    from mta.watch.board import STATE_FILE, Board

    folder, now = one_path(arguments, "spool", "folder"), datetime.now(UTC)
    if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
        raise CommandFailedError(f"the spool {folder} can't be read: run this as root, or as the service's user")
    board = Board(ends_after=timedelta(), repeat=timedelta())
    board.read(folder / STATE_FILE)
    is_fresh = board.holds_until is not None and now <= board.holds_until
    if arguments.json:
        print_json([
            {"key": e.trouble.key, "kind": e.trouble.kind, "subject": e.trouble.subject, "text": e.trouble.text,
             "since": e.since.isoformat(timespec="seconds"), "told": sorted(e.told)}
            for e in board.current
        ])  # fmt: skip
    else:
        _print(board.current, now, is_fresh=is_fresh)
    if not is_fresh:
        last = f"{short_age((now - board.looked_at).total_seconds())} ago" if board.looked_at else "never"
        text = f"nobody watches (the last look: {last}); `stampline status` says whether the relay runs"
        raise CommandFailedError(text, ExitCode.NOT_RUNNING)
    return ExitCode.FAILED if board.current else ExitCode.OK


def _print(current: Sequence[Entry], now: datetime, *, is_fresh: bool) -> None:
    for entry in current:
        print(printable(f"{entry.trouble.subject} (for {short_age((now - entry.since).total_seconds())})"))
        print(indent(fill(printable(entry.trouble.text), shutil.get_terminal_size().columns - 5), "    "))
    if not current and is_fresh:
        print("nothing is wrong")


def _test(arguments: argparse.Namespace) -> int:
    from mta.app.watch import channels_of
    from mta.config.load import examine_configuration
    from mta.ports.notification import Notice, NotificationError

    try:
        channels = channels_of(examine_configuration(arguments.config)[0].value)
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc
    except (OSError, KeyError) as exc:
        raise CommandFailedError(f"a channel can't be used: {exc}") from exc
    if not channels:
        raise CommandFailedError("no channel is configured: alerts: {mail: …} or {webhook: …}")
    notice = Notice(
        "test", "test", "test", "this is a test", "Alerts of this relay reach you.", datetime.now(UTC)
    )  # fmt: skip
    results = {}
    for channel in channels:
        try:
            asyncio.run(channel.send([notice]))
            results[channel.name] = ""
        except NotificationError as exc:
            results[channel.name] = str(exc)
    if arguments.json:
        print_json({name: {"ok": not error, "error": error} for name, error in results.items()})
    else:
        for name, error in results.items():
            print(printable(f"{name}: {f'FAILED: {error}' if error else 'sent'}"))
    return ExitCode.FAILED if any(results.values()) else ExitCode.OK
