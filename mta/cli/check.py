"""`stampline check`: configuration, rules, templates and people together, every problem at its place."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mta.app import read_snapshot
from mta.cli.command import ExitCode, new_parser, print_json, printable
from mta.config.problems import ConfigurationError, Problem


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "check", "validate configuration, rules and templates",
        "Validate the configuration and all that it names: rules, templates, people, certificates, keys.\n"
        "Prints every problem as FILE:LINE:COLUMN: what is wrong (how to mend it).",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        snapshot = read_snapshot(arguments.config)
    except ConfigurationError as exc:
        _show_problems(exc.problems, as_json=arguments.json)
        return ExitCode.BAD_CONFIGURATION
    rules, templates = snapshot.rules, snapshot.templates
    if arguments.json:
        print_json({"ok": True, "snapshot": snapshot.name, "rules": rules, "templates": templates, "problems": []})
    else:
        print(f"ok: {rules} rules, {templates} templates, snapshot {snapshot.name}")
    return ExitCode.OK


def _show_problems(problems: tuple[Problem, ...], *, as_json: bool) -> None:
    if as_json:
        listed = [
            {"file": str(p.file), "line": p.line, "column": p.column, "what": p.what, "mend": p.mend} for p in problems
        ]
        print_json({"ok": False, "problems": listed})
        return
    for problem in problems:
        print(printable(str(_shortened(problem))))
    print(f"{len(problems)} problem{'' if len(problems) == 1 else 's'}")


def _shortened(problem: Problem) -> Problem:
    """With the path as seen from the working folder, where the file is in it."""
    try:
        file = problem.file.absolute().relative_to(Path.cwd())
    except ValueError:
        file = problem.file
    return Problem(file, problem.line, problem.column, problem.what, problem.mend)
