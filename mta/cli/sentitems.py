"""`stampline sentitems`: see what becomes of senders' copies, work it, and set it up."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from mta.cli import sentitems_grant, sentitems_look, sentitems_work
from mta.cli.command import add_operation, at_least_one, new_parser
from mta.cli.sentitems_filters import add_filters

EXIT_CODES = "exit codes: 0 done, also where a filter matches nothing · 1 failed · 2 bad configuration or usage"
_word = partial(add_operation, exit_codes=EXIT_CODES)
LIST_LIMIT = 1000


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "sentitems", "see and work jobs in mailboxes: copies for Sent Items, and marks; set them up",
        "The sender finds in Sent Items what was really sent, and filed messages are marked: each such copy, and each\n"
        "mark, is a job. See jobs, work them, stop and resume the whole, and try the mailbox servers.",
        with_config=False,
    )  # fmt: skip
    words = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _word(
        words, "status", "show the switch, the mailbox servers, and how many jobs there are", sentitems_look.run_status
    )
    listing = _word(words, "list", "list jobs that wait or were given up, oldest first", sentitems_look.run_list)
    add_filters(listing)
    listing.add_argument("--limit", type=at_least_one, default=LIST_LIMIT, metavar="N", help="at most N jobs "
        "(default: %(default)s); the sums are those of all that match")  # fmt: skip
    listing.add_argument("--count", action="store_true", help="only the sums")
    show = _word(words, "show", "show one job, or those of a message, and what happens next", sentitems_look.run_show)
    show.add_argument("which", metavar="JOB|QUEUE-ID|MESSAGE-ID", help="a job's id (its beginning will do), the queue "
        "id of a message, or its Message-ID")  # fmt: skip
    for name, summary in sentitems_work.WORDS.items():
        word = _word(words, name, summary, sentitems_work.run)
        word.add_argument("ids", nargs="*", metavar="JOB", help="ids of jobs")
        add_filters(word)
        word.add_argument("--all", action="store_true", help="every job; needed where no filter is given")
        word.add_argument("--dry-run", action="store_true", help="say how many would be changed, and change nothing")
        word.set_defaults(operation=name)
    for name, (summary, _) in sentitems_work.SWITCHES.items():
        word = _word(words, name, summary, sentitems_work.run_switch)
        word.set_defaults(operation=name)
        if name == "resume":
            word.add_argument(
                "--server", default="", metavar="NAME", help="only this mailbox server, which was stopped"
            )
    check = _word(words, "check", "try the mailbox servers: certificate, sign-in, rights, and a test item", _check)
    check.epilog = "exit codes: 0 all well · 1 something failed · 2 bad configuration or usage"
    check.add_argument("--mailbox", action="append", default=[], metavar="ADDRESS", help="make, find, verify and "
        "remove a test item here; may be repeated. Without it one of each server is only looked into")  # fmt: skip
    check.add_argument("--outside", action="append", default=[], metavar="ADDRESS", help="a mailbox out of scope, "
        "which the servers have to deny; may be repeated")  # fmt: skip
    check.add_argument("--server", default="", metavar="NAME", help="only on this mailbox server")
    check.add_argument(
        "--timeout", type=float, default=120.0, metavar="SECONDS", help="for each mailbox (default: %(default)g)"
    )
    sentitems_grant.add_parser(words)


def _check(arguments: argparse.Namespace) -> int:
    from mta.cli import sentitems_check  # brings mailbox servers and directories, which the other words don't need

    return sentitems_check.run(arguments)
