"""People and groups: files (YAML, CSV), and Active Directory by LDAP behind a cache."""

from mta.adapters.directory.file_directory import YamlDirectory
from mta.adapters.directory.open import open_directory

__all__ = ["YamlDirectory", "open_directory"]
