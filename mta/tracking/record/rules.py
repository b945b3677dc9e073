"""Business rules, made from the YAML files of a folder in the order of their names."""

from __future__ import annotations

from pathlib import Path

from mta.config.tracking_schema import TrackingSettings


class BusinessRules:
    """The rules of one organisation in their order; immutable."""


def load_business_rules(folder: Path, settings: TrackingSettings) -> BusinessRules:
    """Read all rules of a folder. Raises ConfigurationError with every problem of all files."""
    raise NotImplementedError(folder, settings)
