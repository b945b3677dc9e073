"""Which jobs in mailboxes a command means: its arguments, and the filters that they make."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from enum import Enum

from mta.cli.command import CommandFailedError, ExitCode, seconds_of
from mta.model.sentitem import JobFilter, JobKind, JobState

_OPTIONS = {"endpoint": "server"}
"""Fields that the options call otherwise."""


def add_filters(parser: argparse.ArgumentParser) -> None:
    """The options that narrow a command down; what is given of them must all hold."""
    group = parser.add_argument_group("filters (all that are given must hold; * stands for anything in texts)")
    group.add_argument("--mailbox", default="", metavar="ADDRESS", help="in this mailbox")
    group.add_argument("--message-id", default="", metavar="ID", help="with or without its angle brackets")
    group.add_argument("--queue-id", default="", metavar="ID", help="of a copy that came from this message")
    group.add_argument("--server", default="", metavar="NAME", help="on this mailbox server")
    group.add_argument("--organisation", default="", metavar="NAME", help="of this organisation")
    group.add_argument("--state", type=JobState, default=None, metavar="STATE",
        choices=tuple(JobState), help="waiting, done, skipped or given-up")  # fmt: skip
    group.add_argument("--kind", type=JobKind, default=None, metavar="KIND", choices=tuple(JobKind),
        help="copy: for senders' Sent Items; mark: on filed messages")  # fmt: skip
    group.add_argument("--reason", default="", metavar="WORD", help="as `list` shows it: not-found, edited …")
    group.add_argument(
        "--older-than", type=seconds_of, default=None, metavar="TIME", help="made longer ago than 10m, 2h …"
    )
    group.add_argument("--younger-than", type=seconds_of, default=None, metavar="TIME", help="made since then")


def filter_of(arguments: argparse.Namespace) -> JobFilter:
    """The filter that the options make."""
    message_id = arguments.message_id
    if message_id and not message_id.startswith(("<", "*")):
        message_id = f"<{message_id}>"
    return JobFilter(
        mailbox=arguments.mailbox,
        message_id=message_id,
        queue_id=arguments.queue_id,
        endpoint=arguments.server,
        organisation=arguments.organisation,
        state=arguments.state,
        reason=arguments.reason,
        kind=arguments.kind,
        older_than_s=arguments.older_than,
        younger_than_s=arguments.younger_than,
    )


def filters_of(arguments: argparse.Namespace, command: str) -> list[JobFilter]:
    """What to work on: one filter for each id, or one in all. Raises CommandFailedError if that would be everything."""
    which = filter_of(arguments)
    ids = list(dict.fromkeys(arguments.ids))
    if not ids and which == JobFilter() and not arguments.all:
        text = f"`sentitems {command}` needs an id or a filter; --all means every job"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
    if (ids or which != JobFilter()) and arguments.all:
        raise CommandFailedError("--all goes with no id and no filter", ExitCode.BAD_CONFIGURATION)
    return [replace(which, id=each) for each in ids] or [which]


def filter_text(which: JobFilter) -> str:
    """A filter as it stands in the log, e.g. `mailbox=jane@example.com reason=edited`; `all` for the empty one."""
    given = [(_OPTIONS.get(each.name, each.name), getattr(which, each.name)) for each in fields(which)]
    texts = [f"{name}={value.value if isinstance(value, Enum) else value}" for name, value in given if value]
    return " ".join(texts) or "all"
