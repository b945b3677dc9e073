"""The command `stampline`: one module per command, imported only when it is called.

Each module has `add_parser(subparsers)`, which sets `run`: a function that takes the parsed arguments and returns an
exit code (`mta.cli.command.ExitCode`).
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from importlib import import_module

from mta import __version__
from mta.cli.command import EXIT_CODES, CommandFailedError, ExitCode

COMMANDS = {
    "serve": ("mta.cli.serve", "run the relay until SIGTERM"),
    "reload": ("mta.cli.reload", "have the running relay read its configuration anew"),
    "status": ("mta.cli.status", "show the running relay and its workers"),
    "check": ("mta.cli.check", "validate configuration, rules and templates"),
    "explain": ("mta.cli.explain", "show which rules a message would meet, and why"),
    "schema": ("mta.cli.schema", "print the JSON Schema of a kind of file"),
    "preview": ("mta.cli.preview", "show a template as readers will see it"),
    "directory": ("mta.cli.directory", "show people as templates see them, and who lacks what templates print"),
    "dkim": ("mta.cli.dkim", "make keys that sign mail, and print what DNS has to hold for them"),
    "queue": ("mta.cli.queue", "list the queue and work it"),
    "alerts": ("mta.cli.alerts", "show what is wrong, or test the ways to be told"),
    "account": ("mta.cli.account", "add, remove, list and verify accounts for SMTP AUTH"),
    "drain": ("mta.cli.drain", "take no mail on this node, and deliver what it has"),
    "undrain": ("mta.cli.undrain", "take mail again, after `drain`"),
    "sentitems": ("mta.cli.sentitems", "see and work the copies for senders' Sent Items, and set them up"),
    "mailbox": ("mta.cli.mailbox", "see, try, poll, pause and resume monitored mailboxes; what they left out"),
    "records": ("mta.cli.records", "see the records of tracking, and decide about strangers' messages"),
    "tracking": ("mta.cli.tracking", "show what tracking would do with a message, and why"),
    "outgoing": ("mta.cli.outgoing", "show the outgoing accounts of tracking, and try them"),
    "erase": ("mta.cli.erase", "take a person out of queue, jobs and records"),
    "trace": ("mta.cli.trace", "tell a message's whole life, from the logs and the queue"),
    "bypass": ("mta.cli.bypass", "relay everything unstamped, at once"),
    "demo": ("mta.cli.demo", "show the relay at work on sample mail"),
    "_worker": ("mta.cli.worker", ""),
    "_watch": ("mta.cli.companion", ""),
    "_sentitems": ("mta.cli.companion", ""),
    "_tracking": ("mta.cli.companion", ""),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        parser = _parser(given)
        parsed, unknown = parser.parse_known_args(given)
        if unknown:
            parser.error(f"unrecognized arguments: {' '.join(unknown)} (`stampline {given[0]} --help` lists them all)")
        return int(parsed.run(parsed))
    except CommandFailedError as exc:
        print(f"stampline: {exc}", file=sys.stderr)
        return exc.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `stampline queue list | head`
        sys.stderr.close()
        return ExitCode.OK


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stampline", description="An in-line mail relay that stamps, splits and routes.", epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"stampline {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND ...", required=True)
    called = next((argument for argument in given if not argument.startswith("-")), "")
    for name, (module, summary) in COMMANDS.items():
        if name == called:
            gc.disable()  # an import makes much that stays, and nothing to collect: a tenth of the time to start
            import_module(module).add_parser(subparsers)
            gc.enable()
        elif summary:
            subparsers.add_parser(name, help=summary)
    return parser
