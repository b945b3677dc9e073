"""`stampline _watch`: the process that watches; started by the supervisor, never by people."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import signal
import traceback
from pathlib import Path
from typing import Any

from mta import events
from mta.cli.command import CommandFailedError


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser("_watch", description="Watches the relay; the supervisor starts it.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--slot", type=int, required=True)
    parser.add_argument("--channel", type=int, required=True)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from mta.app.watch import run_watch

    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return asyncio.run(run_watch(arguments.channel))
    except (OSError, KeyError) as exc:
        events.internal_error("watch", error=str(exc), traceback=traceback.format_exc())
        raise CommandFailedError(f"watch: {exc}") from exc
