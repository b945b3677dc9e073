"""`stampline check`: configuration, rules, templates and people together, every problem at its place."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mta.app.validated import advice_on_business_rules, read_validated
from mta.cli.command import CommandFailedError, ExitCode, new_parser, print_json, printable
from mta.cli.directory_examined import examined
from mta.config.listener_checks import listener_advice
from mta.config.load import examine_configuration
from mta.config.problems import ConfigurationError, Problem
from mta.config.signing_checks import signing_advice
from mta.config.tracking_advice import tracking_advice
from mta.relay.snapshot import Snapshot


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "check", "validate configuration, rules and templates",
        "Validate the configuration and all that it names: rules, templates, people, certificates, keys.\n"
        "Prints every problem as FILE:LINE:COLUMN: what is wrong (how to mend it).\n"
        "LDAP servers are asked, too; what is wrong with them, or with groups that rules name there, is a warning:\n"
        "it can change at any time, and the relay starts all the same.\n"
        "--online tries everything that the configuration names, line by line; exit code 1 if anything failed.",
    )  # fmt: skip
    parser.add_argument(
        "--online", action="store_true",
        help="also try what the configuration names: next hops, DNS, directories, keys in DNS, certificates, alerts; "
        "sends no mail",
    )  # fmt: skip
    parser.add_argument(
        "--only", action="append", metavar="NAME", default=[],
        help="with --online: only this one, or all of this kind, as its headings say; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS",
        help="with --online: the longest that one of them may take (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.only and not arguments.online:
        raise CommandFailedError("--only goes with --online", ExitCode.BAD_CONFIGURATION)
    try:
        snapshot = read_validated(arguments.config)
    except ConfigurationError as exc:
        _show_problems(exc.problems, as_json=arguments.json)
        return ExitCode.BAD_CONFIGURATION
    if arguments.online:
        return _online(arguments, snapshot)
    warnings = (*_advice(arguments.config, snapshot), *asyncio.run(examined(arguments.config, snapshot)))
    _show_good(arguments, snapshot, warnings)
    return ExitCode.OK


def _online(arguments: argparse.Namespace, snapshot: Snapshot) -> int:
    # What it takes to talk to servers is loaded only here.
    from mta.cli.check_online import as_json, is_good, summary, tried

    if not arguments.json:
        print(f"ok: {snapshot.rules} rules, {snapshot.templates} templates, snapshot {snapshot.name}\n", flush=True)
    results = tried(snapshot, arguments)
    directories = [result for result in results if result.kind == "directory"]
    warnings = _advice(arguments.config, snapshot)
    if directories and is_good(directories):
        # Not after a failure: another bind would bring the account nearer to being locked.
        warnings += asyncio.run(examined(arguments.config, snapshot))
    if arguments.json:
        print_json({
            "ok": is_good(results), "snapshot": snapshot.name, "online": as_json(results),
            "warnings": _as_json(warnings),
        })  # fmt: skip
    else:
        _show_warnings(warnings)
        print(f"\n{summary(results)}")
    return ExitCode.OK if is_good(results) else ExitCode.FAILED


def _show_good(arguments: argparse.Namespace, snapshot: Snapshot, warnings: Sequence[Problem]) -> None:
    rules, templates = snapshot.rules, snapshot.templates
    if arguments.json:
        print_json({
            "ok": True, "snapshot": snapshot.name, "rules": rules, "templates": templates, "problems": [],
            "warnings": _as_json(warnings),
        })  # fmt: skip
        return
    _show_warnings(warnings)
    print(f"ok: {rules} rules, {templates} templates, snapshot {snapshot.name}")


def _show_warnings(warnings: Sequence[Problem]) -> None:
    for warning in warnings:
        print(printable(f"warning: {_shortened(warning)}"))


def _advice(path: Path, snapshot: Snapshot) -> list[Problem]:
    located, _ = examine_configuration(path)
    advice = (
        *listener_advice(located.value), *signing_advice(located.value), *tracking_advice(located.value),
    )  # fmt: skip
    said = [located.problem(each.loc, each.what, each.mend) for each in advice]
    return [*said, *advice_on_business_rules(snapshot)]


def _show_problems(problems: tuple[Problem, ...], *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": False, "problems": _as_json(problems), "warnings": []})
        return
    for problem in problems:
        print(printable(str(_shortened(problem))))
    print(f"{len(problems)} problem{'' if len(problems) == 1 else 's'}")


def _as_json(problems: Sequence[Problem]) -> list[dict[str, object]]:
    return [{"file": str(p.file), "line": p.line, "column": p.column, "what": p.what, "mend": p.mend} for p in problems]


def _shortened(problem: Problem) -> Problem:
    """With the path as seen from the working folder, where the file is in it."""
    try:
        file = problem.file.absolute().relative_to(Path.cwd())
    except ValueError:
        file = problem.file
    return Problem(file, problem.line, problem.column, problem.what, problem.mend)
