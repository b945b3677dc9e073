"""What the schema can't say of filters, tokens and other systems' numbers: patterns, texts that match too much."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from mta.config.findings import Finding
from mta.config.tracking_schema import Match, Module, TrackingSettings
from mta.config.yaml_values import Loc
from mta.message.patterns.text_patterns import PatternError, compile_regex

_MIN = 2
"""Characters of a text that is looked for: one alone is nearly everywhere."""
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_KNOWN = ("label", "module", "id")


def correlation_consistency(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    """Of one organisation's `tracking`."""
    yield from _filters(loc, settings)
    yield from _tokens(loc, settings)
    yield from _tickets(loc, settings)


def _filters(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    names = Counter(rule.name for rule in settings.filters.rules)
    for index, rule in enumerate(settings.filters.rules):
        where = (*loc, "filters", "rules", index)
        if names[rule.name] > 1:
            yield Finding((*where, "name"), f"two filters are called {rule.name!r}", "give each its own name")
        yield from _match((*where, "match"), rule.match)
    for index, written in enumerate(settings.filters.restricted_attachments):
        if not written.strip(" .*"):
            where = (*loc, "filters", "restricted_attachments", index)
            yield Finding(where, "an empty ending means nothing", "write an ending, exe, or a media type")


def _match(where: Loc, match: Match) -> Iterator[Finding]:
    problems = list(_regex((*where, "regex"), match.regex, groups=None)) if match.regex else []
    if problems:
        yield from problems
        return
    key = "regex" if match.regex else "any_of" if match.any_of else "contains"
    written = match.any_of.split(",") if match.any_of else [match.contains or match.regex]
    short = next((text for part in written if len(text := part.strip()) < _MIN), None)
    if short is not None:
        what = f"{short!r} is shorter than two characters" if short else "between two commas stands nothing"
        yield Finding((*where, key), what, "write what is characteristic, or it leaves out nearly everything")


def _regex(where: Loc, regex: str, *, groups: int | None) -> Iterator[Finding]:
    try:
        pattern = compile_regex(regex)
    except PatternError as exc:
        yield Finding(where, str(exc), exc.mend)
        return
    if pattern.search("") is not None:
        yield Finding(where, f"regex {regex!r} matches an empty text", "then it matches everything: require something")
    elif groups is not None and _groups_in(regex) != groups:
        yield Finding(where, f"regex {regex!r} has not exactly one group", "put the number in brackets: INC([0-9]{7})")


def _groups_in(regex: str) -> int:
    """Python's syntax is near enough to RE2's to count; what it doesn't take has none."""
    try:
        return re.compile(regex).groups
    except re.error:
        return 1


def _tokens(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    shown: dict[str, str] = {}
    for index, module in enumerate(settings.modules):
        if not module.subject_token:
            continue
        where = (*loc, "modules", index, "subject_token")
        yield from _token(where, module.subject_token)
        looks = _looks(module)
        other = shown.setdefault(looks, module.name)
        if other != module.name:
            what = f"tokens of {other!r} and {module.name!r} look the same"
            yield Finding(where, what, "write {label} or {module} into them, or different words")


def _token(where: Loc, token: str) -> Iterator[Finding]:
    unknown = next((name for name in _PLACEHOLDER.findall(token) if name not in _KNOWN), None)
    if unknown is not None:
        yield Finding(where, f"{{{unknown}}} stands for nothing", "there are {label}, {module} and {id}")
    elif token.count("{id}") != 1:
        yield Finding(where, "a token has {id} once", "write [{label} - {id}]")
    elif len("".join(_PLACEHOLDER.sub("", token.replace("{label}", "xx").replace("{module}", "xx")).split())) < _MIN:
        yield Finding(where, "a number alone is no token", "any number in a subject would be one: [{label} - {id}]")
    elif any(ord(character) < ord(" ") for character in token):
        yield Finding(where, "a token is one line without control characters", "write [{label} - {id}]")


def _looks(module: Module) -> str:
    label = module.label or module.name.capitalize()
    named = module.subject_token.replace("{label}", label).replace("{module}", module.name)
    return " ".join(named.casefold().split())


def _tickets(loc: Loc, settings: TrackingSettings) -> Iterator[Finding]:
    for index, ticket in enumerate(settings.correlation.tickets):
        where = (*loc, "correlation", "tickets", index, "regex")
        yield from _regex(where, ticket.regex, groups=1)
