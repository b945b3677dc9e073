"""What the schema can't say about Sent Items: whose they are, servers that fit each other, what must not be changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from mta.config.findings import Finding, no_domain
from mta.config.mailbox_checks import mailbox_server, mailbox_server_surroundings
from mta.config.mailbox_schema import EwsMailboxes, Serves
from mta.config.schema import Configuration
from mta.config.sentitems_schema import Senders, SentItemsSettings
from mta.config.yaml_values import Loc

SEARCH_MAX = timedelta(days=7)
"""Jobs are given up after that, whatever they wait for."""
CATEGORY_MAX = 255


def sent_items_consistency(configuration: Configuration) -> Iterator[Finding]:
    """Whether the settings make sense by themselves."""
    placed = list(_placed(configuration))
    counts = Counter(server.name for _, settings in placed for server in settings.servers)
    for loc, settings in placed:
        yield from _scope(loc, settings)
        yield from _texts(loc, settings)
        if settings.search_for > SEARCH_MAX:
            yield Finding((*loc, "search_for"), "an item is looked for for 7 days at most", "write 7d or less")
        for index, server in enumerate(settings.servers):
            where = (*loc, "servers", index)
            if counts[server.name] > 1:
                what = f"two mailbox servers are called {server.name!r}"
                yield Finding((*where, "name"), what, "give each its own name, in all organisations")
            if settings.method == "in-place" and not isinstance(server, EwsMailboxes):
                what = f"{server.kind} can't change an item's content in its place"
                yield Finding((*loc, "method"), what, "write method: replace")
            yield from mailbox_server(where, server)
            yield from _serves(where, server.serves)
        yield from _residence(loc, settings)


def sent_items_surroundings(configuration: Configuration) -> Iterator[Finding]:
    """Whether the files and secrets that they name are there and good; servers are not asked."""
    for loc, settings in _placed(configuration):
        for index, server in enumerate(settings.servers):
            yield from mailbox_server_surroundings((*loc, "servers", index), server)


def _placed(configuration: Configuration) -> Iterator[tuple[Loc, SentItemsSettings]]:
    for place, organisation in configuration.placed_organisations:
        if organisation.sent_items is not None:
            yield (*place, "sent_items"), organisation.sent_items


def _scope(loc: Loc, settings: SentItemsSettings) -> Iterator[Finding]:
    for key in ("only", "all_but"):
        senders: Senders | None = getattr(settings.senders, key)
        if senders is None:
            continue
        where = (*loc, "senders", key)
        if not senders.addresses and not senders.groups:
            yield Finding(where, "there is nobody in it", "add addresses or groups, or remove it to have everybody")
        yield from _addresses((*where, "addresses"), senders.addresses)


def _serves(loc: Loc, serves: Serves) -> Iterator[Finding]:
    where = (*loc, "serves")
    yield from _addresses((*where, "addresses"), serves.addresses)
    for index, domain in enumerate(serves.target_domains):
        yield from no_domain((*where, "target_domains", index), domain, "write example-com.mail.onmicrosoft.com")


def _addresses(loc: Loc, addresses: tuple[str, ...]) -> Iterator[Finding]:
    for index, address in enumerate(addresses):
        if "@" not in address and address != "*":
            what = f"{address!r} is no address, nor a pattern of addresses"
            yield Finding((*loc, index), what, "write jane@example.com or *@sales.example.com; groups go into groups")


def _residence(loc: Loc, settings: SentItemsSettings) -> Iterator[Finding]:
    """Of several servers at most one has all that no other has."""
    general = [index for index, server in enumerate(settings.servers) if server.serves == Serves()]
    for index in general[1:]:
        first = settings.servers[general[0]].name
        what = f"{first!r} already has all mailboxes that no other server has"
        yield Finding((*loc, "servers", index), what, "add 'serves: {…}' to one of the two")


def _texts(loc: Loc, settings: SentItemsSettings) -> Iterator[Finding]:
    """What goes into other people's mailboxes, in Exchange's own bounds."""
    if any(char in settings.category for char in ",;") or not settings.category.isprintable():
        yield Finding((*loc, "category"), "a category has no comma, semicolon or line end", "write one plain name")
    if len(settings.category) > CATEGORY_MAX:
        yield Finding((*loc, "category"), f"a category has {CATEGORY_MAX} characters at most", "shorten it")
    if not settings.subject_mark.isprintable():
        yield Finding((*loc, "subject_mark"), "a subject is one line of printable characters", "write one plain word")
