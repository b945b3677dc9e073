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
    templates = {book.name: book.templates.names() for book in snapshot.books}
    for organisation in snapshot.configuration.every_organisation:
        if organisation.tracking is not None:
            from mta.tracking.record import load_business_rules  # what doesn't track doesn't pay for it

            try:
                load_business_rules(
                    organisation.tracking.rules, organisation.tracking, templates.get(organisation.name)
                )
            except ConfigurationError as exc:
                problems += exc.problems
    if problems:
        raise ConfigurationError(problems)
    return snapshot
