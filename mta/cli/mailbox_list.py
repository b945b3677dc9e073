"""`stampline mailbox list`: how each monitored mailbox stands."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mta.cli.command import ExitCode, print_json, print_table, short_age
from mta.cli.mailbox_names import Mailboxes, ask_tracking, mailboxes_of, require
from mta.cli.queue_spool import read_configuration, with_store
from mta.model.tracking import MailboxNotes
from mta.ports.tracking_store import TrackingStore


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    mailboxes = mailboxes_of(configuration)
    for name in arguments.names:
        require(name, mailboxes)
    wanted = {name: each for name, each in mailboxes.items() if not arguments.names or name in arguments.names}
    answer = ask_tracking(configuration, {"do": "mailboxes"})
    live = answer["mailboxes"] if answer is not None else {}

    async def use(store: TrackingStore) -> Mapping[str, MailboxNotes]:
        return await store.mailbox_notes()

    notes = with_store(configuration, use)
    shown = {name: _standing(name, wanted, notes.get(name, MailboxNotes(name)), live.get(name)) for name in wanted}
    if arguments.json:
        print_json({"runs": answer is not None, "mailboxes": list(shown.values())})
        return ExitCode.OK
    now = datetime.now(UTC)
    headings = ("NAME", "ADDRESS", "KIND", "STATE", "LAST GOOD POLL", "NEXT", "TAKEN", "ASIDE", "REMARKS")
    print_table(headings, [_row(each, now) for each in shown.values()])
    if answer is None:
        print("the tracking process does not run: nothing is polled")
    return ExitCode.OK


def _standing(
    name: str, mailboxes: Mailboxes, notes: MailboxNotes, live: Mapping[str, Any] | None
) -> dict[str, Any]:  # fmt: skip
    organisation, settings = mailboxes[name]
    state = "disabled" if not settings.enabled else "paused" if notes.paused_at is not None else "not polled"
    return {
        "name": name,
        "organisation": organisation.name,
        "address": settings.address,
        "kind": settings.kind,
        "state": live["state"] if live is not None and state != "paused" else state,
        "paused_at": _moment(notes.paused_at),
        "paused_by": notes.paused_by,
        "polled_at": _moment(notes.polled_at),
        "answered_at": _moment(notes.answered_at),
        "next_poll": live["next_poll"] if live is not None else None,
        "failures": notes.failures,
        "reason": notes.reason,
        "detail": notes.detail,
        "mend": live["mend"] if live is not None else "",
        "record": str(notes.trouble) if notes.trouble is not None else "",
        "taken": notes.taken,
        "set_aside": notes.set_aside,
        "progress": live["progress"] if live is not None else None,
        "stays": live["stays"] if live is not None else None,
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment is not None else None


def _row(shown: Mapping[str, Any], now: datetime) -> list[str]:
    return [
        shown["name"],
        shown["address"],
        shown["kind"],
        shown["state"],
        f"{_ago(shown['answered_at'], now)} ago" if shown["answered_at"] else "never",
        _next(shown["next_poll"], now),
        str(shown["taken"]),
        str(shown["set_aside"]),
        "; ".join(_remarks(shown, now)) or "-",
    ]


def _remarks(shown: Mapping[str, Any], now: datetime) -> list[str]:
    remarks = []
    if shown["paused_at"]:
        remarks.append(f"paused by {shown['paused_by']} {_ago(shown['paused_at'], now)} ago")
    progress = shown["progress"]
    if progress is not None and not progress["is_over"]:
        remarks.append(f"{progress['done']} of {progress['of']} done, {progress['per_s']}/s")
    elif progress is not None and progress["has_more"]:
        remarks.append("more wait")
    if shown["stays"]:
        remarks.append(f"{shown['stays']} can't be moved or marked")
    if shown["reason"]:
        failures = f"{shown['failures']} failures: " if shown["failures"] else ""
        detail = f", {shown['detail']}" if shown["detail"] else ""
        remarks.append(f"{failures}{shown['reason']}{detail}"[:200])
    if shown["mend"]:
        remarks.append(shown["mend"])
    if shown["record"]:
        remarks.append(f"record {shown['record']}")
    return remarks


def _ago(moment: str, now: datetime) -> str:
    return short_age((now - datetime.fromisoformat(moment)).total_seconds())


def _next(moment: str | None, now: datetime) -> str:
    if moment is None:
        return "-"
    wait_s = (datetime.fromisoformat(moment) - now).total_seconds()
    return f"in {short_age(wait_s)}" if wait_s > 0 else "now"
