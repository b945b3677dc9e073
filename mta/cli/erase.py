"""`stampline erase`: take a person out of queue, Sent Items jobs and records, and say what stays and why."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from mta import events
from mta.cli import erase_view
from mta.cli.command import CommandFailedError, ExitCode, new_parser, print_json, printable
from mta.cli.erase_elsewhere import Elsewhere, look_elsewhere
from mta.cli.queue_spool import become_the_service, log_as_relay, read_configuration, who, with_erasure
from mta.config.schema import Configuration
from mta.model.address import AddressError, parse_address
from mta.model.erasure import Erased, ErasedPerson, RecordsMode, Wiped
from mta.ports.erasure import Erasure

_EXITS = (
    "exit codes: 0 nothing of the person is left in the store, or a dry run · 1 failed, or something waits and was\n"
    "kept: the same command again, later · 2 bad configuration or usage, nothing was changed"
)  # fmt: skip
_PROGRESS_FROM = 2000
"""Rows from which on a terminal is told how far it is."""


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "erase", "take a person out of queue, jobs and records",
        "Remove what is kept of a person: in records of tracking and their notes, tasks, jobs for mailboxes and the\n"
        "database's free places. Addresses count with any tag behind + and in any case; name all that the person has.\n"
        "What waits to be delivered or told to others stays, and is listed with the command that drops it; so are log\n"
        "files and other files that name the person, which are left alone. Works while the relay runs, and when it\n"
        "doesn't; broken off, the same command goes on. There is no way back.",
    )  # fmt: skip
    parser.epilog = _EXITS
    parser.add_argument("addresses", nargs="+", metavar="ADDRESS", help="the person's addresses")
    parser.add_argument("--name", action="append", default=[], metavar="NAME", dest="names", help="also take this name "
        "out of records that name an address (full names that stand with the person's notes go anyhow)")  # fmt: skip
    parser.add_argument("--records", type=RecordsMode, choices=tuple(RecordsMode), default=RecordsMode.REMOVE,
        metavar="remove|keep-text", help="what the person wrote in records: remove it (the default), or keep its text "
        "without address, name and files")  # fmt: skip
    parser.add_argument("--rewrite", action="store_true", help="rewrite a large database, too, so that nothing is left "
        "in free places within it; mail waits meanwhile, 10 to 20 seconds for each GB")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="say what would go and what would stay; change nothing")
    parser.add_argument("--yes", action="store_true", help="don't ask")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    person = _person(arguments)
    configuration = read_configuration(arguments)
    asks = not (arguments.dry_run or arguments.yes)
    if asks and (arguments.json or not (sys.stdin.isatty() and sys.stdout.isatty())):
        text = "nothing was changed: --yes erases without asking, --dry-run shows what that would be"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
    by, progress = who(), _Progress()
    become_the_service(configuration.spool.folder)
    elsewhere = look_elsewhere(configuration, arguments.config, person, progress.step)
    progress.end()
    if arguments.dry_run or asks:
        found = _survey(configuration, person, arguments.records, progress)
        _show(arguments, person, found, elsewhere, None)
        if arguments.dry_run:
            return ExitCode.OK
        _confirm(person)
    return _erase(arguments, configuration, person, elsewhere, progress, by)


def _person(arguments: argparse.Namespace) -> ErasedPerson:
    """Raises CommandFailedError."""
    addresses = []
    for text in arguments.addresses:
        try:
            addresses.append(parse_address(text.strip().removeprefix("<").removesuffix(">")))
        except AddressError as exc:
            raise CommandFailedError(f"{text!r} is no address: {exc}", ExitCode.BAD_CONFIGURATION) from exc
    names = [" ".join(name.split()) for name in arguments.names]
    if not all(names):
        raise CommandFailedError("--name needs a name", ExitCode.BAD_CONFIGURATION)
    return ErasedPerson.of(addresses, names)


def _survey(
    configuration: Configuration, person: ErasedPerson, mode: RecordsMode, progress: _Progress
) -> Erased:  # fmt: skip
    async def use(erasure: Erasure) -> Erased:
        return await erasure.survey(person, mode, progress.step)

    try:
        return with_erasure(configuration, use)
    finally:
        progress.end()


def _erase(
    arguments: argparse.Namespace, configuration: Configuration, person: ErasedPerson, elsewhere: Elsewhere,
    progress: _Progress, by: str,
) -> int:  # fmt: skip
    """The log has a digest in the person's place: who knows the address finds the line, nobody else learns it."""
    log_as_relay(configuration)
    mode: RecordsMode = arguments.records
    events.erasure_begun(person.digest, by=by, records=mode.value)

    async def use(erasure: Erasure) -> tuple[Erased, Wiped]:
        done = await erasure.erase(person, mode, progress.step)
        return done, await erasure.wipe(anyhow=arguments.rewrite)

    try:
        done, wiped = with_erasure(configuration, use)
    finally:
        progress.end()
    events.erasure_done(person.digest, by=by, what=erase_view.counts_text(done), kept=len(done.kept))
    _show(arguments, person, done, elsewhere, wiped)
    return ExitCode.OK if erase_view.is_complete(done, wiped) else ExitCode.FAILED


def _show(
    arguments: argparse.Namespace, person: ErasedPerson, done: Erased, elsewhere: Elsewhere, wiped: Wiped | None
) -> None:
    if arguments.json:
        print_json(erase_view.to_json(person, done, elsewhere, wiped))
    else:
        erase_view.print_all(person, done, elsewhere, wiped)


def _confirm(person: ErasedPerson) -> None:
    """Raises CommandFailedError at a no."""
    who_is_meant = printable(", ".join(sorted(person.addresses)))
    print(f"Erase all of that, of {who_is_meant}? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandFailedError("nothing was changed")


class _Progress:
    """On a terminal: what is gone through, and how far."""

    def __init__(self) -> None:
        self._shows = sys.stderr.isatty()
        self._has_shown = False

    def step(self, what: str, rows: int) -> None:
        if self._shows and rows >= _PROGRESS_FROM:
            print(f"\r\x1b[K{what.replace('_', ' ')}: {rows:,}", end="", file=sys.stderr, flush=True)
            self._has_shown = True

    def end(self) -> None:
        if self._has_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._has_shown = False
