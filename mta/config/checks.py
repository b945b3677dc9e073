"""What the schema can't say: names that must exist, files that must be readable, keys that must be keys."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mta.config.alert_checks import alert_consistency, alert_surroundings
from mta.config.authentication_checks import authentication_consistency
from mta.config.delivery_checks import delivery_consistency, delivery_surroundings
from mta.config.directory_checks import directory_consistency, directory_surroundings
from mta.config.findings import Finding, no_domain
from mta.config.listener_checks import listener_consistency, listener_surroundings
from mta.config.schema import Configuration
from mta.config.sentitems_checks import sent_items_consistency, sent_items_surroundings
from mta.config.signing_checks import signing_consistency, signing_surroundings
from mta.config.tracking_checks import tracking_consistency, tracking_surroundings
from mta.config.writeback_checks import write_back_consistency, write_back_surroundings
from mta.config.yaml_values import Loc
from mta.model.address import AddressError, domain_key, parse_address


def check_consistency(configuration: Configuration) -> list[Finding]:
    """Whether the parts of the configuration fit each other; looks at nothing outside it."""
    return [
        *_repeated_names(configuration),
        *listener_consistency(configuration),
        *authentication_consistency(configuration),
        *delivery_consistency(configuration),
        *_domains(configuration),
        *directory_consistency(configuration),
        *signing_consistency(configuration),
        *alert_consistency(configuration),
        *sent_items_consistency(configuration),
        *tracking_consistency(configuration),
        *write_back_consistency(configuration),
    ]


def check_surroundings(configuration: Configuration) -> list[Finding]:
    """Whether the files, folders, certificates, environment variables and keys that it names are there and good."""
    return [
        *listener_surroundings(configuration),
        *delivery_surroundings(configuration),
        *signing_surroundings(configuration),
        *_folders(configuration),
        *directory_surroundings(configuration),
        *alert_surroundings(configuration),
        *sent_items_surroundings(configuration),
        *tracking_surroundings(configuration),
        *write_back_surroundings(configuration),
    ]


def _repeated_names(configuration: Configuration) -> Iterator[Finding]:
    for what, key, items in (
        ("listener", "listeners", configuration.listeners),
        ("next hop", "next_hops", configuration.next_hops),
        ("organisation", "organisations", configuration.organisations),
    ):
        counts = Counter(item.name for item in items)
        for index, item in enumerate(items):
            if counts[item.name] > 1:
                yield Finding((key, index, "name"), f"two {what}s are called {item.name!r}", "give each its own name")


def _domains(configuration: Configuration) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for place, organisation in configuration.placed_organisations:
        for index, domain in enumerate(organisation.accepted_domains):
            loc: Loc = (*place, "accepted_domains", index)
            yield from no_domain(loc, domain, "write each domain out, such as example.com")
            owner = owners.get(domain_key(domain))
            if owner == organisation.name:
                yield Finding(loc, f"{domain!r} stands here twice", "keep one")
            elif owner is not None:
                yield Finding(loc, f"{domain!r} is organisation {owner!r}'s already", "a domain has one organisation")
            owners[domain_key(domain)] = organisation.name
    yield from no_domain(("hostname",), configuration.hostname, "write the full name of this machine")
    address = configuration.postmaster
    try:
        parse_address(address if "@" in address else f"{address}@{configuration.hostname}")
    except AddressError as exc:
        yield Finding(("postmaster",), f"{address!r} is no address: {exc}", "write postmaster or an address")


def _folders(configuration: Configuration) -> Iterator[Finding]:
    for place, organisation in configuration.placed_organisations:
        for key, path in (("rules", organisation.rules), ("templates", organisation.templates)):
            if not path.is_dir():
                yield Finding((*place, key), f"there is no folder {path}", "create it, or correct the path")
    for loc, path in (
        (("spool", "folder"), configuration.spool.folder),
        (("logs", "folder"), configuration.logs.folder),
        (("control", "socket"), configuration.control.socket.parent),
    ):
        yield from _can_be_made(loc, path)


def _can_be_made(loc: Loc, path: Path) -> Iterator[Finding]:
    """Folders that the service makes at its start: whatever is there of the path must be a folder that it may write."""
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        yield Finding(loc, f"{there} is not a folder", "choose another path")
    elif there == path and not os.access(there, os.W_OK | os.X_OK) and not _is_on_read_only_disk(there):
        yield Finding(loc, f"{there} can't be written by this user", "give the folder to the service's user")


def _is_on_read_only_disk(path: Path) -> bool:
    """A fault of the disk, which passes, and no mistake of the configuration: the service runs, and refuses mail."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
