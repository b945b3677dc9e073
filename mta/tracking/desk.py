"""What one organisation's tracking goes by: settings, keys, rules, people; made anew with each configuration."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mta.config.tracking_schema import Module, TrackingSettings
from mta.tracking.notify import RenderNotice
from mta.tracking.people import KnownPeople
from mta.tracking.record import BusinessRules


@dataclass(frozen=True, slots=True)
class Desk:
    """Of one organisation with `tracking`."""

    name: str
    """The organisation's."""
    settings: TrackingSettings
    keys: Sequence[bytes]
    """The first one signs, all verify."""
    rules: BusinessRules
    people: KnownPeople
    accepted_domains: Collection[str]
    """Domain keys."""
    authserv_ids: Collection[str]
    """Whose Authentication-Results are believed, in lower case: our own, and those of the settings."""
    hostname: str
    """The right side of our Message-IDs."""
    render: RenderNotice

    def module(self, name: str) -> Module | None:
        """The module's settings; None for one that is not there any more."""
        return next((module for module in self.settings.modules if module.name == name), None)
