"""`stampline serve`: validate everything, then supervise workers until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from mta import events
from mta.app.validated import read_validated
from mta.cli.command import CommandFailedError, ExitCode, bad_configuration, new_parser
from mta.config.problems import ConfigurationError
from mta.control.server import AlreadyRunningError
from mta.log_sinks import sinks_from
from mta.supervise.companions import Companion
from mta.supervise.sockets import PortTakenError
from mta.supervise.supervisor import StartError, Supervisor, Validated

COMPANIONS = {
    "watch": Companion(
        (sys.executable, "-m", "mta", "_watch"),
        begins_after_s=lambda configuration: configuration.alerts.look_every.total_seconds(),
    ),
    "sentitems": Companion(
        (sys.executable, "-m", "mta", "_sentitems"),
        is_wanted=lambda configuration: bool(configuration.mailbox_servers),
    ),
    "tracking": Companion(
        (sys.executable, "-m", "mta", "_tracking"),
        is_wanted=lambda configuration: any(each.tracking is not None for each in configuration.every_organisation),
    ),
}
"""What runs beside the workers. There is nothing to watch yet when they begin."""


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "serve", "run the relay until SIGTERM",
        "Run the relay in the foreground: one supervisor and its workers.\n"
        "SIGHUP reloads, SIGTERM and SIGINT finish what is in hand and end; a second one ends at once.",
    )  # fmt: skip
    parser.add_argument("--workers", type=_count, metavar="N", help="workers (default: as configured, else one a core)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        current = validate(arguments.config)
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc
    logs = current.configuration.logs
    events.configure(sinks_from(logs, "supervisor"), as_json=logs.format == "json", level=logs.level)
    supervisor = Supervisor(
        arguments.config, current, validate, workers=arguments.workers, companions=COMPANIONS
    )  # fmt: skip
    try:
        asyncio.run(supervisor.run())
    except (AlreadyRunningError, PortTakenError, StartError, OSError) as exc:
        events.internal_error("start", error=str(exc))
        raise CommandFailedError(str(exc)) from exc
    return ExitCode.OK


def validate(path: Path) -> Validated:
    """Load and check configuration, rules and templates. Raises ConfigurationError with every problem."""
    snapshot = read_validated(path)
    return Validated(snapshot.name, snapshot.configuration, snapshot.rules, snapshot.templates)


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= 64:
        raise argparse.ArgumentTypeError("workers are 1 to 64")
    return number
