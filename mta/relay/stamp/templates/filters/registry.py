"""Filters of our own, and what is checked of their arguments at load."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any, cast

from jinja2 import nodes

from mta.relay.stamp.templates.filters import dates, phones
from mta.relay.stamp.templates.filters.choice import WAYS, choose
from mta.relay.stamp.templates.filters.links import PARAMETERS, css, link, mailbox, url
from mta.relay.stamp.templates.filters.made_pictures import photo, qr, vcard
from mta.relay.stamp.templates.filters.vcards import VERSIONS

OWN_FILTERS: Mapping[str, Callable[..., Any]] = {
    "phone": phones.phone,
    "tel": phones.tel,
    "date": dates.date_text,
    "time": dates.time_text,
    "days_until": dates.days_until,
    "days_since": dates.days_since,
    "years_since": dates.years_since,
    "url": url,
    "link": link,
    "css": css,
    "mailbox": mailbox,
    "qr": qr,
    "vcard": vcard,
    "photo": photo,
    "choose": choose,
}
OF_THE_DAY = frozenset(("date", "days_until", "days_since", "years_since"))
"""Filters for which `now` is a day: what they print is right for all of it."""
_WORDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("phone", "style"): phones.STYLES,
    ("choose", "by"): WAYS,
    ("vcard", "version"): VERSIONS,
}
_FIRST = {"phone": "style", "choose": "by", "vcard": "version", "date": "style", "time": "style"}
_OF_PERSONS = frozenset(("photo", "vcard"))
_PERSONS = frozenset(("sender", "recipient", "manager"))


def argument_troubles(tree: nodes.Template) -> Iterator[tuple[int, str, str]]:
    """Line, what is wrong and how to mend it, of arguments that are written out."""
    for node in tree.find_all(nodes.Filter):
        if node.name in _OF_PERSONS and not (isinstance(node.node, nodes.Name) and node.node.name in _PERSONS):
            mend = f"write sender|{node.name}"
            yield node.lineno, f"{node.name} is made of sender, recipient or manager", mend
        for name, written in _written(node):
            said = _trouble(node.name, name, written)
            if said is not None:
                yield node.lineno, *said


def _written(node: nodes.Filter) -> Iterator[tuple[str, Any]]:
    """Names of the arguments, and their values where these are constants."""
    if node.args and node.name in _FIRST and isinstance(node.args[0], nodes.Const):
        yield _FIRST[node.name], node.args[0].value
    for keyword in cast("list[nodes.Keyword]", node.kwargs):
        yield keyword.key, keyword.value.value if isinstance(keyword.value, nodes.Const) else None


def _trouble(name: str, argument: str, written: Any) -> tuple[str, str] | None:
    words = _WORDS.get((name, argument))
    if words is not None and written is not None and written not in words:
        return f"{name}: no {argument} {written!r}", f"there are {', '.join(words)}"
    if name == "link" and argument not in PARAMETERS:
        return f"link: no parameter {argument!r}", f"there are {', '.join(PARAMETERS)}"
    if name in ("date", "time") and isinstance(written, str):
        if argument == "locale" and dates.locale_of(written) is None:
            return f"{name}: no locale {written!r}", "write it as en_GB"
        if argument == "style":
            try:
                dates.check_pattern(written)
            except (ValueError, AttributeError, KeyError, TypeError) as exc:
                return f"{name}: no pattern {written!r}: {exc}", "use short, medium, long, full, or one like d. MMMM y"
    return None


def load_libraries(names: Set[str], locales: Set[str]) -> None:
    """Load now what these filters need, for it takes longer than a message may wait."""
    if "phone" in names:
        importlib.import_module("phonenumbers")
    if names & {"date", "time"}:
        dates.load_locales(locales)
    if "qr" in names:
        importlib.import_module("segno")
