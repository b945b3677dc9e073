"""The whole configuration, read and checked: what the relay goes by, and what other processes will go by."""

from __future__ import annotations

from pathlib import Path

from mta.app.relay import read_snapshot
from mta.config.problems import ConfigurationError, Problem
from mta.relay.snapshot import Snapshot


def read_validated(path: Path) -> Snapshot:
    """As `read_snapshot`, and the business rules are good, too. Raises ConfigurationError."""
    snapshot = read_snapshot(path)
    problems: list[Problem] = []
    for organisation in snapshot.configuration.every_organisation:
        if organisation.tracking is not None:
            from mta.tracking.record import load_business_rules  # what doesn't track doesn't pay for it

            try:
                load_business_rules(organisation.tracking.rules, organisation.tracking)
            except ConfigurationError as exc:
                problems += exc.problems
    if problems:
        raise ConfigurationError(problems)
    return snapshot


def advice_on_business_rules(snapshot: Snapshot) -> list[Problem]:
    """What is probably not meant so in business rules that are good."""
    templates = {book.name: book.templates.names() for book in snapshot.books}
    found: list[Problem] = []
    for organisation in snapshot.configuration.every_organisation:
        if organisation.tracking is not None:
            from mta.tracking.record import load_business_rules

            names = templates[organisation.name]
            found += load_business_rules(organisation.tracking.rules, organisation.tracking, names).advice
    return found
