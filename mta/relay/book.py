"""One organisation's book: its rules, templates, directory and keys, ready to work by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mta.config.schema import Organisation
from mta.message.place.quote_marks import QuoteMarks
from mta.model.person import Person
from mta.ports.directory import Directory, DirectoryDownError
from mta.relay.decide import OrganisationFacts, Policy, Readers, RuleSet
from mta.relay.sign import Sealer, Signer
from mta.relay.stamp.templates.template_set import TemplateSet
from mta.relay.track import Tracking


async def people_of(directory: Directory, keys: Collection[str]) -> Mapping[str, Person]:
    """Entries by address key; who could not be asked about is an `UnansweredPerson`.

    So mail flows while the directory is down, and only what needs it fails, as each rule's on_error says.
    """
    try:
        return await directory.people(keys)
    except DirectoryDownError as exc:
        return exc.people


@dataclass(frozen=True, slots=True)
class Book:
    """What an organisation's mail is processed by."""

    settings: Organisation
    rules: RuleSet
    templates: TemplateSet
    directory: Directory
    signer: Signer
    sealer: Sealer | None
    mark_keys: tuple[bytes, ...]
    """The first makes marks, all check them."""
    token_field: bytes
    """The header line with the organisation's token, with its CRLF; empty where there is none."""
    organisation: OrganisationFacts
    policy: Policy
    values: Mapping[str, str]
    """What templates see as `organisation`."""
    quote_marks: QuoteMarks
    """What tells quoted text from new."""
    readers: Readers
    """How deciding looks at quotes and stamps."""
    authserv_ids: frozenset[str]
    """The names by which our own Authentication-Results go, in lower case."""
    tracking: Tracking | None = None
    """None where the organisation tracks nothing."""

    @property
    def name(self) -> str:
        return self.settings.name
