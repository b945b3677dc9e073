"""`stampline _watch`, `_sentitems`, `_tracking`: what runs beside the workers; the supervisor starts them, not people.

What all processes that the supervisor starts have in common stands here, too.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import signal
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from mta import events
from mta.cli.command import CommandFailedError


def add_parser(subparsers: Any) -> None:
    for name, description, life in (
        ("watch", "Watches the relay", _watch),
        ("sentitems", "Writes to senders' Sent Items", _sentitems),
        ("tracking", "Monitors mailboxes and keeps records", _tracking),
    ):
        parser = add_process_parser(subparsers, name, description)
        parser.set_defaults(run=_run, name=name, life=life)


def add_process_parser(subparsers: Any, name: str, description: str) -> argparse.ArgumentParser:
    """The parser of `stampline _NAME`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        f"_{name}", description=f"{description}; the supervisor starts it."
    )
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--slot", type=int, required=True)
    parser.add_argument("--channel", type=int, required=True)
    return parser


def begin_process() -> None:
    """Signals that are for the supervisor alone are none for us; one that hangs is ended by SIGABRT, and says where."""
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _run(arguments: argparse.Namespace) -> int:
    begin_process()
    life: Callable[[int], Coroutine[Any, Any, int]] = arguments.life
    try:
        return asyncio.run(life(arguments.channel))
    except Exception as exc:
        events.internal_error(arguments.name, error=repr(exc), traceback=traceback.format_exc())
        raise CommandFailedError(f"{arguments.name}: {exc}") from exc


def _watch(channel_fd: int) -> Coroutine[Any, Any, int]:
    from mta.app.watch import run_watch

    return run_watch(channel_fd)


def _sentitems(channel_fd: int) -> Coroutine[Any, Any, int]:
    from mta.app.sentitems import run_sentitems

    return run_sentitems(channel_fd)


def _tracking(channel_fd: int) -> Coroutine[Any, Any, int]:
    from mta.app.tracking import run_tracking

    return run_tracking(channel_fd)
