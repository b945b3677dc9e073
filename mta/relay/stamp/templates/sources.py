"""The sources as they are compiled, and which line of the file each of their lines comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from jinja2 import BaseLoader, Environment, TemplateNotFound


@dataclass(frozen=True, eq=False)
class Sources(BaseLoader):
    """A loader whose templates are named in tracebacks by their path from the templates folder."""

    sources: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Lines of the file by lines of the source, for sources that are not what stands in the file."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        if template not in self.sources:
            raise TemplateNotFound(template)
        return self.sources[template], template, lambda: True

    def line(self, name: str, line: int) -> int:
        """The line of the file, for a line of the source; both from 1."""
        lines = self.lines.get(name)
        if lines is None:
            return line
        return lines[min(line, len(lines)) - 1] if lines else 0
