"""`stampline status`: the running relay and its workers."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from mta.cli.command import (
    ExitCode,
    add_socket,
    ask_supervisor,
    new_parser,
    print_json,
    print_table,
    printable,
    short_age,
)


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "status", "show the running relay and its workers",
        "Show the running relay, its listeners and its workers.",
    )  # fmt: skip
    add_socket(parser)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    answer = ask_supervisor(arguments, {"do": "status"})
    if arguments.json:
        print_json(answer)
        return ExitCode.OK
    state = "stopping" if answer["is_stopping"] else "up" if answer["is_up"] else "starting"
    print(f"stampline {answer['version']}, process {answer['pid']}, {state} since {answer['started_at']}")
    print(f"configuration {answer['config']}, snapshot {answer['snapshot']}")
    print(f"last reload: {_reload_text(answer['last_reload'])}")
    print(f"bypass: {bypass_text(answer['bypass'])}")
    for listener in answer["listeners"]:
        print(f"listener {listener['name']} ({listener['role']}): {listener['address']} port {listener['port']}")
    reports = [worker.get("report", {}) for worker in answer["workers"]]
    if any(report.get("draining") for report in reports):
        print("DRAINING: no mail is taken until `stampline undrain`")
    if frozen := max((report.get("frozen_next_hops", 0) for report in reports), default=0):
        print(f"FROZEN next hops: {frozen}; `stampline queue frozen` lists them")
    if any(report.get("spool_closed") for report in reports):
        print("queue: CLOSED, mail is answered with 451; the relay's log says why (spool-closed, spool-slow)")
    stopped = {hop: each for report in reports for hop, each in report.get("stopped", {}).items()}
    for hop, each in sorted(stopped.items()):
        print(printable(f"next hop {hop} can't be reached since {each['since']}: {each['reason']}"))
    print()
    rows = [_row(str(worker["slot"]), worker) for worker in answer["workers"]]
    rows += [_row(name, companion) for name, companion in answer["companions"].items()]
    print_table(("SLOT", "STATE", "PID", "UP", "DEATHS", "SNAPSHOT", "REPORT"), rows)
    return ExitCode.OK


def bypass_text(bypass: Mapping[str, Any]) -> str:
    """The switch in words."""
    if not bypass["on"]:
        return "off"
    return f"ON, everything is relayed unstamped until {bypass['until'] or 'it is switched off'}"


def _reload_text(reload: Mapping[str, Any] | None) -> str:
    if reload is None:
        return "none since the start"
    return f"{reload['at']}, " + ("done" if reload["ok"] else f"REFUSED with {reload['problems']} problems")


def _row(slot: str, worker: Mapping[str, Any]) -> list[str]:
    figures = worker.get("report", {}).items()
    report = " ".join(f"{name}={value}" for name, value in figures if isinstance(value, int))
    up = short_age(worker["up_s"]) if "up_s" in worker else "-"
    pid, snapshot = str(worker.get("pid", "-")), worker.get("snapshot") or "-"
    return [slot, worker["state"], pid, up, str(worker["deaths"]), snapshot, report]
