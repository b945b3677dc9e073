"""`stampline check`: configuration, rules, templates and people together, every problem at its place."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from mta.app import read_snapshot
from mta.cli.command import ExitCode, new_parser, print_json, printable
from mta.cli.directory_examined import examined
from mta.config.problems import ConfigurationError, Problem


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "check", "validate configuration, rules and templates",
        "Validate the configuration and all that it names: rules, templates, people, certificates, keys.\n"
        "Prints every problem as FILE:LINE:COLUMN: what is wrong (how to mend it).\n"
        "LDAP servers are asked, too; what is wrong with them, or with groups that rules name there, is a warning:\n"
        "it can change at any time, and the relay starts all the same.",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        snapshot = read_snapshot(arguments.config)
    except ConfigurationError as exc:
        _show_problems(exc.problems, as_json=arguments.json)
        return ExitCode.BAD_CONFIGURATION
    warnings = asyncio.run(examined(arguments.config, snapshot))
    rules, templates = snapshot.rules, snapshot.templates
    if arguments.json:
        print_json({
            "ok": True, "snapshot": snapshot.name, "rules": rules, "templates": templates, "problems": [],
            "warnings": _as_json(warnings),
        })  # fmt: skip
        return ExitCode.OK
    for warning in warnings:
        print(printable(f"warning: {_shortened(warning)}"))
    print(f"ok: {rules} rules, {templates} templates, snapshot {snapshot.name}")
    return ExitCode.OK


def _show_problems(problems: tuple[Problem, ...], *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": False, "problems": _as_json(problems), "warnings": []})
        return
    for problem in problems:
        print(printable(str(_shortened(problem))))
    print(f"{len(problems)} problem{'' if len(problems) == 1 else 's'}")


def _as_json(problems: tuple[Problem, ...]) -> list[dict[str, object]]:
    return [{"file": str(p.file), "line": p.line, "column": p.column, "what": p.what, "mend": p.mend} for p in problems]


def _shortened(problem: Problem) -> Problem:
    """With the path as seen from the working folder, where the file is in it."""
    try:
        file = problem.file.absolute().relative_to(Path.cwd())
    except ValueError:
        file = problem.file
    return Problem(file, problem.line, problem.column, problem.what, problem.mend)
