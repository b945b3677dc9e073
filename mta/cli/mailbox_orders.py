"""`stampline mailbox pause` and `resume`: kept in the store, and seen by the process within a second."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from mta import events
from mta.cli.command import ExitCode, print_json
from mta.cli.mailbox_names import chosen, mailboxes_of, names_text
from mta.cli.queue_spool import log_as_relay, read_configuration, wake, who, with_store
from mta.ports.tracking_store import TrackingStore

_DONE = {"pause": ("paused", "was paused already"), "resume": ("resumed", "was neither paused nor left alone")}


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    names, operation = chosen(arguments, mailboxes_of(configuration)), arguments.operation

    async def use(store: TrackingStore) -> dict[str, bool]:
        now = datetime.now(UTC)
        if operation == "pause":
            return {name: await store.pause(name, who(), now) for name in names}
        return {name: await store.resume(name) for name in names}

    changed = with_store(configuration, use)
    if any(changed.values()):
        log_as_relay(configuration)
        events.mailbox_ordered(operation, mailboxes=names_text([name for name in names if changed[name]]), by=who())
        wake(configuration)
    done, not_done = _DONE[operation]
    if arguments.json:
        print_json({name: {"changed": is_new, "state": done} for name, is_new in changed.items()})
        return ExitCode.OK
    for name, is_new in changed.items():
        print(f"{name}: {done if is_new else not_done}")
    return ExitCode.OK
