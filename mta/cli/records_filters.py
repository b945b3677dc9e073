"""Which records a command means: its arguments, and the filter that they make."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields

from mta.cli.command import CommandFailedError, ExitCode, seconds_of
from mta.model.record import RecordFilter

_NUMBERED = re.compile(r"(?:([a-z][a-z0-9-]{0,31})-)?0*([1-9][0-9]{0,17})", re.ASCII)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """The options that narrow a command down; what is given of them must all hold."""
    group = parser.add_argument_group("filters (all that are given must hold; * stands for anything in texts)")
    group.add_argument("--module", default="", metavar="NAME", help="of this kind: ticket, case …")
    group.add_argument("--state", default="", metavar="WORD", help="in this state: open, closed …")
    group.add_argument("--requester", default="", metavar="ADDRESS", help="about this person")
    group.add_argument("--owner", default="", metavar="ADDRESS", help="of this owner")
    group.add_argument("--source", default="", metavar="NAME", help="that came by this mailbox")
    group.add_argument("--title", default="", metavar="TEXT", help="with this title; *TEXT* finds it within")
    group.add_argument("--organisation", default="", metavar="NAME", help="of this organisation")
    group.add_argument("--older-than", type=seconds_of, default=None, metavar="TIME", help="made longer ago: 4h, 2d …")
    group.add_argument("--unchanged-for", type=seconds_of, default=None, metavar="TIME", help="unchanged for so long")
    group.add_argument("--deleted", action="store_true", help="also records that a rule has deleted")


def filter_of(arguments: argparse.Namespace) -> RecordFilter:
    """The filter that the options make."""
    return RecordFilter(
        organisation=arguments.organisation,
        module=arguments.module,
        state=arguments.state,
        requester=arguments.requester,
        owner=arguments.owner,
        source=arguments.source,
        title=arguments.title,
        older_than_s=arguments.older_than,
        unchanged_for_s=arguments.unchanged_for,
        with_deleted=arguments.deleted,
    )


def filter_text(which: RecordFilter) -> str:
    """A filter as it stands in the log, e.g. `module=ticket state=closed`, without titles; `all` for the empty one."""
    given = [(each.name, getattr(which, each.name)) for each in fields(which) if each.name != "with_deleted"]
    texts = [f"{name}={'…' if name == 'title' else value}" for name, value in given if value]
    return " ".join(texts) or "all"


def numbered(text: str) -> tuple[str, int]:
    """`ticket-17` as module ("" where none is said) and number, with zeros or without. Raises CommandFailedError."""
    match = _NUMBERED.fullmatch(text.strip().lower())
    if match is None:
        raise CommandFailedError(f"{text!r} names no record: write `ticket-17`", ExitCode.BAD_CONFIGURATION)
    return match[1] or "", int(match[2])
