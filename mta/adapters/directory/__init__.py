"""People and groups: the YAML file."""
