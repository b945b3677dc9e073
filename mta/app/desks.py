"""What each organisation's tracking goes by, made from the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mta.app.notices import NoticeTemplates
from mta.config.directory_schema import DirectorySettings
from mta.config.schema import Configuration, Organisation
from mta.config.tracking_schema import TrackingSettings
from mta.model.address import domain_key
from mta.ports.author_prover import AuthorProver
from mta.ports.directory import Directory
from mta.tracking.desk import Desk
from mta.tracking.people import KnownPeople
from mta.tracking.record import load_business_rules

OpenDirectory = Callable[[DirectorySettings], Directory]
Directories = Mapping[str, tuple[DirectorySettings, Directory]]
"""By the organisation's name."""

MAILBOX_LOG = "mailbox-{name}"
"""Component of a monitored mailbox's log."""


def directories_of(configuration: Configuration, former: Directories, open_directory: OpenDirectory) -> Directories:
    """Those of organisations with `tracking`; an LDAP directory with the same settings is kept.

    Raises ConfigurationError where a directory's file has become bad.
    """
    opened: dict[str, tuple[DirectorySettings, Directory]] = {}
    for organisation in configuration.every_organisation:
        if organisation.tracking is None:
            continue
        settings = organisation.directory
        known = former.get(organisation.name)
        is_kept = known is not None and known[0] == settings and settings.kind == "ldap"
        opened[organisation.name] = known if known is not None and is_kept else (settings, open_directory(settings))
    return opened


def desks_of(
    configuration: Configuration, directories: Directories, prover: AuthorProver | None = None
) -> dict[str, Desk]:
    """By the organisation's name.

    Raises ConfigurationError for rules or templates that have become bad, OSError or KeyError for a key that can't be
    read.
    """
    return {
        organisation.name: _desk(
            configuration, organisation, organisation.tracking, directories[organisation.name][1], prover
        )
        for organisation in configuration.every_organisation
        if organisation.tracking is not None
    }


def _desk(
    configuration: Configuration,
    organisation: Organisation,
    settings: TrackingSettings,
    directory: Directory,
    prover: AuthorProver | None,
) -> Desk:
    return Desk(
        name=organisation.name,
        settings=settings,
        keys=tuple(secret.read() for secret in settings.keys),
        rules=load_business_rules(settings.rules, settings),
        people=KnownPeople(directory, settings),
        accepted_domains=frozenset(map(domain_key, organisation.accepted_domains)),
        authserv_ids=configuration.authserv_ids | {each.lower() for each in settings.correlation.authserv_ids},
        hostname=configuration.hostname,
        render=NoticeTemplates(organisation),
        prover=prover,
    )
