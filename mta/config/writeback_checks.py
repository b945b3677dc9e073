"""What the schema can't say about marks in people's mailboxes: whose, where these are, and what is put on."""

from __future__ import annotations

from collections.abc import Iterator

from mta.config.findings import Finding
from mta.config.schema import Configuration, Organisation
from mta.config.sentitems_checks import (
    addresses_consistency,
    category,
    search_for,
    servers_consistency,
    servers_surroundings,
)
from mta.config.tracking_schema import Module, WriteBack
from mta.config.yaml_values import Loc


def write_back_consistency(configuration: Configuration) -> Iterator[Finding]:
    """Whether the settings make sense by themselves, and beside `sent_items`."""
    for loc, organisation, settings in _placed(configuration):
        yield from _servers(loc, organisation, settings, configuration)
        yield from _audience((*loc, "audience"), settings)
        yield from category((*loc, "category"), settings.category)
        yield from search_for(loc, settings.search_for)
        assert organisation.tracking is not None
        yield from _link(loc, settings, organisation.tracking.modules)
        if not (settings.category or settings.link or settings.columns):
            yield Finding(loc, "it marks nothing", "write category, link or columns, or remove write_back")
        if settings.columns_settings and not settings.columns:
            yield Finding((*loc, "columns_settings"), "there is no plug-in to be given them", "name it with columns")


def write_back_surroundings(configuration: Configuration) -> Iterator[Finding]:
    """Whether the files and secrets of its servers are there and good; servers are not asked."""
    for loc, organisation, settings in _placed(configuration):
        if organisation.sent_items is None:
            yield from servers_surroundings(loc, settings.servers)


def _placed(configuration: Configuration) -> Iterator[tuple[Loc, Organisation, WriteBack]]:
    for place, organisation in configuration.placed_organisations:
        if organisation.write_back is not None:
            yield (*place, "tracking", "write_back"), organisation, organisation.write_back


def _servers(
    loc: Loc, organisation: Organisation, settings: WriteBack, configuration: Configuration
) -> Iterator[Finding]:  # fmt: skip
    if organisation.sent_items is None:
        if not settings.servers:
            yield Finding(loc, "nothing says where the mailboxes are", "add servers, as in sent_items")
        yield from servers_consistency(loc, settings.servers, configuration)
    elif settings.servers:
        what = "sent_items says already where this organisation's mailboxes are"
        yield Finding((*loc, "servers"), what, "remove servers here, and have all of them in sent_items")


def _audience(loc: Loc, settings: WriteBack) -> Iterator[Finding]:
    audience = settings.audience
    if not audience.addresses and not audience.groups:
        yield Finding(loc, "there is nobody in it", "add addresses or groups")
    yield from addresses_consistency((*loc, "addresses"), audience.addresses)


def _link(loc: Loc, settings: WriteBack, modules: tuple[Module, ...]) -> Iterator[Finding]:
    """A link that is only there by default is left out where records have no address."""
    has_urls = any(module.staff_url or module.self_service_url for module in modules)
    if settings.link_in_body and not settings.link:
        yield Finding((*loc, "link_in_body"), "there is no link to put there", "write link: true")
        return
    for key in ("link_in_body", "link"):
        if not has_urls and key in settings.model_fields_set and getattr(settings, key):
            what = "no module says at which address its records are"
            yield Finding((*loc, key), what, f"give modules staff_url or self_service_url, or write {key}: false")
            return
