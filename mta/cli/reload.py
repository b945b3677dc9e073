"""`stampline reload`: the running relay reads its configuration anew, whole or not at all."""

from __future__ import annotations

import argparse
from typing import Any

from mta.cli.command import (
    CommandFailedError,
    ExitCode,
    add_socket,
    ask_supervisor,
    bad_configuration,
    new_parser,
    print_json,
    printable,
)
from mta.supervise.channel import problem_from_json


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "reload", "have the running relay read its configuration anew",
        "Have the running relay read configuration, rules, templates, people and keys anew.\n"
        "With any problem in them nothing changes, and all problems are shown.",
    )  # fmt: skip
    add_socket(parser)
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    answer = ask_supervisor(arguments, {"do": "reload"})
    problems = [problem_from_json(problem) for problem in answer.get("problems", [])]
    if arguments.json:
        print_json(answer)
        return ExitCode.BAD_CONFIGURATION if problems else ExitCode.OK
    if problems:
        raise bad_configuration(printable(str(problem)) for problem in problems)
    if not answer["ok"]:
        raise CommandFailedError(answer["error"])
    print(f"reloaded: snapshot {answer['snapshot']}")
    return ExitCode.OK
