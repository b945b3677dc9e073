"""From an organisation's settings to its directory."""

from __future__ import annotations

from mta.adapters.directory.csv_file import CsvDirectory
from mta.adapters.directory.file_directory import YamlDirectory
from mta.config import directory_schema as schema
from mta.ports.directory import Directory


def open_directory(settings: schema.DirectorySettings) -> Directory:
    """The configured directory. Reads files, asks no server. Raises ConfigurationError with every problem of a file."""
    if isinstance(settings, schema.YamlDirectory):
        return YamlDirectory.load(settings.file)
    if isinstance(settings, schema.CsvDirectory):
        return CsvDirectory.load(settings)
    # Its modules are loaded only where they are needed.
    from mta.adapters.directory.ldap.directory import LdapDirectory

    return LdapDirectory(settings)
