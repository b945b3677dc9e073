"""`stampline trace`: a message's whole life, from the log files and the queue."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from mta.cli import trace_view
from mta.cli.command import CommandFailedError, ExitCode, new_parser, print_json, seconds_of
from mta.cli.queue_spool import read_configuration, who, with_jobs, with_spool
from mta.config.schema import Configuration
from mta.model.queue import QueueEntry, QueueFilter
from mta.model.sentitem import JobFilter, JobKind, JobState, SentItemJob
from mta.ports.sentitem_jobs import SentItemJobs
from mta.ports.spool import Spool
from mta.trace.life import Life, lives_of
from mta.trace.log_files import LogFile, log_files
from mta.trace.log_lines import LogLine
from mta.trace.search import LogSearch

LISTED = 20
_MESSAGES_MAX = 50
"""Messages of one Message-ID, or siblings of one, that are told of."""
_PROGRESS_FROM = 50_000_000
"""Octets of log files from which on a terminal is told how far it is."""


def add_parser(subparsers: Any) -> None:
    parser = new_parser(
        subparsers, "trace", "tell a message's whole life, from the logs and the queue",
        "Tell the life of a message: where it came from, what was decided, every attempt and reply, DSNs and other\n"
        "messages that follow from it, what administrators did, what became of each recipient and of the sender's own\n"
        "copy in Sent Items, what monitored mailboxes made of it, marks on its copies, and what still waits.\n"
        "For an address: the newest messages from or to it, one line each. Works while the relay is down, and for\n"
        "those who may read the logs but not the queue.",
    )  # fmt: skip
    parser.add_argument("what", metavar="QUEUE-ID|MESSAGE-ID|ADDRESS", help="a Message-ID may stand in <> or not")
    parser.add_argument("--since", type=seconds_of, metavar="TIME", default=None,
        help="look back no further than 12h, 2d … (default: through all logs that are kept)")  # fmt: skip
    parser.add_argument("--limit", type=int, default=LISTED, metavar="N",
        help="messages that are listed for an address (default: %(default)s)")  # fmt: skip
    parser.add_argument("--logs", type=Path, metavar="FOLDER", default=None,
        help="log files that were copied here, of another machine; the queue is left out then")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


@dataclass(slots=True)
class Sources:
    """Where the answer comes from, and what of that was out of reach."""

    search: LogSearch
    files: Sequence[LogFile]
    configuration: Configuration | None
    """None: the queue is left out."""
    is_queue_known: bool = False
    notes: list[str] = field(default_factory=list)

    def entries(self, filters: Collection[QueueFilter], limit: int) -> list[QueueEntry]:
        """What of these is in the queue; noted once where that can't be read."""
        if self.configuration is None or not filters:
            return []

        async def use(spool: Spool) -> list[QueueEntry]:
            return [entry for which in filters for entry in await spool.entries(which, limit=limit)]

        try:
            entries = with_spool(self.configuration, use)
        except CommandFailedError as exc:
            self.notes.append(f"told from the logs alone, for the queue could not be read: {exc}")
            self.configuration = None
            return []
        self.is_queue_known = True
        return list({entry.queue_id: entry for entry in entries}.values())

    def jobs(self, queue_ids: Collection[str]) -> dict[str, list[SentItemJob]]:
        """Sent Items jobs of these messages that wait or were given up; how others ended, the log tells."""
        told = (JobState.WAITING, JobState.GIVEN_UP)
        filters = [JobFilter(queue_id=queue_id) for queue_id in queue_ids]
        return {
            which.queue_id: [job for job in some if job.state in told]
            for which, some in zip(filters, self._jobs(filters), strict=False)
        }  # fmt: skip

    def marks(self, message_id: str) -> list[SentItemJob]:
        """Jobs that mark copies of this message, also those that have ended, as long as they are remembered."""
        if not message_id or "*" in message_id:  # which would name others, too
            return []
        found = self._jobs([JobFilter(message_id=message_id, kind=JobKind.MARK)])
        return [job for some in found for job in some if job.message_id == message_id]

    def _jobs(self, filters: Sequence[JobFilter]) -> list[list[SentItemJob]]:
        """Of each filter; noted once where they can't be read."""
        if self.configuration is None or not self.is_queue_known or not filters:
            return []

        async def use(jobs: SentItemJobs) -> list[list[SentItemJob]]:
            return [[*await jobs.entries(which, limit=_MESSAGES_MAX)] for which in filters]

        try:
            return with_jobs(self.configuration, use)
        except CommandFailedError as exc:
            self.notes.append(f"the jobs in mailboxes could not be read: {exc}")
            return []


def run(arguments: argparse.Namespace) -> int:
    what = arguments.what.strip()
    if not what.strip("<>"):
        raise CommandFailedError("trace what? Give a queue id, a Message-ID or an address", ExitCode.BAD_CONFIGURATION)
    sources = _open(arguments)
    progress = _Progress(sum(file.octets for file in sources.files))
    sources.search = LogSearch(sources.files, progress.add)
    try:
        if "@" in what and not what.startswith("<"):
            lines = sources.search.of_address(what, max(arguments.limit, 1))
            entries = sources.entries([QueueFilter(sender=what), QueueFilter(recipient=what)], max(arguments.limit, 1))
            if lines or entries:
                return _tell_address(arguments, sources, lines, entries)
            what = f"<{what}>"  # no mail of such an address: it may be a Message-ID whose brackets a shell took
        return _tell_message(arguments, sources, what)
    finally:
        progress.end()


def _open(arguments: argparse.Namespace) -> Sources:
    """Raises CommandFailedError where there is nothing to read."""
    configuration = None if arguments.logs is not None else read_configuration(arguments)
    folder: Path = arguments.logs if configuration is None else configuration.logs.folder
    try:
        files = log_files(folder, _first_day(arguments.since))
    except FileNotFoundError as exc:
        if configuration is None:
            raise CommandFailedError(f"there is no folder {folder}") from exc
        files = []
    except OSError as exc:
        text = f"the log folder {folder} can't be read by {who(None)}: {exc.strerror}; run this as root or by sudo -u"
        raise CommandFailedError(text) from exc
    return Sources(LogSearch(files), files, configuration)


def _first_day(since_s: float | None) -> date | None:
    return None if since_s is None else (datetime.now().astimezone() - timedelta(seconds=since_s)).date()


def _tell_message(arguments: argparse.Namespace, sources: Sources, what: str) -> int:
    search, refusals = sources.search, list[LogLine]()
    ids = [what]
    if what.startswith("<"):
        ids = search.ids_of_message_id(what)[-_MESSAGES_MAX:]
        refusals = search.refusals_of_message_id(what)
    found = search.lives(ids)
    every = list(dict.fromkeys((*ids, *found.lines, *found.births)))
    filters = [QueueFilter(queue_id=queue_id) for queue_id in every]
    if what.startswith("<") and "*" not in what:
        filters.append(QueueFilter(message_id=what))
    entries = sources.entries(filters, _MESSAGES_MAX)
    lives = lives_of(found, entries, sources.is_queue_known)
    roots = [life for life in lives.values() if life.queue_id in ids or life.message_id == what]
    message_id = what if what.startswith("<") else next((life.message_id for life in roots if life.message_id), "")
    mailboxes = search.mailbox_lines(message_id) if message_id else []
    marks = sources.marks(message_id)
    if not roots and not refusals and not mailboxes and not marks:
        raise CommandFailedError(_nothing(arguments.what, sources))
    siblings = _siblings(sources, roots, lives) if not what.startswith("<") else []
    jobs = sources.jobs([life.queue_id for life in roots])
    notes = _notes(sources, is_cut=found.is_cut)
    story = trace_view.Story(arguments.what, roots, lives, refusals, siblings, notes, jobs, mailboxes, marks)
    print_json(trace_view.story_to_json(story)) if arguments.json else trace_view.print_story(story)
    return ExitCode.OK


def _siblings(sources: Sources, roots: Sequence[Life], lives: dict[str, Life]) -> list[Life]:
    """Other messages with the same Message-ID: Exchange hands one over in parts, and organisations get their own."""
    message_id = next((life.message_id for life in roots if life.message_id), "")
    began_at = next((life.began_at for life in roots if life.began_at is not None), None)
    if not message_id or began_at is None:
        return []
    ids = sources.search.ids_of_message_id(message_id, (began_at - timedelta(days=1)).date())
    others = [queue_id for queue_id in ids if queue_id not in lives][-_MESSAGES_MAX:]
    if not others:
        return []
    found = sources.search.lives(others)
    entries = sources.entries([QueueFilter(queue_id=queue_id) for queue_id in others], 1)
    told = lives_of(found, entries, sources.is_queue_known)
    return [told[queue_id] for queue_id in others if queue_id in told]


def _tell_address(
    arguments: argparse.Namespace, sources: Sources, lines: Sequence[LogLine], entries: Sequence[QueueEntry]
) -> int:
    accepted = [line.queue_id for line in lines if line.action in ("accepted", "recipient-added")]
    found = sources.search.lives(accepted)
    open_too = sources.entries([QueueFilter(queue_id=queue_id) for queue_id in dict.fromkeys(accepted)], 1)
    lives = lives_of(found, {entry.queue_id: entry for entry in (*entries, *open_too)}.values(), sources.is_queue_known)
    wanted = {*accepted, *(entry.queue_id for entry in entries)}
    refused = [line for line in lines if line.action in ("message-refused", "recipient-refused")]
    rows = trace_view.rows_of([life for life in lives.values() if life.queue_id in wanted], refused)[: arguments.limit]
    notes = _notes(sources, is_cut=found.is_cut)
    if arguments.json:
        print_json({"address": arguments.what, "messages": [row.to_json() for row in rows], "notes": notes})
    else:
        trace_view.print_rows(rows, notes)
    return ExitCode.OK


def _notes(sources: Sources, *, is_cut: bool) -> list[str]:
    scanned = sources.search.scanned
    notes = list(dict.fromkeys([*sources.notes, *scanned.unreadable]))
    if scanned.bad_lines:
        notes.append(f"lines passed over, because they are torn or not in a format of ours: {scanned.bad_lines}")
    if is_cut:
        notes.append("there is more than is told here; --since narrows it down")
    return notes


def _nothing(what: str, sources: Sources) -> str:
    days = sorted({file.day for file in sources.files})
    logs = (
        f"log files from {days[0]} to {days[-1]} ({len(sources.files)})" if days else "no log files, for there are none"
    )
    queue = " and the queue" if sources.is_queue_known else ""
    notes = "".join(f"\n{note}" for note in _notes(sources, is_cut=False))
    return f"nothing is known of {what}; searched: {logs}{queue}{notes}"


class _Progress:
    """On a terminal: how much of the logs has been read."""

    def __init__(self, octets: int) -> None:
        self._of = octets
        self._done = 0
        self._shown = -1
        self._shows = octets >= _PROGRESS_FROM and sys.stderr.isatty()

    def add(self, octets: int) -> None:
        self._done += octets
        share = self._done * 100 // max(self._of, 1)
        if self._shows and share != self._shown:
            self._shown = share
            times = f", round {share // 100 + 1}" if share >= 100 else ""
            text = f"\rreading {self._of / 1e9:.1f} GB of logs: {share % 100:2d} %{times}"
            print(text, end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._shows:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
