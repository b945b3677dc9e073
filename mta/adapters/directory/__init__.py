"""People and groups: the YAML file. `open_directory` gives the adapter that the configuration names."""

from __future__ import annotations

from mta.adapters.directory.yaml_file import YamlDirectory
from mta.config.schema import YamlDirectory as YamlDirectorySettings
from mta.ports.directory import Directory


def open_directory(settings: YamlDirectorySettings) -> Directory:
    """The directory that the configuration names. Raises ConfigurationError."""
    return YamlDirectory.load(settings.file)
