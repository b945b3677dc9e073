"""`stampline mailbox`: see, try, poll, pause and resume monitored mailboxes; what they left out."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from mta.cli import mailbox_grant, mailbox_list, mailbox_messages, mailbox_orders
from mta.cli.command import add_config, add_operation, add_word, new_parser, seconds_of

EXIT_CODES = "exit codes: 0 done · 1 failed · 2 bad configuration or usage"
_word = partial(add_operation, exit_codes=EXIT_CODES)


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "mailbox", "see, try, poll, pause and resume monitored mailboxes; what they left out",
        "Mailboxes that tracking monitors: how they stand, whether they can be read, and orders to them.",
        with_config=False,
    )  # fmt: skip
    words = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = _word(words, "list", "show each mailbox: its state, its last poll, what it took", mailbox_list.run)
    listing.add_argument("names", nargs="*", metavar="NAME", help="only these")
    messages = _word(words, "messages", "list messages that are in no record: filtered, unmatched, set aside, pending; "
        "newest first", mailbox_messages.run)  # fmt: skip
    mailbox_messages.add_arguments(messages)
    test = _word(words, "test", "try a mailbox step by step: sign in, list, folders, send a test message", _test)
    test.add_argument("name", metavar="NAME")
    test.add_argument("--no-mail", action="store_true", help="send no test message")
    test.add_argument("--account", default="", metavar="NAME", help="the outgoing account that sends it (default: the "
        "one that may send from the mailbox's address, else the first)")  # fmt: skip
    test.add_argument("--timeout", type=seconds_of, default=120.0, metavar="TIME", help="how long to wait for the test "
        "message (default: 2m)")  # fmt: skip
    grant = add_word(words, "grant", "print PowerShell that lets Stampline read a mailbox; nothing is carried out")
    grant.epilog = "exit codes: 0 printed · 1 nothing to grant, or a value can't stand in a script · 2 bad usage"
    add_config(grant)
    grant.add_argument("name", metavar="NAME")
    grant.add_argument("--script", action="store_true", required=True, help="print the script, to be read and then run "
        "by an administrator of Exchange")  # fmt: skip
    grant.add_argument(
        "--account", default="", metavar="NAME", help="the account at Exchange, where the configuration says no user"
    )
    grant.set_defaults(run=mailbox_grant.run)
    for name, summary, run in (
        ("poll", "poll mailboxes at once, also outside their hours, until nothing waits", _poll),
        ("pause", "poll mailboxes no more until `resume`; a poll in hand ends", mailbox_orders.run),
        ("resume", "poll mailboxes again, at once; also those that are left alone after failures", mailbox_orders.run),
    ):
        word = _word(words, name, summary, run)
        word.add_argument("names", nargs="*", metavar="NAME")
        word.add_argument("--all", action="store_true", help="every mailbox")
        word.set_defaults(operation=name)


def _test(arguments: argparse.Namespace) -> int:
    from mta.cli import mailbox_trial  # brings mailbox servers, which the other words don't need

    return mailbox_trial.run(arguments)


def _poll(arguments: argparse.Namespace) -> int:
    from mta.cli import mailbox_poll  # without a running process it is one

    return mailbox_poll.run(arguments)
