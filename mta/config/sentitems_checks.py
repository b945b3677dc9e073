"""What the schema can't say about Sent Items: whose they are, servers that fit each other, what must not be changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

from mta.config.findings import Finding, no_domain
from mta.config.mailbox_checks import mailbox_server, mailbox_server_surroundings
from mta.config.mailbox_schema import EwsMailboxes, MailboxServer, Serves
from mta.config.schema import Configuration
from mta.config.sentitems_schema import Senders, SentItemsSettings
from mta.config.yaml_values import Loc

SEARCH_MAX = timedelta(days=7)
"""Jobs are given up after that, whatever they wait for."""
CATEGORY_MAX = 255


def sent_items_consistency(configuration: Configuration) -> Iterator[Finding]:
    """Whether the settings make sense by themselves."""
    for loc, settings in _placed(configuration):
        yield from _scope(loc, settings)
        yield from category((*loc, "category"), settings.category)
        if not settings.subject_mark.isprintable():
            what = "a subject is one line of printable characters"
            yield Finding((*loc, "subject_mark"), what, "write one plain word")
        yield from search_for(loc, settings.search_for)
        for server in settings.servers:
            if settings.method == "in-place" and not isinstance(server, EwsMailboxes):
                what = f"{server.kind} can't change an item's content in its place"
                yield Finding((*loc, "method"), what, "write method: replace")
        yield from servers_consistency(loc, settings.servers, configuration)


def servers_consistency(
    loc: Loc, servers: Sequence[MailboxServer], configuration: Configuration
) -> Iterator[Finding]:  # fmt: skip
    """Whether mailbox servers make sense by themselves, and beside each other; `loc` is what they stand in."""
    counts = Counter(server.name for _, server in configuration.mailbox_servers)
    for index, server in enumerate(servers):
        where = (*loc, "servers", index)
        if counts[server.name] > 1:
            what = f"two mailbox servers are called {server.name!r}"
            yield Finding((*where, "name"), what, "give each its own name, in all organisations")
        yield from mailbox_server(where, server)
        yield from _serves(where, server.serves)
    yield from _residence(loc, servers)


def sent_items_surroundings(configuration: Configuration) -> Iterator[Finding]:
    """Whether the files and secrets that they name are there and good; servers are not asked."""
    for loc, settings in _placed(configuration):
        yield from servers_surroundings(loc, settings.servers)


def servers_surroundings(loc: Loc, servers: Sequence[MailboxServer]) -> Iterator[Finding]:
    """The same of mailbox servers alone."""
    for index, server in enumerate(servers):
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
        yield from addresses_consistency((*where, "addresses"), senders.addresses)


def _serves(loc: Loc, serves: Serves) -> Iterator[Finding]:
    where = (*loc, "serves")
    yield from addresses_consistency((*where, "addresses"), serves.addresses)
    for index, domain in enumerate(serves.target_domains):
        yield from no_domain((*where, "target_domains", index), domain, "write example-com.mail.onmicrosoft.com")


def addresses_consistency(loc: Loc, addresses: tuple[str, ...]) -> Iterator[Finding]:
    """Whether each is an address, or a pattern of addresses."""
    for index, address in enumerate(addresses):
        if "@" not in address and address != "*":
            what = f"{address!r} is no address, nor a pattern of addresses"
            yield Finding((*loc, index), what, "write jane@example.com or *@sales.example.com; groups go into groups")


def _residence(loc: Loc, servers: Sequence[MailboxServer]) -> Iterator[Finding]:
    """Of several servers at most one has all that no other has."""
    general = [index for index, server in enumerate(servers) if server.serves == Serves()]
    for index in general[1:]:
        first = servers[general[0]].name
        what = f"{first!r} already has all mailboxes that no other server has"
        yield Finding((*loc, "servers", index), what, "add 'serves: {…}' to one of the two")


def category(loc: Loc, name: str) -> Iterator[Finding]:
    """Whether it may go into other people's mailboxes, in Exchange's own bounds."""
    if any(char in name for char in ",;") or not name.isprintable():
        yield Finding(loc, "a category has no comma, semicolon or line end", "write one plain name")
    if len(name) > CATEGORY_MAX:
        yield Finding(loc, f"a category has {CATEGORY_MAX} characters at most", "shorten it")


def search_for(loc: Loc, time: timedelta) -> Iterator[Finding]:
    """Whether an item may be looked for for so long; `loc` is what `search_for` stands in."""
    if time > SEARCH_MAX:
        yield Finding((*loc, "search_for"), "an item is looked for for 7 days at most", "write 7d or less")
