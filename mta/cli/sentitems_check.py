"""`stampline sentitems check`: walk through what a job does, on each mailbox server, and say how to mend what fails."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Mapping
from datetime import UTC, datetime

from mta.adapters.directory import open_directory
from mta.cli.check_online import Shown, as_json, is_good, summary
from mta.cli.command import CommandFailedError, ExitCode, print_json
from mta.cli.queue_spool import read_configuration
from mta.cli.sentitems_servers import require_mailbox_server
from mta.config.schema import Configuration
from mta.model.address import domain_key
from mta.probe.mailbox_servers import MailboxServerProbe
from mta.probe.probe import Probe
from mta.probe.run import Result, run_probes
from mta.probe.sent_items import Branch, MailboxProbe, OutsiderProbe


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    require_mailbox_server(configuration, arguments.server)
    try:
        results = asyncio.run(_tried(configuration, arguments))
    except asyncio.CancelledError:
        raise CommandFailedError("broken off") from None
    if arguments.json:
        print_json({"ok": is_good(results), "results": as_json(results)})
    else:
        print(summary(results))
    return ExitCode.OK if is_good(results) else ExitCode.FAILED


async def _tried(configuration: Configuration, arguments: argparse.Namespace) -> list[Result]:
    branches = {
        each.name: Branch(each, open_directory(each.directory))
        for each in configuration.every_organisation
        if each.mailbox_servers
    }
    _end_tidily()
    try:
        probes = _probes(configuration, branches, arguments)
        shown = Shown([f"{kind} {probe.name}" for kind, probe in probes], is_silent=arguments.json)
        shown.progress()
        return await run_probes(probes, arguments.timeout, shown.done)
    finally:
        for branch in branches.values():
            await branch.directory.close()


def _end_tidily() -> None:
    """A test item is removed, too, where a terminal or another program ends this one; Ctrl-C is seen to already."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _probes(
    configuration: Configuration, branches: Mapping[str, Branch], arguments: argparse.Namespace
) -> list[tuple[str, Probe]]:
    """Those that are asked for; else each server is looked into."""
    now, server = datetime.now(UTC), arguments.server
    if not arguments.mailbox and not arguments.outside:
        return [
            ("mailbox-server", MailboxServerProbe(branch, settings, now))
            for branch in branches.values()
            for settings in branch.servers
            if server in ("", settings.name)
        ]

    def branch(address: str) -> Branch:
        return _branch_of(address, configuration, branches)

    inside: list[Probe] = [MailboxProbe(branch(each), each.lower(), now, server) for each in arguments.mailbox]
    outside: list[Probe] = [OutsiderProbe(branch(each), each.lower(), server) for each in arguments.outside]
    return [("mailbox", probe) for probe in (*inside, *outside)]


def _branch_of(address: str, configuration: Configuration, branches: Mapping[str, Branch]) -> Branch:
    """That of the organisation whose domain it is. Raises CommandFailedError where it is nobody's."""
    domain = domain_key(address.rpartition("@")[2])
    for organisation in configuration.every_organisation:
        if organisation.name in branches and domain in map(domain_key, organisation.accepted_domains):
            return branches[organisation.name]
    text = f"{address}: its domain is none of the accepted_domains of an organisation with `sent_items` or `write_back`"
    raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
