"""People and groups: the YAML file."""

from mta.adapters.directory.yaml_file import YamlDirectory

__all__ = ["YamlDirectory"]
