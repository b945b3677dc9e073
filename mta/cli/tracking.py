"""`stampline tracking`: what tracking would do with a message."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mta.cli.command import add_config, add_word, new_parser

EXIT_CODES = "exit codes: 0 done · 1 the message can't be processed, or the store can't be used · 2 bad configuration"


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "tracking", "show what tracking would do with a message, and why",
        "Try business rules, filters and correlation before they go live.", with_config=False,
    )  # fmt: skip
    words = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    word = add_word(
        words, "explain", "show what would become of a message: filters, the record it belongs to, each rule, notices"
    )  # fmt: skip
    word.epilog = f"Nothing is written or sent. It needs the store, to see which records there are; {EXIT_CODES}"
    word.add_argument("message", type=Path, metavar="MESSAGE", help="a file with the message; - is standard input")
    word.add_argument("--mailbox", default="", metavar="NAME", help="the monitored mailbox that it comes by (default: "
        "the first one)")  # fmt: skip
    word.add_argument("--rules", type=Path, metavar="FOLDER", help="other business rules than those in force")
    word.add_argument("--matching", action="store_true", help="only the rules that match")
    word.add_argument("--json", action="store_true", help="print JSON")
    add_config(word)
    word.set_defaults(run=_explain)


def _explain(arguments: argparse.Namespace) -> int:
    from mta.cli import tracking_explain  # brings directories and templates

    return tracking_explain.run(arguments)
