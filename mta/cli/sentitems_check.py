"""`stampline sentitems check`: walk through what a job does, on each mailbox server, and say how to mend what fails."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from mta.adapters.directory import open_directory
from mta.cli.check_online import Shown, as_json, is_good, summary
from mta.cli.command import CommandFailedError, ExitCode, print_json
from mta.cli.queue_spool import read_configuration
from mta.config.explain_errors import closest
from mta.config.schema import Configuration
from mta.config.sentitems_schema import SentItemsSettings
from mta.model.address import domain_key
from mta.ports.directory import DirectoryDownError
from mta.probe.probe import Probe
from mta.probe.run import Result, run_probes
from mta.probe.sent_items import Branch, MailboxProbe, OutsiderProbe, sample_mailbox


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments)
    names = {server.name for each in _settings(configuration) for server in each.servers}
    if not names:
        raise CommandFailedError("no organisation has `sent_items`", ExitCode.BAD_CONFIGURATION)
    if arguments.server and arguments.server not in names:
        text = f"no mailbox server is called {arguments.server!r}; {closest(arguments.server, names)}"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
    results = asyncio.run(_tried(configuration, arguments))
    if arguments.json:
        print_json({"ok": is_good(results), "results": as_json(results)})
    else:
        print(summary(results))
    return ExitCode.OK if is_good(results) else ExitCode.FAILED


def _settings(configuration: Configuration) -> list[SentItemsSettings]:
    return [each.sent_items for each in configuration.every_organisation if each.sent_items is not None]


async def _tried(configuration: Configuration, arguments: argparse.Namespace) -> list[Result]:
    branches = {
        each.name: Branch(each.sent_items, open_directory(each.directory))
        for each in configuration.every_organisation
        if each.sent_items is not None
    }
    try:
        probes = [("mailbox", probe) for probe in await _probes(configuration, branches, arguments)]
        shown = Shown([f"{kind} {probe.name}" for kind, probe in probes], is_silent=arguments.json)
        shown.progress()
        return await run_probes(probes, arguments.timeout, shown.done)
    finally:
        for branch in branches.values():
            await branch.directory.close()


async def _probes(
    configuration: Configuration, branches: Mapping[str, Branch], arguments: argparse.Namespace
) -> list[Probe]:
    now, server = datetime.now(UTC), arguments.server

    def branch(address: str) -> Branch:
        return _branch_of(address, configuration, branches)

    probes: list[Probe] = [MailboxProbe(branch(each), each.lower(), now, server) for each in arguments.mailbox]
    probes += [OutsiderProbe(branch(each), each.lower(), server) for each in arguments.outside]
    return probes or await _samples(branches, server, now)


def _branch_of(address: str, configuration: Configuration, branches: Mapping[str, Branch]) -> Branch:
    """That of the organisation whose domain it is. Raises CommandFailedError where it is nobody's."""
    domain = domain_key(address.rpartition("@")[2])
    for organisation in configuration.every_organisation:
        if organisation.name in branches and domain in map(domain_key, organisation.accepted_domains):
            return branches[organisation.name]
    text = f"{address}: its domain is none of the accepted_domains of an organisation with `sent_items`"
    raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)


async def _samples(branches: Mapping[str, Branch], only: str, now: datetime) -> list[Probe]:
    """Somebody's mailbox on each server, to look into."""
    probes: list[Probe] = []
    for branch in branches.values():
        for settings in branch.settings.servers:
            if only not in ("", settings.name):
                continue
            try:
                address = await sample_mailbox(branch, settings.name)
            except DirectoryDownError as exc:
                raise CommandFailedError(f"the directory does not answer ({exc}): name a --mailbox") from exc
            if address is None:
                text = f"the directory tells of nobody whose mailbox is on {settings.name}: name a --mailbox"
                raise CommandFailedError(text)
            probes.append(MailboxProbe(branch, address, now, settings.name, writes=False))
    return probes
