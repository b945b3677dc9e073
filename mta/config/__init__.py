"""Configuration: YAML files in, one validated snapshot out, or a list of problems with file, line and column.

`schema` says what may be written, `load` reads a file against a schema, `problems` is what comes back when it is wrong.
"""
