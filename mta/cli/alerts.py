"""`stampline alerts`: what is wrong at the moment, and whether the ways to tell of it work."""

from __future__ import annotations

import argparse
import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

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


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "alerts", "show what is wrong, or test the ways to be told",
        "Show what is wrong at the moment, as the running relay has found it: mail that waits too long, stopped next\n"
        "hops, a refused reload, full disks, certificates that expire. Exit code 1 where anything is.\n"
        "With --test, a test goes out at once by mail and webhook as they are configured.",
    )  # fmt: skip
    parser.add_argument("--test", action="store_true", help="send a test by each channel; exit code 1 where one fails")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.test:
        return _test(arguments)
    from mta.watch.board import STATE_FILE, Board

    board = Board(ends_after=timedelta(), repeat=timedelta())
    board.read(one_path(arguments, "spool", "folder") / STATE_FILE)
    current = board.current
    if arguments.json:
        print_json([
            {"key": e.trouble.key, "kind": e.trouble.kind, "subject": e.trouble.subject, "text": e.trouble.text,
             "since": e.since.isoformat(timespec="seconds"), "told": sorted(e.told)}
            for e in current
        ])  # fmt: skip
    else:
        now = datetime.now(UTC)
        for entry in current:
            print(printable(f"{entry.trouble.subject} (for {short_age((now - entry.since).total_seconds())})"))
            print(printable(f"    {entry.trouble.text}"))
        if not current:
            print("nothing is wrong")
    return ExitCode.FAILED if current else ExitCode.OK


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
