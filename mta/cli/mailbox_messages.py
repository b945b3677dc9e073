"""`stampline mailbox messages`: what became of messages of monitored mailboxes, above all of those in no record."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mta.cli.command import ExitCode, at_least_one, print_json, print_table, printable, seconds_of
from mta.cli.mailbox_names import Mailboxes, mailboxes_of, require
from mta.cli.queue_spool import read_configuration, with_store
from mta.config.schema import Configuration
from mta.config.tracking_schema import MonitoredMailbox, set_aside_folder
from mta.model.printable import in_a_line
from mta.model.tracking import UNSETTLED, Entry, EntryState
from mta.ports.tracking_store import TrackingStore

SHOWN = 100
LEFT_OUT = (EntryState.FILTERED, EntryState.UNMATCHED, EntryState.SET_ASIDE, EntryState.PENDING)
"""In no record, and somebody may want them there."""
_EVERY = "all"
_CELL = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What narrows the list down; all that is given must hold."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="only of these mailboxes")
    words = [*(state.value for state in EntryState), _EVERY]
    default = ", ".join(state.value for state in LEFT_OUT)
    parser.add_argument("--state", action="append", default=[], choices=words, metavar="WORD",
        help=f"{', '.join(words)}; can be given several times (default: {default})")  # fmt: skip
    parser.add_argument("--sender", default="", metavar="ADDRESS", help="from this address; * stands for anything")
    parser.add_argument("--since", type=seconds_of, default=None, metavar="TIME", help="of the last 12h, 2d …")
    parser.add_argument("--limit", type=at_least_one, default=SHOWN, metavar="N", help="at most N, the newest "
        "(default: %(default)s)")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Found:
    entry: Entry
    lies_in: str
    """Folder; "" where nobody knows."""
    is_taken_since: bool
    """It was set aside, and then somebody had it tried again."""


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    mailboxes = mailboxes_of(configuration)
    for name in arguments.names:
        require(name, mailboxes)
    since = None if arguments.since is None else datetime.now(UTC) - timedelta(seconds=arguments.since)
    states = () if _EVERY in arguments.state else tuple(map(EntryState, arguments.state)) or LEFT_OUT

    async def use(store: TrackingStore) -> list[_Found]:
        entries = await store.entries(
            states=states, mailboxes=arguments.names, sender=arguments.sender.lower(), since=since,
            limit=arguments.limit + 1,
        )  # fmt: skip
        return [
            _Found(entry, _folder(entry, mailboxes, configuration), await _is_taken_since(store, entry))
            for entry in entries
        ]

    found = with_store(configuration, use)
    shown = found[: arguments.limit]
    if arguments.json:
        print_json([_to_json(each) for each in shown])
        return ExitCode.OK
    _print(shown, has_more=len(found) > len(shown))
    return ExitCode.OK


async def _is_taken_since(store: TrackingStore, entry: Entry) -> bool:
    if entry.state is not EntryState.SET_ASIDE or not entry.message_id:
        return False
    later = await store.entry_of_message(entry.organisation, entry.message_id)
    return later is not None and later.state is not EntryState.SET_ASIDE


def _folder(entry: Entry, mailboxes: Mailboxes, configuration: Configuration) -> str:
    """Where it was put, as far as nobody has moved it since, and the settings are those of then."""
    if entry.mailbox not in mailboxes:
        return ""
    _, settings = mailboxes[entry.mailbox]
    if entry.state is EntryState.SET_ASIDE:
        return _aside(settings, configuration)
    if settings.kind == "pop3" or settings.after.do == "delete":
        return "(deleted)"
    return settings.after.folder if settings.after.do == "move" else "(in place, read)"


def _aside(settings: MonitoredMailbox, configuration: Configuration) -> str:
    if settings.kind == "pop3":  # which has none
        return str(set_aside_folder(configuration.spool.folder, settings.name))
    return settings.after.set_aside


def _print(shown: Sequence[_Found], *, has_more: bool) -> None:
    if not shown:
        print("no such messages")
        return
    headings = ("TIME", "MAILBOX", "SENDER", "STATE", "REASON", "RECORD", "LIES IN", "MESSAGE-ID")
    print_table(headings, [_row(each) for each in shown])
    if has_more:
        print("... and more: --since, --state, --sender or --limit")
    print()
    for text in dict.fromkeys(map(_explained, shown)):
        print(printable(text))
    states = {each.entry.state for each in shown if not each.is_taken_since}
    if not states.isdisjoint(UNSETTLED):
        print("filtered or unmatched by mistake: mend filters or rules, `stampline reload`, and put the message back "
              "(move it to the monitored folder; unread)")  # fmt: skip
    if EntryState.SET_ASIDE in states:
        print("set aside: move it back into the monitored folder to have it tried again; by POP3, send it there again")
    if EntryState.PENDING in states:
        print("pending: `stampline records accept|decline MESSAGE-ID`")


def _row(found: _Found) -> list[str]:
    entry = found.entry
    return [
        f"{entry.at.astimezone():%Y-%m-%d %H:%M:%S}",
        entry.mailbox,
        in_a_line(entry.sender, _CELL) or "-",
        entry.state.value,
        in_a_line(f"{entry.reason} (taken since)" if found.is_taken_since else entry.reason, _CELL),
        str(entry.transaction or "-"),
        in_a_line(found.lies_in, _CELL) or "-",
        in_a_line(entry.message_id or entry.key, 2000),
    ]


def _explained(found: _Found) -> str:
    entry = found.entry
    return f"{entry.state.value}, {_word(entry)}: {_meaning(entry) or '-'}"


def _word(entry: Entry) -> str:
    """The reason without what was said by a server."""
    return entry.reason.partition(": ")[0]


def _meaning(entry: Entry) -> str:
    from mta.tracking.meanings import meaning  # brings what filters and correlation need

    return meaning(entry.state, entry.reason)


def _to_json(found: _Found) -> dict[str, Any]:
    entry = found.entry
    return {
        "at": entry.at.isoformat(timespec="seconds"),
        "organisation": entry.organisation,
        "mailbox": entry.mailbox,
        "sender": entry.sender,
        "direction": entry.direction,
        "message_id": entry.message_id,
        "entry": entry.key,
        "state": entry.state.value,
        "reason": entry.reason,
        "meaning": _meaning(entry),
        "record": str(entry.transaction) if entry.transaction is not None else None,
        "lies_in": found.lies_in,
        "taken_since": found.is_taken_since,
    }
