"""`stampline records accept`, `decline`, `merge`, `purge`: what an owner decides by hand."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime

from mta import events
from mta.cli.command import CommandFailedError, ExitCode, print_json
from mta.cli.queue_spool import log_as_relay, read_configuration, who, with_store
from mta.cli.records_filters import filter_of, filter_text
from mta.cli.records_look import entry_to_json
from mta.cli.records_named import transaction_named
from mta.model.printable import in_a_line
from mta.model.record import RecordFilter
from mta.model.tracking import Entry, EntryState
from mta.model.transaction import Transaction
from mta.ports.tracking_store import TrackingStore

DECISIONS = {
    "accept": "let a stranger's message into the record; from now on its sender takes part",
    "decline": "leave a stranger's message out of the record",
}
_DONE = {"accept": "takes part in", "decline": "stays out of"}
_LOOKED_AT = 10_000


def run_decide(arguments: argparse.Namespace) -> int:
    """Carry out one of DECISIONS."""
    name, configuration = arguments.operation, read_configuration(arguments)

    async def use(store: TrackingStore) -> Entry:
        entry = await _pending(store, arguments.entry, arguments.organisation)
        decide = store.accept_pending if name == "accept" else store.decline_pending
        decided = await decide(entry.organisation, entry.key)
        if decided is None:
            raise CommandFailedError(f"somebody was faster: {arguments.entry} waits no more")
        return decided

    entry = with_store(configuration, use)
    log_as_relay(configuration)
    events.pending_decided(
        name, by=who(), record=str(entry.transaction or ""), message_id=entry.message_id, sender=entry.sender,
        organisation=entry.organisation,
    )  # fmt: skip
    if arguments.json:
        print_json(entry_to_json(entry))
    else:
        print(f"{in_a_line(entry.sender, 200) or 'the sender'} {_DONE[name]} {entry.transaction}")
    return ExitCode.OK


async def _pending(store: TrackingStore, text: str, organisation: str) -> Entry:
    """Raises CommandFailedError."""
    names = {text, f"<{text}>", f"id:{text}", f"id:<{text}>"}
    waiting = await store.entries(organisation, states=[EntryState.PENDING], limit=_LOOKED_AT)
    found = [entry for entry in waiting if entry.key == text]
    found = found or [entry for entry in waiting if not names.isdisjoint((entry.key, entry.message_id))]
    if not found:
        raise CommandFailedError(f"no message {text!r} waits: `stampline records pending` shows those that do")
    if len({entry.organisation for entry in found}) < len(found):
        which = ", ".join(f"{entry.key} of {entry.sender or 'nobody'}" for entry in found[:10])
        raise CommandFailedError(
            in_a_line(f"several messages have that Message-ID: name one by its entry, {which}", 2000)
        )
    if len(found) > 1:
        where = ", ".join(sorted({entry.organisation for entry in found}))
        raise CommandFailedError(f"{text!r} waits in several organisations ({where}): add --organisation NAME")
    return found[0]


def run_merge(arguments: argparse.Namespace) -> int:
    """The first record is gone into the second one."""
    configuration = read_configuration(arguments)

    async def use(store: TrackingStore) -> tuple[Transaction, Transaction]:
        gone = await transaction_named(store, configuration, arguments.gone, arguments.organisation)
        into = await transaction_named(store, configuration, arguments.into, gone.organisation)
        if gone == into:
            raise CommandFailedError(f"{arguments.gone} and {arguments.into} are one record already")
        await store.merge(gone, into, datetime.now(UTC))
        return gone, into

    gone, into = with_store(configuration, use)
    log_as_relay(configuration)
    events.records_merged(str(gone), str(into), by=who(), organisation=into.organisation)
    if arguments.json:
        print_json({"gone": str(gone), "into": str(into), "organisation": into.organisation})
    else:
        print(f"{gone} is {into} now: its notes stand there, and answers to it go there")
    return ExitCode.OK


def run_purge(arguments: argparse.Namespace) -> int:
    """Of what matches, only what a rule has deleted."""
    which, configuration = filter_of(arguments), read_configuration(arguments)
    is_empty = filter_text(which) == "all"
    if is_empty != arguments.all:
        text = "`records purge` needs a filter; --all means every deleted record, and goes with no filter"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)

    async def use(store: TrackingStore) -> int:
        return await _deleted(store, which) if arguments.dry_run else await store.purge(which)

    purged = with_store(configuration, use)
    if purged and not arguments.dry_run:
        log_as_relay(configuration)
        events.records_purged(by=who(), which=filter_text(which), records=purged)
    done = "would be purged" if arguments.dry_run else "purged"
    print_json({done.replace(" ", "_"): purged}) if arguments.json else print(f"{done}: {purged}")
    return ExitCode.OK


async def _deleted(store: TrackingStore, which: RecordFilter) -> int:
    everything = await store.count_records(replace(which, with_deleted=True))
    alive = await store.count_records(replace(which, with_deleted=False))
    return sum(everything.values()) - sum(alive.values())
