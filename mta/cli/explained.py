"""What `stampline explain` found out about one message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mta.cli.explain_tracking import WouldTrack
from mta.message.classify import Classification
from mta.message.parse import Message
from mta.model.authentication import AuthenticationResults
from mta.model.envelope import Client, Envelope
from mta.model.person import Person
from mta.relay.book import Book
from mta.relay.decide import Outcome, Step
from mta.relay.equipment import Rulebook


@dataclass(frozen=True, slots=True)
class Explained:
    """All that one run found out."""

    rulebook: Rulebook
    book: Book
    """Of the organisation that decides."""
    data: bytes
    message: Message
    classification: Classification
    envelope: Envelope
    """With the recipients on whom this organisation decides."""
    client: Client
    people: dict[str, Person]
    now: datetime
    outcome: Outcome
    steps: Sequence[Sequence[Step]]
    """Per recipient, every rule in its order."""
    authentication: AuthenticationResults | None = None
    outside: str = ""
    """What tells that our own server passes it on for a stranger."""
    tracked: WouldTrack | None = None
    """None where no rule tracks it."""


@dataclass(frozen=True, slots=True)
class GroupCopy:
    """What became of one group's copy."""

    notes: tuple[str, ...]
    """Stamps that were left out, and why."""
    file: str
    """Where it was written, or why it could not be made; "" where no folder was given."""
