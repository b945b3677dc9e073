"""How `stampline trace` tells what it found: steps with the time between them, and what became of each recipient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mta.cli.command import print_table, printable, short_age
from mta.cli.queue_view import first_of
from mta.model.sentitem import SentItemJob
from mta.trace.life import Fate, Life
from mta.trace.log_lines import LogLine
from mta.trace.words import sentence

_DEPTH_MAX = 5


@dataclass(frozen=True, slots=True)
class Story:
    """All that is told of one message."""

    what: str
    roots: Sequence[Life]
    lives: Mapping[str, Life]
    """With what follows from the roots."""
    refusals: Sequence[LogLine]
    siblings: Sequence[Life]
    """Other messages with the same Message-ID."""
    notes: Sequence[str]
    jobs: Mapping[str, Sequence[SentItemJob]]
    """Unfinished Sent Items jobs by queue id."""
    mailboxes: Sequence[LogLine] = ()
    """What became of it in monitored mailboxes, and of marks on its copies."""
    marks: Sequence[SentItemJob] = ()
    """Of its copies in people's mailboxes, as their jobs stand now."""

    def children(self, life: Life) -> list[Life]:
        """Those that follow from a message, oldest first."""
        return [child for child in self.lives.values() if child.parent == life.queue_id]


def print_story(story: Story) -> None:
    """Each life, then what stands beside it."""
    for number, life in enumerate(story.roots):
        print("\n" * bool(number), end="")
        _print_life(story, life, 0)
    for line in story.refusals:
        text = f"refused {_clock(line.at)}: {line.text('reply')} (client {line.text('client')}, {line.text('sender')})"
        print(printable(text))
    for line in story.mailboxes:
        print(printable(f"{_clock(line.at)}  {sentence(line)}"))
    for job in story.marks:
        _say("", f"=> {_job_text(job)}")
    if story.siblings:
        print("\nother messages with the same Message-ID")
        print_table(_HEADINGS, [row.cells() for row in rows_of(story.siblings, ())])
    _print_notes(story.notes)


def _print_life(story: Story, life: Life, depth: int) -> None:
    margin = "    " * depth
    follows = f", follows from {life.parent}" if life.parent and not depth else ""
    subject = f"{life.message_id} from {life.sender}" if life.message_id or life.sender else ""
    _say(margin, f"{life.queue_id}  {subject}{follows}".rstrip())
    before: datetime | None = None
    for line in life.lines:
        _say(margin, f"  {_clock(line.at)}  {_gap(before, line.at):>8}  {sentence(line)}")
        before = line.at
    for fate in life.fates.values():
        _say(margin, f"  => {_fate_text(fate, life.began_at)}")
    for job in story.jobs.get(life.queue_id, ()):
        _say(margin, f"  => {_job_text(job)}")
    for child in story.children(life):
        if depth < _DEPTH_MAX:
            print()
            _print_life(story, child, depth + 1)


def _say(margin: str, text: str) -> None:
    print(margin + printable(text).replace("\n", " "))


def _print_notes(notes: Iterable[str]) -> None:
    for number, note in enumerate(notes):
        print(("" if number else "\n") + printable(f"note: {note}"))


def _clock(at: datetime) -> str:
    """In the local zone."""
    local = at.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}"


def _gap(before: datetime | None, at: datetime) -> str:
    """The time between two steps."""
    if before is None:
        return ""
    seconds = (at - before).total_seconds()
    if seconds < 1:
        return f"+{max(seconds, 0) * 1000:.0f}ms"
    return f"+{seconds:.1f}s" if seconds < 60 else f"+{short_age(seconds)}"


def _fate_text(fate: Fate, began_at: datetime | None) -> str:
    """What became of one recipient."""
    when = f" {_clock(fate.at)}" if fate.at is not None else ""
    took = ""
    if fate.is_final and fate.at is not None and began_at is not None:
        took = f", {_gap(began_at, fate.at).removeprefix('+')} after it came in"
    hop = f" by {fate.next_hop}" if fate.next_hop else ""
    remote = f", {fate.remote}" if fate.remote else ""
    reply = f', "{fate.reply}"' if fate.reply else ""
    match fate.outcome:
        case "queued" | "held":
            due = f", {'given up' if fate.outcome == 'held' else 'due'} {_clock(fate.due_at)}" if fate.due_at else ""
            text = f"IN THE QUEUE, {fate.outcome}{hop}, {fate.attempts} attempts{reply}{due}"
        case "waiting":
            due = f", to be tried again {_clock(fate.due_at)}" if fate.due_at else ""
            text = f"not done, as far as the log tells{reply}{due}"
        case "unknown":
            text = "unknown: it is not in the queue, and the log does not tell how it ended"
        case _:
            text = f"{fate.outcome}{when}{took}{hop}{remote}{reply}"
    return f"{fate.address}: {text}"


def _job_text(job: SentItemJob) -> str:
    """How it stands with the sender's own copy, or with a mark."""
    what = f"Sent Items of {job.mailbox}" if job.mark is None else f"mark of {job.mark.record} in {job.mailbox}"
    reason = f" ({job.reason})" if job.reason else ""
    due = f", due {_clock(job.due_at)}" if job.due_at is not None and not job.is_leased else ""
    state = "is being worked on" if job.is_leased else job.state.value
    return f"{what}: {state}{reason}{due}, job {job.id}"


# --- a line for each message -----------------------------------------------------------------------------------------

_HEADINGS = ("TIME", "QUEUE ID", "SENDER", "RECIPIENTS", "OUTCOME")


@dataclass(frozen=True, slots=True)
class Row:
    """One message in a list."""

    at: datetime
    queue_id: str
    sender: str
    recipients: tuple[str, ...]
    outcome: str
    message_id: str = ""

    def cells(self) -> tuple[str, ...]:
        """As in a table."""
        return (
            _clock(self.at), self.queue_id or "-", self.sender or "-", first_of(self.recipients), self.outcome
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "time": self.at.isoformat(),
            "queue_id": self.queue_id,
            "message_id": self.message_id,
            "sender": self.sender,
            "recipients": list(self.recipients),
            "outcome": self.outcome,
        }


def rows_of(lives: Iterable[Life], refused: Iterable[LogLine]) -> list[Row]:
    """Messages and refusals, newest first."""
    rows = [
        Row(
            at,
            life.queue_id,
            life.sender,
            tuple(f.address for f in life.fates.values()),
            _outcome(life),
            life.message_id,
        )
        for life in lives
        if (at := life.began_at) is not None
    ]
    for line in refused:
        to = (line.text("recipient"),) if line.text("recipient") else (f"{line.text('recipients')} recipients",)
        reply = f"refused: {line.text('reply')}"
        rows.append(Row(line.at, line.queue_id, line.text("sender"), to, reply, line.text("message_id")))
    return sorted(rows, key=lambda row: row.at, reverse=True)


def _outcome(life: Life) -> str:
    counts = Counter(fate.outcome for fate in life.fates.values())
    return ", ".join(f"{name} {count}" if len(counts) > 1 else name for name, count in counts.items()) or "unknown"


def print_rows(rows: Sequence[Row], notes: Sequence[str]) -> None:
    """A table, and how to see more."""
    print_table(_HEADINGS, [row.cells() for row in rows])
    print(f"{len(rows)} shown; `stampline trace QUEUE-ID` tells the life of one")
    _print_notes(notes)


# --- JSON ------------------------------------------------------------------------------------------------------------


def story_to_json(story: Story) -> dict[str, Any]:
    """All that is told, as JSON values."""
    return {
        "what": story.what,
        "messages": [_life_to_json(story, life, 0) for life in story.roots],
        "refused": [_line_to_json(line) for line in story.refusals],
        "siblings": [row.to_json() for row in rows_of(story.siblings, ())],
        "mailboxes": [_line_to_json(line) for line in story.mailboxes],
        "marks": [{"record": job.mark.record if job.mark else "", **_job_to_json(job)} for job in story.marks],
        "notes": list(story.notes),
    }


def _life_to_json(story: Story, life: Life, depth: int) -> dict[str, Any]:
    began_at = life.began_at
    return {
        "queue_id": life.queue_id,
        "message_id": life.message_id,
        "sender": life.sender,
        "began_at": began_at.isoformat() if began_at else None,
        "follows_from": life.parent,
        "is_queued": life.entry is not None,
        "recipients": [_fate_to_json(fate) for fate in life.fates.values()],
        "sent_items": [_job_to_json(job) for job in story.jobs.get(life.queue_id, ())],
        "steps": [_line_to_json(line) for line in life.lines],
        "derived": [_life_to_json(story, child, depth + 1) for child in story.children(life)]
        if depth < _DEPTH_MAX else [],
    }  # fmt: skip


def _job_to_json(job: SentItemJob) -> dict[str, Any]:
    due_at = job.due_at.isoformat() if job.due_at else None
    return {
        "job": job.id, "mailbox": job.mailbox, "state": job.state.value, "reason": job.reason, "due_at": due_at
    }  # fmt: skip


def _line_to_json(line: LogLine) -> dict[str, Any]:
    return {"time": line.at.isoformat(), "level": line.level, "action": line.action, **line.fields}


def _fate_to_json(fate: Fate) -> dict[str, Any]:
    return {
        "address": fate.address,
        "outcome": fate.outcome,
        "at": fate.at.isoformat() if fate.at else None,
        "next_hop": fate.next_hop,
        "remote": fate.remote,
        "reply": fate.reply,
        "attempts": fate.attempts,
        "due_at": fate.due_at.isoformat() if fate.due_at else None,
    }
