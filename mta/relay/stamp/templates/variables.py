"""What a template uses, found in its syntax tree: values of the directory, other files, names that don't exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jinja2 import Environment, TemplateSyntaxError, meta, nodes

from mta.relay.stamp.templates.filters.registry import OF_THE_DAY, argument_troubles
from mta.relay.stamp.templates.html.masks import Trouble

RECORDS = frozenset(("record", "note", "digest", "mailbox"))
"""What notices of tracking speak of, and nothing else does."""
CONTEXT = RECORDS | {"sender", "recipient", "manager", "message", "organisation", "rule", "now", "banner"}
_OF_THE_LANGUAGE = frozenset(("loop", "self", "super", "caller", "varargs", "kwargs", "range"))
_FORBIDDEN: Mapping[type[nodes.Node], tuple[str, str]] = {
    nodes.Import: ("import is not available", "use include or extends"),
    nodes.FromImport: ("import is not available", "use include or extends"),
    nodes.ScopedEvalContextModifier: ("autoescape can't be changed", "values in HTML are always escaped"),
    nodes.EvalContextModifier: ("autoescape can't be changed", "values in HTML are always escaped"),
}


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """One place where a file reads a value, e.g. `sender.title`."""

    value: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What one file uses by itself; `files` are those it includes or extends, with the lines where it does."""

    file: str
    names: frozenset[str]
    """Of CONTEXT; `now` only where more of it is printed than a day."""
    uses: tuple[Use, ...]
    files: Mapping[str, int]
    troubles: tuple[Trouble, ...]
    filters: frozenset[str] = frozenset()


def examine(environment: Environment, name: str, source: str) -> Usage:
    """Parse one file. Syntax errors, too, are among the troubles."""
    try:
        tree = environment.parse(source, name)
        undeclared = meta.find_undeclared_variables(tree)
    except TemplateSyntaxError as exc:
        trouble = Trouble(exc.lineno, exc.message or "not a template", _mend(exc.message or ""))
        return Usage(name, frozenset(), (), {}, (trouble,))
    troubles = [Trouble(node.lineno, *said) for node, said in _forbidden(tree)]
    troubles += [Trouble(*said) for said in argument_troubles(tree)]
    files: dict[str, int] = {}
    referring: list[nodes.Extends | nodes.Include] = [*tree.find_all(nodes.Extends), *tree.find_all(nodes.Include)]
    for node in referring:
        found, trouble_here = _referenced(node, name)
        files |= dict.fromkeys(found, node.lineno)
        troubles += trouble_here
    unknown = undeclared - CONTEXT - _OF_THE_LANGUAGE
    mend = f"there are {', '.join(sorted(CONTEXT))}"
    troubles += [
        Trouble(name_node.lineno, f"unknown name {name_node.name!r}", mend)
        for name_node in tree.find_all(nodes.Name)
        if name_node.name in unknown
    ]
    uses = tuple(Use(value, name, line) for value, line in _uses(tree))
    names = undeclared & CONTEXT
    if _is_day_only(tree):
        names -= {"now"}
    filters = frozenset(node.name for node in tree.find_all(nodes.Filter))
    return Usage(name, frozenset(names), uses, files, tuple(troubles), filters)


def _is_day_only(tree: nodes.Template) -> bool:
    """Whether `now` stands only before filters that make a day of it."""
    of_days = {id(node.node) for node in tree.find_all(nodes.Filter) if node.name in OF_THE_DAY}
    return all(id(node) in of_days for node in tree.find_all(nodes.Name) if node.name == "now")


def _mend(message: str) -> str:
    return "values are always escaped" if "'safe'" in message else ""


def _forbidden(tree: nodes.Template) -> Iterator[tuple[nodes.Node, tuple[str, str]]]:
    for kind, said in _FORBIDDEN.items():
        for node in tree.find_all(kind):
            yield node, said
    for include in tree.find_all(nodes.Include):
        if not include.with_context:
            yield include, ("include without context", "leave out `without context`")


def _referenced(node: nodes.Extends | nodes.Include, name: str) -> tuple[set[str], list[Trouble]]:
    template = node.template
    written = template.as_const() if isinstance(template, (nodes.Const, nodes.List, nodes.Tuple)) else None
    names = [written] if isinstance(written, str) else list(written or ())
    if not names or not all(isinstance(entry, str) for entry in names):
        return set(), [Trouble(node.lineno, "a file name that isn't written out", "write the name in quotes")]
    kind = ".html.j2" if name.endswith(".html.j2") else ".txt.j2"
    mend = f"write this part as {kind} too"
    return set(names), [
        Trouble(node.lineno, f"{entry!r} is not of the same kind as this file", mend)
        for entry in names
        if not entry.endswith(kind)
    ]


def _uses(tree: nodes.Template) -> Iterator[tuple[str, int]]:
    reading: list[nodes.Getattr | nodes.Getitem] = [*tree.find_all(nodes.Getattr), *tree.find_all(nodes.Getitem)]
    for node in reading:
        base = node.node
        if not isinstance(base, nodes.Name) or base.name not in CONTEXT or base.name == "now":
            continue
        if isinstance(node, nodes.Getattr):
            yield f"{base.name}.{node.attr}", node.lineno
        elif isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            yield f"{base.name}.{node.arg.value}", node.lineno
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name == "photo" and isinstance(filtered.node, nodes.Name):
            yield f"{filtered.node.name}.photo", filtered.lineno


def with_files(usages: Mapping[str, Usage], name: str) -> list[Usage]:
    """The usage of a file and of everything it includes or extends, each once; unknown files are left out."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in seen and current in usages:
            seen.add(current)
            waiting.extend(sorted(usages[current].files))
    return [usages[entry] for entry in sorted(seen)]
