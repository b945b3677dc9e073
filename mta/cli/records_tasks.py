"""`stampline records tasks`, `dead`, `replay`, `drop`: what is to be done elsewhere, and what could not be done."""

from __future__ import annotations

import argparse
import json
import sys
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from mta import events
from mta.cli.command import CommandFailedError, ExitCode, at_least_one, print_json, print_table, printable, short_age
from mta.cli.mailbox_names import ask_tracking
from mta.cli.queue_spool import log_as_relay, read_configuration, who, with_store
from mta.cli.records_filters import numbered
from mta.config.schema import Configuration
from mta.model.printable import in_a_line
from mta.model.task_reasons import NOT_CONFIGURED, explained
from mta.model.tracking import Task, TaskFilter, TaskKind, TaskState
from mta.ports.tracking_store import TrackingStore

LIST_LIMIT = 100
SHOWN_MAX = 20_000
"""Characters of a payload that are shown."""
OPERATIONS = {
    "replay": "have dead tasks tried again, as if they were new",
    "drop": "end tasks that are not to be done any more",
}
_DONE = {"replay": "replayed", "drop": "dropped"}
_CELL = 60
Word = Callable[[Any, str, str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]


def add_words(words: Any, word: Word) -> None:
    """The words of `records` that are about tasks; `word` makes one."""
    listing = word(words, "tasks", "list what waits to be done elsewhere, and what could not be done", run_list)
    listing.add_argument(
        "number", nargs="?", type=at_least_one, metavar="TASK", help="show this one, with what it says"
    )
    dead = word(words, "dead", "list dead letters: what could not be done elsewhere", run_list)
    dead.set_defaults(number=None, state=TaskState.DEAD)
    for each in (listing, dead):
        _add_filters(each, with_state=each is listing)
        each.add_argument("--limit", type=at_least_one, default=LIST_LIMIT, metavar="N", help="at most N tasks, the "
            "newest (default: %(default)s); the sums are those of all that match")  # fmt: skip
    for name, summary in OPERATIONS.items():
        work = word(words, name, summary, run_work)
        work.add_argument("numbers", nargs="*", type=at_least_one, metavar="TASK", help="numbers of tasks")
        _add_filters(work, with_state=False)
        work.add_argument("--waiting", action="store_true", help="also those that wait: they are tried at once"
            if name == "replay" else "also those that wait")  # fmt: skip
        work.add_argument("--all", action="store_true", help="every task; needed where no filter is given")
        work.add_argument("--dry-run", action="store_true", help="say how many it would be, and change nothing")
        work.set_defaults(operation=name, state=None)


def _add_filters(parser: argparse.ArgumentParser, *, with_state: bool) -> None:
    group = parser.add_argument_group("filters (all that are given must hold; * stands for anything in texts)")
    group.add_argument("--kind", type=TaskKind, default=None, metavar="KIND", choices=tuple(TaskKind),
        help="call, notice or write-back")  # fmt: skip
    group.add_argument("--target", default="", metavar="NAME", help="of this sink, account or mailbox")
    group.add_argument("--reason", default="", metavar="WORD", help="as the list shows it: unreachable, status-404 …")
    group.add_argument("--record", default="", metavar="RECORD", help="of this record: ticket-17")
    group.add_argument("--organisation", default="", metavar="NAME", help="of this organisation")
    if with_state:
        group.add_argument("--state", type=TaskState, default=None, metavar="STATE", choices=tuple(TaskState),
            help="waiting, dead or done; without it: waiting and dead")  # fmt: skip


def filter_of(arguments: argparse.Namespace) -> TaskFilter:
    """The filter that the options make. Raises CommandFailedError."""
    module, record = numbered(arguments.record) if arguments.record else ("", None)
    return TaskFilter(
        kind=arguments.kind, organisation=arguments.organisation, target=arguments.target, state=arguments.state,
        module=module, record=record, reason=arguments.reason,
    )  # fmt: skip


def filter_text(which: TaskFilter) -> str:
    """As it stands in the log: `target=desk reason=status-404`; `all` for the empty one."""
    given = [(each.name, getattr(which, each.name)) for each in fields(which)]
    texts = [f"{name}={value.value if isinstance(value, Enum) else value}" for name, value in given if value]
    return " ".join(texts) or "all"


# --- list and show ---------------------------------------------------------------------------------------------------


def run_list(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    if arguments.number is not None:
        return _show(configuration, arguments.number, as_json=arguments.json)
    which = filter_of(arguments)

    async def use(store: TrackingStore) -> tuple[list[Task], dict[TaskState, int]]:
        found: list[Task] = []
        sums: dict[TaskState, int] = {}
        for state in (which.state,) if which.state is not None else (TaskState.WAITING, TaskState.DEAD):
            asked = replace(which, state=state)
            found += await store.tasks(asked, limit=arguments.limit)
            sums[state] = sum((await store.count_tasks(asked)).values())
        return sorted(found, key=lambda task: -task.number)[: arguments.limit], sums

    found, sums = with_store(configuration, use)
    if arguments.json:
        print_json([task_to_json(task, configuration) for task in found])
        return ExitCode.OK
    if found:
        now = datetime.now(UTC)
        headings = ("TASK", "STATE", "AGE", "NEXT", "TRIES", "KIND", "TARGET", "RECORD", "REASON")
        print_table(headings, [_row(task, now, configuration) for task in found])
    if (more := sum(sums.values()) - len(found)) > 0:
        print(f"... and {more} more")
    print(", ".join(f"{count} {state.value}" for state, count in sums.items()))
    return ExitCode.OK


def _row(task: Task, now: datetime, configuration: Configuration) -> list[str]:
    waits_s = (task.due_at - now).total_seconds() if task.due_at is not None else 0.0
    return [
        str(task.number),
        task.state.value,
        short_age((now - task.created_at).total_seconds()),
        "-" if task.state is not TaskState.WAITING else "now" if waits_s < 1 else f"in {short_age(waits_s)}",
        str(task.attempts),
        task.kind.value,
        in_a_line(task.target, _CELL),
        str(task.transaction or "-"),
        in_a_line(_why(task, configuration), _CELL) or "-",
    ]


def _why(task: Task, configuration: Configuration) -> str:
    """Of those that nobody can carry out: that; the running process leaves them as they are."""
    if task.state is TaskState.WAITING and not _is_configured(task, configuration):
        return NOT_CONFIGURED
    return task.reason


def _is_configured(task: Task, configuration: Configuration) -> bool:
    tracking = next(
        (each.tracking for each in configuration.every_organisation if each.name == task.organisation), None
    )
    if tracking is None:
        return False
    if task.kind is TaskKind.WRITE_BACK:
        return tracking.write_back is not None
    return task.target in {each.name for each in (tracking.sinks if task.kind is TaskKind.CALL else tracking.accounts)}


def _show(configuration: Configuration, number: int, *, as_json: bool) -> int:
    async def use(store: TrackingStore) -> Task | None:
        return await store.task(number)

    task = with_store(configuration, use)
    if task is None:
        raise CommandFailedError(f"there is no task {number}: `stampline records tasks` shows those there are")
    if as_json:
        print_json({**task_to_json(task, configuration), "payload": _payload_to_json(task)})
        return ExitCode.OK
    reason = _why(task, configuration)
    lines = [
        f"task        {task.number}, {task.state.value} after {task.attempts} tr{'y' if task.attempts == 1 else 'ies'}",
        f"to do       {task.kind.value} to {in_a_line(task.target, 200)} of {in_a_line(task.organisation, 100)}",
        f"record      {task.transaction or '-'}",
        f"made        {_time(task.created_at)}",
        f"next        {_time(task.due_at) if task.state is TaskState.WAITING else '-'}",
        f"reason      {in_a_line(reason, 100) or '-'}" + (f": {text}" if (text := explained(reason)) else ""),
        f"it said     {in_a_line(task.detail, 500) or '-'}",
        f"key         {in_a_line(task.key, 300)}",
        *(f"recipient   {in_a_line(each, 300)}" for each in task.recipients),
        "",
        *_payload_lines(task),
    ]
    print("\n".join(printable(line) for line in lines))
    return ExitCode.OK


def _payload_lines(task: Task) -> Sequence[str]:
    text = task.payload.decode("utf-8", "replace").replace("\r\n", "\n")
    if task.kind is not TaskKind.NOTICE:
        with suppress(ValueError, RecursionError):
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    if len(text) > SHOWN_MAX:
        text = f"{text[:SHOWN_MAX]}\n... ({len(task.payload)} octets in all; --json gives them)"
    return text.split("\n")


def _payload_to_json(task: Task) -> Any:
    """Calls and write-backs are JSON themselves; a mail is its octets in base64."""
    if task.kind is not TaskKind.NOTICE:
        with suppress(ValueError, RecursionError):
            return json.loads(task.payload)
    return b64encode(task.payload).decode()


def _time(at: datetime | None) -> str:
    return "-" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def task_to_json(task: Task, configuration: Configuration) -> dict[str, Any]:
    """One task as JSON values, without what it says."""
    reason = _why(task, configuration)
    return {
        "task": task.number,
        "state": task.state.value,
        "kind": task.kind.value,
        "organisation": task.organisation,
        "target": task.target,
        "record": str(task.transaction) if task.transaction is not None else None,
        "created_at": task.created_at.isoformat(),
        "due_at": task.due_at.isoformat() if task.due_at is not None else None,
        "attempts": task.attempts,
        "reason": reason,
        "meaning": explained(reason),
        "detail": task.detail,
        "key": task.key,
        "recipients": list(task.recipients),
    }


# --- replay and drop -------------------------------------------------------------------------------------------------


def run_work(arguments: argparse.Namespace) -> int:
    """Carry out one of OPERATIONS on what the numbers or filters name."""
    name, configuration = arguments.operation, read_configuration(arguments)
    states = (TaskState.DEAD, TaskState.WAITING) if arguments.waiting else (TaskState.DEAD,)
    which = [replace(each, state=state) for each in _named(arguments) for state in states]

    async def use(store: TrackingStore) -> int:
        changed = 0
        for each in which:
            if arguments.dry_run:
                changed += sum((await store.count_tasks(each)).values())
            elif name == "replay":
                changed += await store.replay(each, datetime.now(UTC))
            else:
                changed += await store.drop(each)
        return changed

    changed = with_store(configuration, use)
    if changed and not arguments.dry_run:
        log_as_relay(configuration)
        texts = "; ".join(filter_text(each) for each in which)
        events.tracking_tasks_changed(name, by=who(), which=in_a_line(texts, 500), tasks=changed)
        _have_them_tried(configuration)
    done = f"would be {_DONE[name]}" if arguments.dry_run else _DONE[name]
    print_json({done.replace(" ", "_"): changed}) if arguments.json else print(f"{done}: {changed}")
    if arguments.numbers and not changed:
        print("none of these is such a task: `stampline records tasks` shows what waits and what died", file=sys.stderr)
        return ExitCode.FAILED
    return ExitCode.OK


def _named(arguments: argparse.Namespace) -> list[TaskFilter]:
    """One filter for each number, or one in all. Raises CommandFailedError where that would be everything."""
    which = filter_of(arguments)
    is_narrow = bool(arguments.numbers) or which != TaskFilter()
    if is_narrow and arguments.all:
        raise CommandFailedError("--all goes with no number and no filter", ExitCode.BAD_CONFIGURATION)
    if not is_narrow and not arguments.all:
        text = f"`records {arguments.operation}` needs a number or a filter; --all means every task"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
    return [replace(which, number=number) for number in dict.fromkeys(arguments.numbers)] or [which]


def _have_them_tried(configuration: Configuration) -> None:
    """At once, also where a target is left alone; without a running relay they are tried when it starts."""
    try:
        ask_tracking(configuration, {"do": "try-tasks"})
    except CommandFailedError as exc:
        print(f"the tracking process was not told ({exc}); it finds them by itself")
