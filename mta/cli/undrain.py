"""`stampline undrain`: take mail again."""

from __future__ import annotations

import argparse
from typing import Any

from mta import events
from mta.cli.command import ExitCode, new_parser, print_json
from mta.cli.queue_spool import log_as_relay, read_configuration, wake, who, with_spool


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "undrain", "take mail again, after `drain`", "Take mail again on this node, at once."
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    was_draining = with_spool(configuration, lambda spool: spool.undrain())
    if was_draining:
        log_as_relay(configuration)
        events.undrained(by=who())
    wake(configuration)
    if arguments.json:
        print_json({"draining": False, "was_draining": was_draining})
    else:
        print("mail is taken again" if was_draining else "this node was not draining")
    return ExitCode.OK
