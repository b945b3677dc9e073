"""`stampline status`: the running relay and its workers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
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
    for hop, each in sorted(stopped.items(), key=lambda item: str(item[1]["since"]))[:STOPPED_SHOWN]:
        print(printable(f"next hop {hop} can't be reached since {each['since']}: {each['reason']}"))
    if len(stopped) > STOPPED_SHOWN:
        print(f"... and {len(stopped) - STOPPED_SHOWN} more")
    for line in _sent_items(answer["companions"].get("sentitems", {}).get("report", {})):
        print(printable(line))
    for line in _tracking(answer["companions"].get("tracking", {}).get("report", {})):
        print(printable(line))
    if alerts := sum(each.get("report", {}).get("alerts", 0) for each in answer["companions"].values()):
        print(f"ALERTS: {alerts}; `stampline alerts` tells what is wrong")
    print()
    rows = [_row(str(worker["slot"]), worker, answer["snapshot"]) for worker in answer["workers"]]
    rows += [_row(name, companion, answer["snapshot"]) for name, companion in answer["companions"].items()]
    print_table(("SLOT", "STATE", "PID", "UP", "DEATHS", "REPORT"), rows)
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


def _sent_items(report: Mapping[str, Any]) -> Iterator[str]:
    """What is not as it should be."""
    if (switch := report.get("sent_items_switch", "on")) != "on":
        yield f"SENT ITEMS: {switch}; `stampline sentitems status` tells more"
    for name, each in sorted(report.get("stopped_servers", {}).items()):
        yield f"mailbox server {name} is STOPPED, {each['reason']}: {each['detail']}; `stampline sentitems resume`"


def _tracking(report: Mapping[str, Any]) -> Iterator[str]:
    """What is not as it should be."""
    if paused := report.get("mailboxes_paused"):
        yield f"monitored mailboxes PAUSED: {', '.join(paused[:STOPPED_SHOWN])}; `stampline mailbox resume NAME`"
    for name, reason in sorted(report.get("mailboxes_failing", {}).items())[:STOPPED_SHOWN]:
        yield f"monitored mailbox {name} can't be polled: {reason}; `stampline mailbox list` tells more"


STOPPED_SHOWN = 20
_TOLD_ABOVE = frozenset({"frozen_next_hops", "draining", "spool_closed", "alerts"})


def _row(slot: str, worker: Mapping[str, Any], snapshot: str) -> list[str]:
    """What is 0 is left out, as is the snapshot that all should have."""
    figures = worker.get("report", {}).items()
    report = [f"{name}={value}" for name, value in figures if isinstance(value, int) and value]
    report = [text for text in report if text.partition("=")[0] not in _TOLD_ABOVE]
    if worker.get("snapshot") not in (None, "", snapshot):
        report.insert(0, f"snapshot={worker['snapshot']}")
    up = short_age(worker["up_s"]) if "up_s" in worker else "-"
    return [slot, worker["state"], str(worker.get("pid", "-")), up, str(worker["deaths"]), " ".join(report) or "-"]
