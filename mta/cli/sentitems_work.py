"""`stampline sentitems retry`, `skip`, and the switch: `on`, `off`, `pause`, `resume`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime

from mta import events
from mta.cli.command import CommandFailedError, ExitCode, print_json
from mta.cli.queue_spool import log_as_relay, read_configuration, wake, who, with_jobs
from mta.cli.sentitems_filters import filter_text, filters_of
from mta.cli.sentitems_servers import require_mailbox_server, tell_of_unknown_server
from mta.model.sentitem import EndpointNotes, JobState, Switch
from mta.ports.sentitem_jobs import SentItemJobs
from mta.sentitems.reasons import BY_ADMINISTRATOR

WORDS = {
    "retry": "try jobs now, also those that were given up",
    "skip": "let go of waiting jobs: items stay as they are",
}
SWITCHES = {
    "on": ("make jobs and work on them", Switch.ON),
    "off": ("make no more copies for Sent Items; jobs wait, marks too", Switch.OFF),
    "pause": ("make jobs, and let them wait", Switch.PAUSED),
    "resume": ("work on jobs again, also on servers that were stopped after a failed sign-in", Switch.ON),
}
_DONE = {"retry": "retried", "skip": "skipped"}
_STATES = {"retry": (JobState.WAITING, JobState.GIVEN_UP), "skip": (JobState.WAITING,)}


def run(arguments: argparse.Namespace) -> int:
    """Carry out one of WORDS."""
    name = arguments.operation
    meant = [
        replace(which, state=state)
        for which in filters_of(arguments, name)
        for state in _STATES[name]
        if which.state in (None, state)
    ]
    if not meant:
        states = " or ".join(state.value for state in _STATES[name])
        text = f"`sentitems {name}` takes jobs that are {states}; of others no content is kept"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
    configuration = read_configuration(arguments)

    async def use(jobs: SentItemJobs) -> int:
        if arguments.dry_run:
            return sum([sum((await jobs.counts(which)).values()) for which in meant])
        if name == "retry":
            now = datetime.now(UTC)
            return sum([await jobs.retry(which, now) for which in meant])
        return sum([await jobs.skip(which, BY_ADMINISTRATOR) for which in meant])

    changed = with_jobs(configuration, use)
    if changed and not arguments.dry_run:
        log_as_relay(configuration)
        events.sent_items_changed(name, by=who(), which="; ".join(map(filter_text, meant)), jobs=changed)
        wake(configuration)
    tell_of_unknown_server(configuration, arguments.server, matched=changed)
    done = f"would be {_DONE[name]}" if arguments.dry_run else _DONE[name]
    if arguments.json:
        print_json({done.replace(" ", "_"): changed})
    else:
        print(f"{done}: {changed}")
    return ExitCode.FAILED if arguments.ids and not changed else ExitCode.OK


def run_switch(arguments: argparse.Namespace) -> int:
    """Carry out one of SWITCHES."""
    name, switch = arguments.operation, SWITCHES[arguments.operation][1]
    configuration = read_configuration(arguments)
    server = getattr(arguments, "server", "")
    if server:
        require_mailbox_server(configuration, server)

    async def use(jobs: SentItemJobs) -> tuple[bool, list[str]]:
        is_new = False
        if not server:
            is_new = await jobs.set_switch(switch, by_whom=who(), at=datetime.now(UTC))
        return is_new, await _resumed(jobs, server) if name == "resume" else []

    is_new, resumed = with_jobs(configuration, use)
    if is_new or resumed:
        log_as_relay(configuration)
        events.sent_items_ordered(name, by=who(), servers=resumed)
        wake(configuration)
    if arguments.json:
        print_json({"switch": switch.value, "is_new": is_new, "resumed_servers": resumed})
        return ExitCode.OK
    if not server:
        print(f"Sent Items {'is' if is_new else 'was already'} {switch.value}")
    print(*(f"server {each} is tried again" for each in resumed), sep="\n", end="\n" if resumed else "")
    return ExitCode.OK


async def _resumed(jobs: SentItemJobs, server: str) -> list[str]:
    """Forget why servers are left alone: all of them, or one."""
    notes = [each for each in (await jobs.endpoint_notes()).values() if server in ("", each.name)]
    left_alone = [each for each in notes if each.is_stopped or each.resume_at is not None]
    for each in left_alone:
        await jobs.note_endpoint(EndpointNotes(each.name))
    return [each.name for each in left_alone]
