"""`stampline records`: see what tracking keeps, decide about strangers, and say which records are one."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from mta.cli import records_export, records_look, records_tasks, records_work
from mta.cli.command import add_operation, at_least_one, new_parser
from mta.cli.records_filters import add_filters

EXIT_CODES = "exit codes: 0 done, also where a filter matches nothing · 1 failed · 2 bad configuration or usage"
_word = partial(add_operation, exit_codes=EXIT_CODES)
LIST_LIMIT = 100
_RECORD = "as `ticket-17`, or its number alone where only one record has it"


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "records", "see the records of tracking, and decide about strangers' messages",
        "Conversations that are tracked, as records: tickets, cases, or whatever the modules are called.",
        with_config=False,
    )  # fmt: skip
    words = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = _word(words, "list", "list records, newest first", records_look.run_list)
    add_filters(listing)
    listing.add_argument("--limit", type=at_least_one, default=LIST_LIMIT, metavar="N", help="at most N records "
        "(default: %(default)s); the sums are those of all that match")  # fmt: skip
    listing.add_argument("--count", action="store_true", help="only the sums")
    show = _word(words, "show", "show one record with its notes, messages and tasks", records_look.run_show)
    _add_record(show, "which", "RECORD")
    show.add_argument("--attachment", type=at_least_one, default=None, metavar="N", help="write the N-th attachment, "
        "as it was, to standard output, and nothing else")  # fmt: skip
    export = _word(words, "export", "write records with their notes, oldest first", records_export.run, json=False)
    add_filters(export)
    form = export.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object on each line (the default)")
    form.add_argument("--csv", action="store_true", help="CSV without notes, for a spreadsheet")
    pending = _word(words, "pending", "list messages of strangers that wait for a decision", records_look.run_pending)
    pending.add_argument("--organisation", default="", metavar="NAME", help="of this organisation")
    for name, summary in records_work.DECISIONS.items():
        decide = _word(words, name, summary, records_work.run_decide)
        decide.add_argument("entry", metavar="ENTRY", help="the Message-ID, as `records pending` shows it")
        decide.add_argument("--organisation", default="", metavar="NAME", help="of this organisation")
        decide.set_defaults(operation=name)
    merge = _word(words, "merge", "say that two records are one: the notes of the first go over, and whoever answers "
        "to it", records_work.run_merge)  # fmt: skip
    _add_record(merge, "gone", "RECORD")
    merge.add_argument("into_word", metavar="into", choices=("into",), help="the word `into`")
    _add_record(merge, "into", "RECORD", with_organisation=False)
    purge = _word(words, "purge", "remove records that a rule has deleted, for good", records_work.run_purge)
    add_filters(purge)
    purge.add_argument("--all", action="store_true", help="every deleted record; needed where no filter is given")
    purge.add_argument("--dry-run", action="store_true", help="say how many it would be, and remove none")
    records_tasks.add_words(words, _word)


def _add_record(parser: argparse.ArgumentParser, name: str, shown: str, *, with_organisation: bool = True) -> None:
    parser.add_argument(name, metavar=shown, help=_RECORD)
    if with_organisation:
        parser.add_argument("--organisation", default="", metavar="NAME", help="of this organisation")
