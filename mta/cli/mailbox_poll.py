"""`stampline mailbox poll`: at once, by the running process, or by this one where none runs; and how far it is."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Collection, Mapping

from mta import events
from mta.adapters.store.errors import StoreError
from mta.app.tracking import TELL_EVERY_S, Report, is_polled, poll_here
from mta.cli.command import CommandFailedError, ExitCode, bad_configuration, print_json, printable
from mta.cli.mailbox_names import ask_tracking, chosen, mailboxes_of, relay_runs
from mta.cli.queue_spool import become_the_service, log_as_relay, read_configuration, who, with_store
from mta.config.problems import ConfigurationError
from mta.config.schema import Configuration
from mta.log_sinks import sinks_from
from mta.model.reply import MailError
from mta.model.tracking import MailboxNotes
from mta.ports.tracking_store import TrackingStore


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    mailboxes = mailboxes_of(configuration)
    names = [name for name in chosen(arguments, mailboxes) if not arguments.all or mailboxes[name][1].enabled]
    disabled = [name for name in names if not mailboxes[name][1].enabled]
    paused = _paused(configuration, names)
    if not arguments.all and (disabled or paused):
        raise CommandFailedError(_why_not(disabled, paused))
    names = [name for name in names if name not in paused]
    shown = _Shown(is_silent=arguments.json)
    report = _polled(configuration, names, shown)
    shown.clear()
    if arguments.json:
        print_json(report)
    else:
        for name in paused:
            print(printable(f"{name}: paused by {paused[name].paused_by}; not polled"))
        for name, each in report.items():
            print(printable(f"{name}: {_outcome(each)}"))
    return ExitCode.FAILED if any(each["failure"] for each in report.values()) else ExitCode.OK


def _paused(configuration: Configuration, names: Collection[str]) -> dict[str, MailboxNotes]:
    async def use(store: TrackingStore) -> dict[str, MailboxNotes]:
        notes = await store.mailbox_notes()
        return {name: notes[name] for name in names if name in notes and notes[name].paused_at is not None}

    return with_store(configuration, use)


def _why_not(disabled: Collection[str], paused: Mapping[str, MailboxNotes]) -> str:
    lines = [f"{name} is disabled in the configuration (enabled: false)" for name in disabled]
    lines += [f"{name} is paused; `stampline mailbox resume {name}` lets it be polled" for name in paused]
    return "\n".join(lines)


def _polled(configuration: Configuration, names: list[str], shown: _Shown) -> Report:
    if not names:
        return {}
    answer = ask_tracking(configuration, {"do": "poll", "names": names})
    if answer is None:
        return _polled_here(configuration, names, shown)
    log_as_relay(configuration)
    events.mailbox_ordered("poll", mailboxes=", ".join(names), by=who())
    before: Mapping[str, int] = answer["polls"]
    process = answer["process"]
    if missing := [name for name in names if name not in before]:
        raise CommandFailedError(f"the running process doesn't know {', '.join(missing)}: `stampline reload` first")
    while True:
        answer = ask_tracking(configuration, {"do": "mailboxes"})
        if answer is None or answer["process"] != process:
            raise CommandFailedError("the tracking process ended meanwhile; the supervisor starts it anew")
        report = {name: answer["mailboxes"][name] for name in names if name in answer["mailboxes"]}
        shown.tell(report)
        if all(is_polled(report[name], before[name]) for name in report):
            return report
        time.sleep(TELL_EVERY_S)


def _polled_here(configuration: Configuration, names: list[str], shown: _Shown) -> Report:
    if relay_runs(configuration):
        raise CommandFailedError("the tracking process does not run just now: `stampline status`, and its log, say why")
    become_the_service(configuration.spool.folder)
    logs = configuration.logs.model_copy(update={"also": ()})
    events.configure(sinks_from(logs, "tracking"), as_json=logs.format == "json", level=logs.level)
    try:
        return asyncio.run(poll_here(configuration, names, shown.tell))
    except ConfigurationError as exc:
        raise bad_configuration(exc.problems) from exc
    except (StoreError, OSError, MailError) as exc:
        raise CommandFailedError(str(exc)) from exc
    except KeyError as exc:
        raise CommandFailedError(f"the environment has no variable {exc.args[0]}") from exc


def _outcome(report: Mapping[str, object]) -> str:
    progress = report["progress"]
    if report["failure"]:
        mend = f" ({report['mend']})" if report["mend"] else ""
        return f"FAILED, {report['failure']}: {report['detail']}{mend}"
    if not isinstance(progress, dict) or not progress["done"]:
        return "nothing waits"
    parts = [f"{progress['taken']} taken"]
    parts += [
        f"{progress[key]} {words}"
        for key, words in (
            ("known", "known already"), ("set_aside", "set aside"), ("failed", "failed, tried again"),
            ("stays", "taken, but can't be moved or marked"),
        )
        if progress[key]
    ]  # fmt: skip
    return f"{', '.join(parts)}; {progress['per_s']} a second"


class _Shown:
    """How far it is, on a terminal on one line; else nothing."""

    def __init__(self, *, is_silent: bool) -> None:
        self._is_shown = not is_silent and sys.stderr.isatty()

    def tell(self, report: Report) -> None:
        if not self._is_shown:
            return
        parts = [
            f"{name} {each['progress']['done']} of {each['progress']['of']}, {each['progress']['per_s']}/s"
            for name, each in report.items()
            if each["progress"] is not None and not each["progress"]["is_over"]
        ]
        if parts:
            print(f"\r\x1b[K{printable('; '.join(parts))[:100]}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
