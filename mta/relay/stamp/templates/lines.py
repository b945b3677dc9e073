"""`{% line %}…{% endline %}`: a line that vanishes when anything printed in it is empty.

In HTML the same is said by the attribute `data-line` on an element (see `html/source`). A line that begins its line of
the file takes its line end with it.
"""

from __future__ import annotations

import re
from typing import Any

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from markupsafe import Markup

EMPTY = Markup("\x00")  # values never hold it: `values.one_line` takes control characters out
_TAG = re.compile(r"^(?P<indent>[ \t]*)|(?P<tag>\{%[-+]?[ \t]*(?P<end>end)?line[ \t]*-?%\})(?P<rest>[ \t]*\n)?", re.M)
_NAMES = ("stampline_printed", "stampline_line")


def printed(value: Any) -> Any:
    """Filter around everything printed in a line: EMPTY for what would print nothing."""
    if isinstance(value, str):
        return value if value and not value.isspace() else EMPTY
    text = str(value)
    return value if text and not text.isspace() else EMPTY


def line(value: str) -> str:
    """Filter around a line as a whole."""
    return "" if "\x00" in value else value


class LineExtension(Extension):
    """The tag. What it needs at run time are the two filters above."""

    tags = {"line"}

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters.update(zip(_NAMES, (printed, line), strict=True))

    def parse(self, parser: Parser) -> nodes.Node:
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(("name:endline",), drop_needle=True)
        for node in body:
            _watch(node)
        block = nodes.FilterBlock(body, nodes.Filter(None, _NAMES[1], [], [], None, None))
        return block.set_lineno(lineno)

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Give each line end to the line that it ends, so that a line that vanishes leaves no empty one."""
        out: list[str] = []
        at = 0
        line_start = 0
        opened: list[bool] = []  # per open line: whether its tag begins a line of the file
        for match in _TAG.finditer(source):
            if match["tag"] is None:
                line_start = match.end()
                continue
            begins = match.start() == line_start and match["tag"][2] != "-"
            if not match["end"]:
                opened.append(begins)
                continue
            whole = opened.pop() if opened else False
            if begins or match["rest"] is None:
                continue
            end = match["tag"].rstrip("%}").rstrip("-") + "+%}"
            out += (source[at : match.start()], "\n" + end if whole else end + "\n")
            at = match.end()
        return "".join(out) + source[at:]


def _watched(part: nodes.Expr) -> nodes.Expr:
    watched = nodes.Filter(part, _NAMES[0], [], [], None, None)
    watched.set_lineno(part.lineno)
    return watched


def _watch(node: nodes.Node) -> None:
    """Put the filter around every expression that the node prints; a line within a line looks after itself."""
    if isinstance(node, nodes.Output):
        node.nodes = [part if isinstance(part, nodes.TemplateData) else _watched(part) for part in node.nodes]
        return
    if isinstance(node, nodes.FilterBlock) and node.filter.name == _NAMES[1]:
        return
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Stmt):
            _watch(child)
