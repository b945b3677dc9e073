"""What correlation says of a message."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mta.model.transaction import Transaction


class Outcome(Enum):
    KNOWN = "known"
    """Its Message-ID was taken before."""
    LOOP = "loop"
    """A notice of our own."""
    JOINED = "joined"
    PENDING = "pending"
    """A valid reference from somebody who doesn't take part."""
    REPORT = "report"
    """A bounce or receipt, about a message of `transaction` where that is known."""
    NEW = "new"
    """None: a rule may open one."""


@dataclass(frozen=True, slots=True)
class Correlation:
    outcome: Outcome
    reason: str
    """By what: `message-id`, `own-notice`, `signed-reference`, `known-reference`, `subject-token`, `body-token`,
    `thread-index`, `other-ticket`, `sibling`, `stranger` …: one of a fixed set of words, each explained."""
    transaction: Transaction | None = None
    participants: tuple[str, ...] = ()
    """Address keys that take part from now on."""
    known_ids: tuple[str, ...] = ()
    """See `Intake.known_ids`."""
    about: str = ""
    """Message-ID of the sent message that a report is about."""
    status: str = ""
    """Of a bounce that says that it failed for good: the enhanced status code."""
    merges: tuple[Transaction, ...] = ()
    """Transactions that turn out to be this one."""
