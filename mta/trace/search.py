"""Finds the lines of messages: by queue id with what follows from them, by Message-ID, by address."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from mta.model.queue_id import made_at
from mta.trace.log_files import LogFile, Pattern, Progress, Scanned, matching_lines
from mta.trace.log_lines import LogLine, read_line

LINES_MAX = 200_000
"""Of all messages of one search: what has more is cut off, and it is told."""
ROUNDS = 6
"""How far what follows from a message, and what follows from that, is followed."""
MESSAGES_MAX = 200
CHILDREN = ("dsn", "spawned", "copy")
"""Fields of a message's line that name messages which follow from it."""
MAILBOX_LOGS = ("mailbox-", "sentitems")
"""How the components begin that monitor mailboxes, and write to them."""
BIRTHS = ("dsn-queued", "followed", "tracking-copy")
"""Actions that tell of one such message, and for whom it is."""


@dataclass(slots=True)
class Found:
    """Lines by the queue id that they are about, in the order of time."""

    lines: dict[str, list[LogLine]] = field(default_factory=dict)
    births: dict[str, LogLine] = field(default_factory=dict)
    """Message → the line of the one that it follows from, which says that it was queued."""
    is_cut: bool = False
    """There was more than LINES_MAX or MESSAGES_MAX."""


class LogSearch:
    """Searches the same files several times; `scanned` sums up what was looked at."""

    def __init__(self, files: Sequence[LogFile], progress: Progress = lambda octets: None) -> None:
        self.scanned = Scanned()
        self._files = files
        self._progress = progress

    def lives(self, queue_ids: Collection[str]) -> Found:
        """All lines about these messages, and about those that follow from them."""
        found = Found()
        wanted, known = list(dict.fromkeys(queue_ids)), set[str]()
        for _ in range(ROUNDS):
            fresh = [queue_id for queue_id in wanted if queue_id not in known]
            if not fresh:
                break
            if len(known) + len(fresh) > MESSAGES_MAX:
                found.is_cut = True
                fresh = fresh[: max(MESSAGES_MAX - len(known), 0)]
            known.update(fresh)
            wanted = self._collect(frozenset(fresh), found)
        for lines in found.lines.values():
            lines.sort(key=lambda line: line.at)
        return found

    def _collect(self, wanted: frozenset[str], found: Found) -> list[str]:
        """One round: adds the lines about these messages; gives the ids of those that follow from them."""
        since = self._from_day_of(wanted)
        children = self._collect_since(since, wanted, found)
        if since is not None and wanted.isdisjoint(found.lines):
            children = self._collect_since(None, wanted, found)  # the clock was wrong when they got their ids
        return children

    def _collect_since(self, since: date | None, wanted: frozenset[str], found: Found) -> list[str]:
        children: dict[str, None] = {}
        total = sum(map(len, found.lines.values()))
        for line in self._lines(Pattern(wanted), since):
            about = {line.queue_id, *line.items("queue_ids")} & wanted
            named = [child for name in CHILDREN for child in line.items(name)]
            for child in named:
                if child in wanted or line.queue_id in wanted:
                    _note_birth(found, child, line)
            if not about:
                continue
            if total >= LINES_MAX:
                found.is_cut = True
                break
            for queue_id in about:
                found.lines.setdefault(queue_id, []).append(line)
                total += 1
            if line.queue_id in wanted:
                children.update(dict.fromkeys(named))
        return list(children)

    def ids_of_message_id(self, message_id: str, since: date | None = None) -> list[str]:
        """Queue ids of the accepted messages with that Message-ID, oldest first."""
        lines = self._lines(Pattern([message_id]), since)
        return [line.queue_id for line in lines if line.action == "accepted" and line.text("message_id") == message_id]

    def refusals_of_message_id(self, message_id: str) -> list[LogLine]:
        """Where a message with that Message-ID was not accepted."""
        lines = self._lines(Pattern([message_id]), None)
        return [
            line for line in lines if line.action == "message-refused" and line.text("message_id") == message_id
        ]  # fmt: skip

    def mailbox_lines(self, message_id: str) -> list[LogLine]:
        """What became of a message with that Message-ID in monitored mailboxes, and of marks on its copies, in the
        order of time."""
        if not any(file.component.startswith(MAILBOX_LOGS) for file in self._files):
            return []
        lines = self._lines(Pattern([message_id]), None, of=MAILBOX_LOGS)
        found = (line for line in lines if line.text("message_id") == message_id)
        # Lines about the sender's own copy have a queue id, and are told with that message.
        told = (line for line in found if line.action != "sent-item" or line.text("record"))
        return sorted(told, key=lambda line: line.at)

    def of_address(self, address: str, limit: int) -> list[LogLine]:
        """Accepted and refused messages from or to an address, newest first; days are read from the newest back."""
        pattern, key = Pattern([address], any_case=True), address.lower()
        found: list[LogLine] = []
        for day in sorted({file.day for file in self._files}, reverse=True):
            lines = [line for line in self._lines(pattern, None, on=day) if _concerns(line, key)]
            lines.sort(key=lambda line: line.at, reverse=True)
            found += lines
            if len(found) >= limit:
                return found[:limit]
        return found

    def _lines(
        self, pattern: Pattern, since: date | None, on: date | None = None, of: str | tuple[str, ...] = ""
    ) -> Iterator[LogLine]:
        """`of`: how the files' component begins."""
        for file in self._files:
            if not file.component.startswith(of):
                continue
            if (since is None or file.day >= since) and (on is None or file.day == on):
                for line in matching_lines(file, pattern, self.scanned, self._progress):
                    try:
                        yield read_line(line)
                    except (ValueError, RecursionError):
                        self.scanned.bad_lines += 1

    def _from_day_of(self, queue_ids: Collection[str]) -> date | None:
        """The day from which on there may be lines about these: a queue id tells when it was made."""
        moments = [made_at(queue_id) for queue_id in queue_ids]
        times = [moment for moment in moments if moment is not None and moment <= datetime.now(UTC)]
        if len(times) < len(moments):
            return None
        return (min(times) - timedelta(days=1)).date()  # the files' days are local ones


def _note_birth(found: Found, child: str, line: LogLine) -> None:
    """Of the lines that name it, the one that is about nothing else tells most."""
    if child not in found.births or line.action in BIRTHS:
        found.births[child] = line


def _concerns(line: LogLine, address: str) -> bool:
    """Whether a line tells that a message from or to that address came in, or was turned away."""
    if line.action not in ("accepted", "message-refused", "recipient-refused", "recipient-added"):
        return False
    named = (line.text("sender"), line.text("recipient"), *line.items("recipients"))
    return address in (each.lower() for each in named)
