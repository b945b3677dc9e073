"""What one organisation has done in mailboxes: for whom, where their mailboxes are, and how they are worked on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from mta.config.directory_schema import DirectorySettings
from mta.config.mailbox_schema import MailboxServer
from mta.config.schema import Configuration, Organisation
from mta.config.sentitems_schema import Scope, SentItemsSettings
from mta.config.settings_digest import digest_of
from mta.config.some_people import SomePeople
from mta.config.tracking_schema import WriteBack
from mta.model.person import Person
from mta.model.sentitem import SentItemJob
from mta.ports.clock import Clock
from mta.ports.directory import Directory, DirectoryDownError
from mta.sentitems import reasons
from mta.sentitems.endpoint import Endpoint, OpenServer
from mta.sentitems.residence import Residence
from mta.sentitems.scope import SenderScope

KEEP_MARKS = timedelta(days=7)
"""How long jobs that have ended are remembered where there are no Sent Items to say it."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Made from an organisation's settings; another one after a reload, with what stays the same taken over."""

    organisation: Organisation
    settings: SentItemsSettings | None
    """Of Sent Items."""
    write_back: WriteBack | None
    """Of marks on filed messages."""
    directory: Directory
    scope: SenderScope
    """Whose Sent Items."""
    audience: SomePeople
    """Whose mailboxes get marks."""
    residence: Residence
    endpoints: Mapping[str, Endpoint]

    @property
    def keep(self) -> timedelta:
        """How long it is remembered what became of a job."""
        return self.settings.keep if self.settings is not None else KEEP_MARKS

    def search_for(self, job: SentItemJob) -> timedelta:
        """How long after the job was made its item is looked for."""
        if job.mark is not None:
            return self.write_back.search_for if self.write_back is not None else timedelta(0)
        return self.settings.wait + self.settings.search_for if self.settings is not None else timedelta(0)

    def reason_to_skip(self, job: SentItemJob, person: Person | None) -> str:
        """Why nothing is to be done in the job's mailbox, "" where it takes part. Raises DirectoryDownError."""
        if (self.settings if job.mark is None else self.write_back) is None:
            return reasons.NOT_CONFIGURED
        if job.mark is None:
            return self.scope.reason_to_skip(job.mailbox, person)
        return "" if self.audience.holds(job.mailbox, person) else reasons.OUT_OF_SCOPE

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
    """The organisations with `sent_items` or `write_back`.

    Servers with the same settings and files are kept, as are LDAP directories. Raises ConfigurationError where a
    directory's file has become bad.
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
            organisation.write_back,
            directory(organisation.directory),
            SenderScope(organisation.sent_items.senders if organisation.sent_items is not None else Scope()),
            _audience(organisation.write_back),
            Residence(organisation.mailbox_servers),
            {server.name: endpoint(server) for server in organisation.mailbox_servers},
        )
        for organisation in configuration.every_organisation
        if organisation.mailbox_servers
    }


def _audience(write_back: WriteBack | None) -> SomePeople:
    if write_back is None:
        return SomePeople((), ())
    return SomePeople(write_back.audience.addresses, write_back.audience.groups)
