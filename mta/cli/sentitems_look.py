"""`stampline sentitems status`, `list`, `show`: how the jobs in mailboxes stand: copies for Sent Items, and marks."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mta.cli.command import CommandFailedError, ExitCode, print_json, print_table, printable, short_age
from mta.cli.queue_spool import read_configuration, with_jobs
from mta.cli.sentitems_filters import filter_of
from mta.cli.sentitems_servers import tell_of_unknown_server
from mta.config.mailbox_schema import MailboxServer
from mta.config.schema import Organisation
from mta.model.sentitem import EndpointNotes, JobCopy, JobFilter, JobKind, JobState, SentItemJob, Switch
from mta.model.writeback import FiledMark
from mta.ports.sentitem_jobs import SentItemJobs
from mta.sentitems.reasons import explained

Counts = Mapping[tuple[JobState, str], int]
_LISTED = (JobState.WAITING, JobState.GIVEN_UP)
"""What `list` shows where no state is given: what is done or skipped is well."""
_KINDS = {JobKind.COPY: "a copy for Sent Items", JobKind.MARK: "a mark on the copies of a filed message"}
_SWITCH = {
    Switch.ON: "on",
    Switch.PAUSED: "PAUSED: jobs are made and wait, until `stampline sentitems resume`",
    Switch.OFF: "OFF: no jobs are made, and those there are wait, until `stampline sentitems on`",
}


def run_status(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)

    async def use(jobs: SentItemJobs) -> int:
        switch, counts = await jobs.switch(), await jobs.counts(JobFilter())
        marks = await jobs.counts(JobFilter(kind=JobKind.MARK))
        notes, due = await jobs.endpoint_notes(), await jobs.next_due()
        now = datetime.now(UTC)
        servers = [_server_to_json(*served, notes) for served in configuration.mailbox_servers]
        if arguments.json:
            print_json({"switch": switch.value, "servers": servers, "jobs": counts_to_json(counts),
                "marks": counts_to_json(marks),
                "next_due": due.isoformat() if due else None})  # fmt: skip
            return ExitCode.OK
        print(f"Sent Items: {_SWITCH[switch]}")
        if servers:
            rows = [_server_row(server, notes.get(server["name"]), now) for server in servers]
            print_table(("SERVER", "KIND", "ORGANISATION", "CONNECTIONS", "STATE"), rows)
        else:
            print("no organisation has `sent_items` or `write_back`")
            if any(state is JobState.WAITING for state, _ in counts):
                print("jobs from before wait, with their messages: `stampline sentitems skip --all` lets go of them")
        print(counts_text(counts))
        if marks:
            print(f"of these, marks on filed messages: {counts_text(marks)}")
        if due is not None and switch is Switch.ON:
            wait_s = (due - now).total_seconds()
            print(f"the next job is due {f'in {short_age(wait_s)}' if wait_s > 0 else 'now'}")
        return ExitCode.OK

    return with_jobs(configuration, use)


def _server_to_json(
    organisation: Organisation, server: MailboxServer, notes: Mapping[str, EndpointNotes]
) -> dict[str, Any]:
    noted = notes.get(server.name, EndpointNotes(server.name))
    return {
        "name": server.name,
        "kind": server.kind,
        "organisation": organisation.name,
        "connections": server.connections,
        "connections_now": noted.connections or server.connections,
        "is_stopped": noted.is_stopped,
        "resume_at": noted.resume_at.isoformat() if noted.resume_at else None,
        "reason": noted.reason,
        "detail": noted.detail,
    }


def _server_row(server: Mapping[str, Any], notes: EndpointNotes | None, now: datetime) -> list[str]:
    state = "works"
    if notes is not None and notes.is_stopped:
        state = f"STOPPED, {notes.reason}: {notes.detail}; mend it, then `stampline sentitems resume`"
    elif notes is not None and notes.resume_at is not None and notes.resume_at > now:
        wait = short_age((notes.resume_at - now).total_seconds())
        state = f"left alone for {wait}, {notes.reason}: {notes.detail}"
    most, current = server["connections"], server["connections_now"]
    connections = str(most) if most == current else f"{current} of {most}"
    return [server["name"], server["kind"], server["organisation"], connections, state]


def run_list(arguments: argparse.Namespace) -> int:
    which, configuration = filter_of(arguments), read_configuration(arguments)
    states = _LISTED if which.state is None else (which.state,)

    async def use(jobs: SentItemJobs) -> int:
        counts = await jobs.counts(which)
        tell_of_unknown_server(configuration, which.endpoint, matched=sum(counts.values()))
        if arguments.count:
            print_json(counts_to_json(counts)) if arguments.json else print(counts_text(counts))
            return ExitCode.OK
        found = await _entries(jobs, which, states, arguments.limit)
        if arguments.json:
            print_json([job_to_json(job) for job in found])
            return ExitCode.OK
        _print_jobs(found, sum(count for (state, _), count in counts.items() if state in states))
        if (switch := await jobs.switch()) is not Switch.ON:
            print(f"Sent Items is {_SWITCH[switch]}")
        print(counts_text(counts))
        return ExitCode.OK

    return with_jobs(configuration, use)


async def _entries(jobs: SentItemJobs, which: JobFilter, states: Sequence[JobState], limit: int) -> list[SentItemJob]:
    found = [job for state in states for job in await jobs.entries(replace(which, state=state), limit=limit)]
    return sorted(found, key=lambda job: job.created_at)[:limit]


def _print_jobs(found: Sequence[SentItemJob], of: int) -> None:
    now = datetime.now(UTC)
    if found:
        headings = ("JOB", "KIND", "AGE", "MAILBOX", "STATE", "REASON", "TRIES", "DUE", "SERVER", "MESSAGE-ID")
        print_table(headings, [_row(job, now) for job in found])
    if of > len(found):
        print(f"... and {of - len(found)} more")


def _row(job: SentItemJob, now: datetime) -> list[str]:
    return [
        job.id[:12],
        job.kind.value,
        short_age((now - job.created_at).total_seconds()),
        job.mailbox,
        job.state.value,
        job.reason or "-",
        str(job.attempts),
        _due(job, now),
        job.endpoint or "-",
        job.message_id,
    ]


def _due(job: SentItemJob, now: datetime) -> str:
    if job.is_leased:
        return "at work"
    if job.due_at is None or job.state is not JobState.WAITING:
        return "-"
    wait_s = (job.due_at - now).total_seconds()
    return f"in {short_age(wait_s)}" if wait_s > 0 else "now"


def run_show(arguments: argparse.Namespace) -> int:
    async def use(jobs: SentItemJobs) -> int:
        found = await _shown(jobs, arguments.which)
        if not found:
            text = f"no job {arguments.which!r}: it is forgotten `keep` after it ended, or there never was one"
            raise CommandFailedError(text)
        if arguments.json:
            print_json([job_to_json(job) for job in found])
        else:
            now = datetime.now(UTC)
            print("\n\n".join("\n".join(map(printable, _lines(job, now))) for job in found))
            if (switch := await jobs.switch()) is not Switch.ON:
                print(f"\nSent Items is {_SWITCH[switch]}")
        return ExitCode.OK

    return with_jobs(read_configuration(arguments), use)


async def _shown(jobs: SentItemJobs, which: str) -> Sequence[SentItemJob]:
    """What the word names: a job by its id or the beginning of it, a message by its queue id or its Message-ID."""
    if "@" in which or which.startswith("<"):
        return await jobs.entries(JobFilter(message_id=which if which.startswith("<") else f"<{which}>"))
    by_id = await jobs.entries(JobFilter(id=which), limit=20)
    return by_id or await jobs.entries(JobFilter(queue_id=which))


def _lines(job: SentItemJob, now: datetime) -> list[str]:
    made = f"{job.created_at.astimezone():%Y-%m-%d %H:%M:%S}, {short_age((now - job.created_at).total_seconds())} ago"
    lines = [
        f"job         {job.id}, {_KINDS[job.kind]}",
        f"mailbox     {job.mailbox}",
        f"message     {job.message_id}" + (f" of {job.date:%Y-%m-%d %H:%M:%S} UTC" if job.date else ""),
        f"state       {job.state.value}" + (f", {job.reason}" if job.reason else ""),
    ]
    if job.reason and (meaning := explained(job.reason)):
        lines.append(f"            {meaning}")
    if job.detail:
        lines.append(f"said        {job.detail}")
    lines += [f"made        {made}", f"server      {job.endpoint or 'not looked up yet'}"]
    if job.state is JobState.WAITING:
        lines.append(f"next        {_next(job, now)}")
    elif job.state is JobState.GIVEN_UP:
        lines.append(f"next        nothing, unless you say `stampline sentitems retry {job.id[:12]}`")
    lines += [_copy_line(copy, job) for copy in job.copies]
    return lines if job.mark is None else lines + _mark_lines(job.mark)


def _mark_lines(mark: FiledMark) -> list[str]:
    """Columns by their names: their values are of the record."""
    told = (("record", mark.record), ("category", mark.category), ("link", mark.link))
    lines = [f"{name:11} {value or '-'}" for name, value in told]
    if mark.link_text:
        lines.append("            also on top of the text, where the server lets us")
    return [*lines, f"columns     {', '.join(mark.columns)}"] if mark.columns else lines


def _next(job: SentItemJob, now: datetime) -> str:
    due = _due(job, now)
    tried = f" (tried {job.attempts} time{'s' if job.attempts != 1 else ''} so far)" if job.attempts else ""
    return {"at work": "it is being worked on", "now": "it is due now"}.get(due, f"it is due {due}") + tried


def _copy_line(copy: JobCopy, job: SentItemJob) -> str:
    who = f"{copy.recipients} recipient{'s' if copy.recipients != 1 else ''}"
    placed = ", stands in Sent Items" if copy.key in job.placed.split() else ""
    where = "outside" if copy.external else "inside only"
    return f"copy        {copy.key}, to {who} {where}, {copy.sent_at.astimezone():%H:%M:%S}{placed}"


def counts_to_json(counts: Counts) -> list[dict[str, Any]]:
    """Jobs by state and reason, as JSON values."""
    return [{"state": state.value, "reason": reason, "jobs": count} for (state, reason), count in counts.items()]


def counts_text(counts: Counts) -> str:
    """Sums in words: `12 waiting (not-found 3), 1 given-up (quota 1)`."""
    by_state: dict[JobState, Counter[str]] = {}
    for (state, reason), count in counts.items():
        by_state.setdefault(state, Counter())[reason] += count
    texts = []
    for state in JobState:
        if reasons := by_state.get(state):
            named = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common() if reason)
            texts.append(f"{reasons.total()} {state.value}" + (f" ({named})" if named else ""))
    return ", ".join(texts) or "0 jobs"


def job_to_json(job: SentItemJob) -> dict[str, Any]:
    """One job as JSON values, without content."""
    return {
        "id": job.id,
        "kind": job.kind.value,
        "mailbox": job.mailbox,
        "organisation": job.organisation,
        "message_id": job.message_id,
        "date": job.date.isoformat() if job.date else None,
        "state": job.state.value,
        "reason": job.reason,
        "detail": job.detail,
        "attempts": job.attempts,
        "created_at": job.created_at.isoformat(),
        "due_at": job.due_at.isoformat() if job.due_at else None,
        "is_being_worked_on": job.is_leased,
        "server": job.endpoint,
        "placed": job.placed.split(),
        "record": job.mark.record if job.mark is not None else None,
        "category": job.mark.category if job.mark is not None else None,
        "link": job.mark.link if job.mark is not None else None,
        "columns": sorted(job.mark.columns) if job.mark is not None else [],
        "copies": [
            {
                "copy": copy.key,
                "queue_id": copy.queue_id,
                "sent_at": copy.sent_at.isoformat(),
                "external": copy.external,
                "recipients": copy.recipients,
            }
            for copy in job.copies
        ],
    }
