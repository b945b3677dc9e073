"""One organisation's part in Sent Items: who takes part, where their mailboxes are, and how they are worked on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mta.config.directory_schema import DirectorySettings
from mta.config.mailbox_schema import MailboxServer
from mta.config.schema import Configuration, Organisation
from mta.config.sentitems_schema import SentItemsSettings
from mta.config.settings_digest import digest_of
from mta.model.person import Person
from mta.ports.clock import Clock
from mta.ports.directory import Directory, DirectoryDownError
from mta.sentitems.endpoint import Endpoint, OpenServer
from mta.sentitems.residence import Residence
from mta.sentitems.scope import SenderScope


@dataclass(frozen=True, slots=True)
class Branch:
    """Made from an organisation's settings; another one after a reload, with what stays the same taken over."""

    organisation: Organisation
    settings: SentItemsSettings
    directory: Directory
    scope: SenderScope
    residence: Residence
    endpoints: Mapping[str, Endpoint]

    async def person(self, mailbox: str) -> Person | None:
        """Who has the mailbox: None for nobody known, an `UnansweredPerson` where the directory can't say just now."""
        try:
            found = await self.directory.people({mailbox})
        except DirectoryDownError as exc:
            found = exc.people
        return found.get(mailbox)


Branches = Mapping[str, Branch]
"""By the organisation's name."""


def branches_of(
    configuration: Configuration, former: Branches, *, open_directory: Callable[[DirectorySettings], Directory],
    open_server: OpenServer, clock: Clock,
) -> Branches:  # fmt: skip
    """The organisations with `sent_items`; servers with the same settings and files are kept, as are LDAP directories.

    Raises ConfigurationError where a directory's file has become bad.
    """
    kept_endpoints = {name: endpoint for branch in former.values() for name, endpoint in branch.endpoints.items()}
    kept_directories = [(branch.organisation.directory, branch.directory) for branch in former.values()]

    def endpoint(settings: MailboxServer) -> Endpoint:
        known = kept_endpoints.get(settings.name)
        same = known is not None and known.digest == digest_of(settings)
        return known if known is not None and same else Endpoint(settings, open_server, clock)

    def directory(settings: DirectorySettings) -> Directory:
        same = (known for known_settings, known in kept_directories if known_settings == settings)
        return (next(same, None) if settings.kind == "ldap" else None) or open_directory(settings)

    return {
        organisation.name: Branch(
            organisation,
            organisation.sent_items,
            directory(organisation.directory),
            SenderScope(organisation.sent_items.senders),
            Residence(organisation.sent_items.servers),
            {server.name: endpoint(server) for server in organisation.sent_items.servers},
        )
        for organisation in configuration.every_organisation
        if organisation.sent_items is not None
    }
