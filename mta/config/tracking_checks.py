"""What the schema can't say about tracking: names that must exist or be one of a kind, keys, mailboxes, accounts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from mta.config.clock_words import ScheduleError, time_of, zone_of
from mta.config.correlation_checks import correlation_consistency
from mta.config.explain_errors import closest
from mta.config.findings import Finding
from mta.config.monitored_checks import monitored_mailbox, monitored_mailbox_surroundings, place_of
from mta.config.outgoing_checks import outgoing_consistency, outgoing_surroundings
from mta.config.schema import Configuration
from mta.config.tracking_schema import People, TrackingSettings
from mta.config.yaml_values import Loc
from mta.model.address import AddressError, parse_address

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_IN_URLS = ("module", "id", "number")
_SHORTEST_MEMORY = timedelta(days=1)


def tracking_consistency(configuration: Configuration) -> Iterator[Finding]:
    """Whether the settings make sense by themselves."""
    placed = list(_placed(configuration))
    names = Counter(mailbox.name for _, settings in placed for mailbox in settings.mailboxes)
    monitored_by: dict[tuple[str, ...], str] = {}
    for loc, settings in placed:
        yield from _modules(loc, settings)
        if settings.keep < _SHORTEST_MEMORY:
            what = "what was processed would be forgotten while it may come again, and be taken twice"
            yield Finding((*loc, "keep"), what, "write 90d; a day or more")
        yield from _people(loc, settings)
        yield from _trouble(loc, settings)
        yield from _digests(loc, settings)
        yield from outgoing_consistency(loc, settings)
        yield from correlation_consistency(loc, settings)
        for index, mailbox in enumerate(settings.mailboxes):
            where = (*loc, "mailboxes", index)
            if names[mailbox.name] > 1:
                what = f"two monitored mailboxes are called {mailbox.name!r}"
                yield Finding((*where, "name"), what, "give each its own name, in all organisations")
            other = monitored_by.setdefault(place_of(mailbox), mailbox.name)
            if other != mailbox.name and mailbox.enabled:
                what = f"{other!r} monitors the same folder"
                yield Finding(where, what, "keep one of the two, or give each a folder of its own")
            yield from monitored_mailbox(where, mailbox)


def tracking_surroundings(configuration: Configuration) -> Iterator[Finding]:
    """Whether the files, folders and secrets that they name are there and good; servers are not asked."""
    for loc, settings in _placed(configuration):
        if not settings.rules.is_dir():
            yield Finding((*loc, "rules"), f"there is no folder {settings.rules}", "create it, or correct the path")
        for index, mailbox in enumerate(settings.mailboxes):
            yield from monitored_mailbox_surroundings((*loc, "mailboxes", index), mailbox)
        yield from outgoing_surroundings(loc, settings)


def _placed(configuration: Configuration) -> Iterator[tuple[Loc, TrackingSettings]]:
    for place, organisation in configuration.placed_organisations:
        if organisation.tracking is not None:
            yield (*place, "tracking"), organisation.tracking


def _modules(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    counts = Counter(module.name for module in settings.modules)
    for index, module in enumerate(settings.modules):
        where = (*loc, "modules", index)
        if counts[module.name] > 1:
            yield Finding((*where, "name"), f"two modules are called {module.name!r}", "give each its own name")
        if module.owner:
            yield from _address((*where, "owner"), module.owner)
        for key in ("staff_url", "self_service_url"):
            yield from _record_url((*where, key), getattr(module, key))


def _record_url(loc: Loc, url: str) -> Iterator[Finding]:
    """Of the page where a record is seen; it goes into notices."""
    if not url:
        return
    unknown = next((name for name in _PLACEHOLDER.findall(url) if name not in _IN_URLS), None)
    if unknown is not None:
        yield Finding(loc, f"{{{unknown}}} stands for nothing", "there are {module}, {id} and {number}")
    elif not url.startswith(("https://", "http://")) or not url.isprintable() or " " in url:
        yield Finding(loc, f"{url!r} is no web address", "write https://desk.example.com/{module}/{id}")


def _people(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    if settings.processing_mailbox:
        yield from _address((*loc, "processing_mailbox"), settings.processing_mailbox)
    named: tuple[tuple[Loc, People], ...] = (
        (("technicians",), settings.technicians), (("requestors",), settings.requestors),
        (("correlation", "token_joiners"), settings.correlation.token_joiners),
    )  # fmt: skip
    for key, people in named:
        for index, address in enumerate(people.addresses):
            if ("@" not in address and address != "*") or address.startswith("@"):
                what = f"{address!r} is no address, nor a pattern of addresses"
                mend = "write jane@example.com or *@sales.example.com; groups go into groups"
                yield Finding((*loc, *key, "addresses", index), what, mend)


def _trouble(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    trouble, where = settings.trouble, (*loc, "trouble")
    yield from _named((*where, "module"), "module", trouble.module, [module.name for module in settings.modules])
    yield from _named((*where, "account"), "account", trouble.account, [each.name for each in settings.accounts])
    for index, address in enumerate(trouble.notify):
        yield from _address((*where, "notify", index), address)
    if trouble.notify and not settings.accounts:
        yield Finding((*where, "notify"), "there is no account by which they are told", "add accounts")


def _digests(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    modules = [module.name for module in settings.modules]
    counts = Counter(digest.name for digest in settings.digests)
    for index, digest in enumerate(settings.digests):
        where = (*loc, "digests", index)
        if counts[digest.name] > 1:
            yield Finding((*where, "name"), f"two digests are called {digest.name!r}", "give each its own name")
        yield from _named((*where, "account"), "account", digest.account, [each.name for each in settings.accounts])
        try:
            time_of(digest.at)
            if digest.timezone:
                zone_of(digest.timezone)
        except ScheduleError as exc:
            yield Finding((*where, exc.key), str(exc), exc.mend)
        if not digest.weekdays:
            yield Finding((*where, "weekdays"), "it would never come", "name a day")
        for number, module in enumerate(digest.modules):
            yield from _named((*where, "modules", number), "module", module, modules)
        for number, address in enumerate(digest.to):
            yield from _address((*where, "to", number), address)
        if not settings.accounts:
            yield Finding(where, "there is no account by which it goes out", "add accounts")


def _named(loc: Loc, what: str, name: str, names: list[str]) -> Iterator[Finding]:
    if name and name not in names:
        yield Finding(loc, f"there is no {what} {name!r}", closest(name, names) if names else f"add {what}s")


def _address(loc: Loc, address: str) -> Iterator[Finding]:
    try:
        parse_address(address)
    except AddressError as exc:
        yield Finding(loc, f"{address!r} is no address: {exc}", "write name@example.com")
