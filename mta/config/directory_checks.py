"""What the schema can't say about directories: columns, filters, addresses of servers, secrets in the clear."""

from __future__ import annotations

from collections.abc import Iterator

from mta.config.directory_schema import CsvDirectory, DirectorySettings, LdapDirectory
from mta.config.findings import Finding, bad_ca_file, is_this_machine, secret_value, unreadable
from mta.config.schema import Configuration
from mta.config.yaml_values import Loc
from mta.model.ldap_filter import FilterError, parse_filter


def directory_consistency(configuration: Configuration) -> Iterator[Finding]:
    """Whether the settings of each directory make sense by themselves."""
    for loc, settings in _directories(configuration):
        if isinstance(settings, LdapDirectory):
            yield from _ldap(loc, settings)


def directory_surroundings(configuration: Configuration) -> Iterator[Finding]:
    """Whether the files and secrets that they name are there; servers are not asked."""
    for loc, settings in _directories(configuration):
        if isinstance(settings, LdapDirectory):
            if settings.tls.ca_file is not None:
                yield from bad_ca_file((*loc, "tls", "ca_file"), settings.tls.ca_file)
            if settings.password is not None:
                yield from _password(loc, settings)
            continue
        yield from unreadable((*loc, "file"), settings.file)
        if isinstance(settings, CsvDirectory) and settings.groups_file is not None:
            yield from unreadable((*loc, "groups_file"), settings.groups_file)


def _directories(configuration: Configuration) -> Iterator[tuple[Loc, DirectorySettings]]:
    for place, organisation in configuration.placed_organisations:
        yield (*place, "directory"), organisation.directory


def _ldap(loc: Loc, settings: LdapDirectory) -> Iterator[Finding]:
    if (settings.password is None) != (not settings.bind_dn):
        key = "bind_dn" if settings.bind_dn else "password"
        yield Finding((*loc, key), "bind_dn and password belong together", "write both, or neither to ask anonymously")
    tls = settings.tls
    if tls.mode == "none":
        for key in ("ca_file", "verify_name"):
            if getattr(tls, key) is not None:
                yield Finding((*loc, "tls", key), f"{key} means nothing without TLS", "choose ldaps or starttls")
        if settings.password is not None and not tls.clear_text_password:
            yield from _clear_text(loc, settings)
    elif tls.clear_text_password:
        yield Finding((*loc, "tls", "clear_text_password"), "there is TLS, so nothing is clear text", "remove it")
    for index, base in enumerate(settings.bases):
        if "=" not in base:
            yield Finding(
                (*loc, "bases", index), f"{base!r} is no distinguished name", "write it as DC=corp,DC=example"
            )
    if settings.filter:
        try:
            parse_filter(settings.filter)
        except FilterError as exc:
            yield Finding((*loc, "filter"), str(exc), "write a filter such as (!(title=Intern))")


def _clear_text(loc: Loc, settings: LdapDirectory) -> Iterator[Finding]:
    for index, server in enumerate(settings.servers):
        if not is_this_machine(server.host):
            yield Finding(
                (*loc, "servers", index, "host"),
                f"the password would go to {server.host} in clear text",
                "set tls mode to ldaps or starttls; where nobody else can listen, say clear_text_password: true there",
            )


def _password(loc: Loc, settings: LdapDirectory) -> Iterator[Finding]:
    assert settings.password is not None
    value = secret_value((*loc, "password"), settings.password)
    if isinstance(value, Finding):
        yield value
    elif not value:
        # RFC 4513 §5.1.2: servers take an empty password for an anonymous bind, and say that all is well.
        yield Finding((*loc, "password"), "the password is empty", "put the account's password there")
