"""Which part of the queue a command means: its arguments, and the filters that they make."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from enum import Enum

from mta.cli.command import CommandFailedError, ExitCode, seconds_of
from mta.model.delivery import State
from mta.model.queue import QueueFilter

_OCTETS = re.compile(r"(\d{1,12})\s*([kMG]?)B?\Z")
_UNITS = {"": 1, "k": 1000, "M": 1_000_000, "G": 1_000_000_000}


def add_filters(parser: argparse.ArgumentParser) -> None:
    """The options that narrow a command down; what is given of them must all hold."""
    group = parser.add_argument_group("filters (all that are given must hold; * stands for anything in addresses)")
    add = group.add_argument
    add("--id", default="", metavar="ID", help="this queue id")
    add("--sender", default="", metavar="ADDRESS", help="this reverse-path; <> is the null one, of DSNs")
    add("--recipient", default="", metavar="ADDRESS", help="this recipient, and of a message with more this one alone")
    add("--message-id", default="", metavar="<ID>", help="this Message-ID")
    add("--next-hop", default="", metavar="NAME",
        help="for this next hop; one that delivers by MX has a NAME/DOMAIN for each domain")  # fmt: skip
    add("--state", type=State, choices=(State.QUEUED, State.HELD), metavar="queued|held", default=None,
        help="this state; held is what a rule or `queue hold` keeps back")  # fmt: skip
    add("--reply", default="", metavar="TEXT", help="this in a recipient's last reply, e.g. 4.2.2 or 'mailbox full'")
    add("--older-than", type=seconds_of, metavar="TIME", default=None, help="accepted before 30m, 4h …")
    add("--younger-than", type=seconds_of, metavar="TIME", default=None, help="accepted within the last 30m, 4h …")
    add("--larger-than", type=octets_of, metavar="SIZE", default=None, help="larger than 500kB, 10MB …")
    add("--smaller-than", type=octets_of, metavar="SIZE", default=None, help="smaller than that")


def octets_of(text: str) -> int:
    """A size as in the configuration: `500kB`, `10MB`. Raises argparse's error for anything else."""
    match = _OCTETS.match(text)
    if match is None:
        raise argparse.ArgumentTypeError("write a size as a whole number and a unit: 900B, 500kB, 10MB or 2GB")
    return int(match[1]) * _UNITS[match[2]]


def filter_of(arguments: argparse.Namespace) -> QueueFilter:
    """What the options say."""
    message_id = arguments.message_id
    if message_id and not message_id.startswith(("<", "*")):
        message_id = f"<{message_id}>"  # a shell takes the brackets for redirections, so they may be left out
    return QueueFilter(
        queue_id=arguments.id,
        sender=_address(arguments.sender),
        recipient=_address(arguments.recipient),
        next_hop=arguments.next_hop,
        state=arguments.state,
        older_than_s=arguments.older_than,
        younger_than_s=arguments.younger_than,
        larger_than=arguments.larger_than,
        smaller_than=arguments.smaller_than,
        message_id=message_id,
        reply=arguments.reply,
    )


def _address(text: str) -> str:
    """Without the brackets in which `queue list` shows it; `<>` stays what it is."""
    return text[1:-1] if text.startswith("<") and text.endswith(">") and text != "<>" else text


def filters_of(arguments: argparse.Namespace, command: str) -> list[QueueFilter]:
    """What to work on: one filter for each id, or one in all. Raises CommandFailedError if that would be everything."""
    which = filter_of(arguments)
    ids = list(dict.fromkeys(arguments.ids))
    if not ids and which == QueueFilter() and not arguments.all:
        text = f"`queue {command}` needs an id or a filter; --all means everything in the queue"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
    if (ids or which != QueueFilter()) and arguments.all:
        raise CommandFailedError("--all goes with no id and no filter", ExitCode.BAD_CONFIGURATION)
    if ids and which.queue_id:
        raise CommandFailedError("--id goes with no other id", ExitCode.BAD_CONFIGURATION)
    return [replace(which, queue_id=queue_id) for queue_id in ids] or [which]


def filter_text(which: QueueFilter) -> str:
    """A filter as it stands in the log, e.g. `sender=jane@example.com state=held`; `all` for the empty one."""
    given = [(each.name, getattr(which, each.name)) for each in fields(which) if each.name != "accepted_by"]
    texts = [f"{name}={value.value if isinstance(value, Enum) else value}" for name, value in given if value]
    return " ".join(texts) or "all"


def narrowed(filters: Sequence[QueueFilter], state: State | None) -> list[QueueFilter]:
    """The filters as far as they mean recipients in that state; None is any state."""
    if state is None:
        return list(filters)
    return [replace(which, state=state) for which in filters if which.state in (None, state)]
