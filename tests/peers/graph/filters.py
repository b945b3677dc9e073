"""$filter and $orderby of messages, as much as Graph takes: the rest is refused.

learn.microsoft.com/graph: filter-query-parameter, api/user-list-messages (rules of $filter with $orderby),
api/singlevaluelegacyextendedproperty-get.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.peers.graph.answers import GraphError
from tests.peers.graph.properties import (
    DELIVERY_TIME,
    FLAG_STATUS,
    IMPORTANCE,
    MESSAGE_ID,
    SUBJECT,
    SUBMIT_TIME,
    moment,
    property_id,
    text_of,
)
from tests.peers.graph.reading import FLAG_STATUSES, IMPORTANCES
from tests.peers.graph.store import Item

Test = Callable[[Item], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<moment>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))|(?P<number>-?\d+)|"
    r"(?P<word>[A-Za-z_][A-Za-z0-9_.]*(?:/[A-Za-z_][A-Za-z0-9_.]*)*)|(?P<mark>[(),:]))"
)
_FIELDS: dict[str, Callable[[Item], Any]] = {
    "subject": lambda item: str(item.properties[SUBJECT]).lower(),
    "internetMessageId": lambda item: str(item.properties[MESSAGE_ID]).lower(),
    "isRead": lambda item: item.is_read,
    "isDraft": lambda item: item.is_draft,
    "hasAttachments": lambda item: any(not one.is_inline for one in item.attachments),
    "importance": lambda item: item.properties.get(IMPORTANCE, 1),
    "sentDateTime": lambda item: item.properties[SUBMIT_TIME],
    "receivedDateTime": lambda item: item.properties[DELIVERY_TIME],
    "createdDateTime": lambda item: item.created_at,
    "lastModifiedDateTime": lambda item: item.modified_at,
    "from/emailAddress/address": lambda item: item.author.address.lower() if item.author else "",
    "sender/emailAddress/address": lambda item: item.sender.address.lower() if item.sender else "",
    "flag/flagStatus": lambda item: item.properties.get(FLAG_STATUS, 0),
}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda found, wanted: found == wanted,
    "ne": lambda found, wanted: found != wanted,
    "gt": lambda found, wanted: found > wanted,
    "ge": lambda found, wanted: found >= wanted,
    "lt": lambda found, wanted: found < wanted,
    "le": lambda found, wanted: found <= wanted,
}


def compiled(text: str) -> tuple[Test, tuple[str, ...]]:
    """The test, and the properties in the order in which the filter names them. Raises GraphError."""
    if not text:
        return lambda item: True, ()
    reader = _Reader(text)
    test = reader.either()
    reader.end()
    return test, tuple(reader.named)


def sorting(text: str, named: tuple[str, ...]) -> list[tuple[Callable[[Item], Any], bool]]:
    """Keys and whether downwards; newest first where nothing is said. Raises GraphError."""
    if not text:
        return [] if named else [(_FIELDS["receivedDateTime"], True)]
    keys, names = [], []
    for part in text.split(","):
        name, _, way = part.strip().partition(" ")
        if name not in _FIELDS or way.lower() not in ("", "asc", "desc"):
            raise _refused(f"Could not find a property named '{name}' to sort by.")
        keys.append((_FIELDS[name], way.lower() == "desc"))
        names.append(name)
    if named and list(dict.fromkeys(named))[: len(names)] != names:
        text = "The restriction or sort order is too complex for this operation."
        raise GraphError(400, "InefficientFilter", text)
    return keys


def _refused(text: str) -> GraphError:
    return GraphError(400, "BadRequest", f"Invalid filter clause: {text}")


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise _refused(f"Syntax error at position {at}.")
            self._tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            at = match.end()
        self._at = 0
        self.named: list[str] = []

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take(self, wanted: str = "") -> tuple[str, str]:
        token = self._peek()
        if wanted and token[1].lower() != wanted.lower():
            raise _refused(f"'{wanted}' was expected, not '{token[1]}'.")
        self._at += 1
        return token

    def end(self) -> None:
        if self._peek()[0] != "end":
            raise _refused(f"Syntax error at '{self._peek()[1]}'.")

    def either(self) -> Test:
        tests = [self._both()]
        while self._peek() == ("word", "or"):
            self._take()
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda item: any(test(item) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._peek() == ("word", "and"):
            self._take()
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda item: all(test(item) for test in tests)

    def _one(self) -> Test:
        kind, text = self._take()
        if text == "(":
            test = self.either()
            self._take(")")
            return test
        if (kind, text) == ("word", "not"):
            negated = self._one()
            return lambda item: not negated(item)
        if kind != "word":
            raise _refused(f"Syntax error at '{text}'.")
        if text in ("startswith", "contains"):
            return self._function(text)
        if text.lower() == "singlevalueextendedproperties/any":
            return self._extended()
        if text.lower() == "categories/any":
            return self._category()
        return self._comparison(text)

    def _field(self, name: str) -> Callable[[Item], Any]:
        if name not in _FIELDS:
            raise GraphError(400, "ErrorInvalidUrlQueryFilter", f"The property '{name}' is not supported in $filter.")
        self.named.append(name)
        return _FIELDS[name]

    def _function(self, function: str) -> Test:
        self._take("(")
        name = self._take()[1]
        get = self._field(name)
        self._take(",")
        wanted = self._text().lower()
        self._take(")")
        if name not in ("subject", "from/emailAddress/address", "sender/emailAddress/address"):
            raise GraphError(400, "ErrorInvalidUrlQueryFilter", f"{function} is not supported for '{name}'.")
        if function == "startswith":
            return lambda item: str(get(item)).startswith(wanted)
        return lambda item: wanted in str(get(item))

    def _comparison(self, name: str) -> Test:
        get = self._field(name)
        sign = self._take()[1]
        if sign not in _COMPARISONS:
            raise _refused(f"'{sign}' is no operator.")
        compare, wanted = _COMPARISONS[sign], self._literal(name)
        return lambda item: compare(get(item), wanted)

    def _literal(self, name: str) -> Any:
        kind, text = self._take()
        if name.endswith("DateTime"):
            if kind != "moment":
                raise _refused(f"A date and time with its offset was expected for '{name}', without quotes.")
            return self._moment(text)
        if name in ("isRead", "isDraft", "hasAttachments"):
            if text not in ("true", "false"):
                raise _refused(f"true or false was expected for '{name}'.")
            return text == "true"
        if kind != "text":
            raise _refused(f"A string was expected for '{name}'.")
        value = text[1:-1].replace("''", "'")
        if name == "importance":
            return IMPORTANCES.get(value.lower(), -1)
        if name == "flag/flagStatus":
            return FLAG_STATUSES.get(value, -1)
        return value.lower()  # the store compares without regard to case

    @staticmethod
    def _moment(text: str) -> datetime:
        try:
            return moment(text)
        except ValueError as error:
            raise _refused(f"'{text}' is no date and time.") from error

    def _text(self) -> str:
        kind, text = self._take()
        if kind != "text":
            raise _refused("A string was expected.")
        return text[1:-1].replace("''", "'")

    def _category(self) -> Test:
        """`categories/any(c:c eq 'x')`"""
        self._take("(")
        variable = self._take()[1]
        self._take(":")
        self._take(variable)
        self._take("eq")
        wanted = self._text().lower()
        self._take(")")
        return lambda item: any(one.lower() == wanted for one in item.categories)

    def _extended(self) -> Test:
        """`singleValueExtendedProperties/Any(ep: ep/id eq '…' and ep/value eq '…')`, or startswith/contains of it."""
        self._take("(")
        variable = self._take()[1]
        self._take(":")
        self._take(f"{variable}/id")
        self._take("eq")
        wanted = property_id(self._text())
        self._take("and")
        if wanted.type != "String":
            raise _refused("Values that are no strings have to be cast, which isn't done here.")
        matches = self._matcher(variable)
        self._take(")")

        def test(item: Item) -> bool:
            value = item.properties.get(wanted.key)
            return value is not None and matches(text_of(value).lower())

        return test

    def _matcher(self, variable: str) -> Callable[[str], bool]:
        word = self._take()[1]
        if word in ("startswith", "contains"):
            self._take("(")
            self._take(f"{variable}/value")
            self._take(",")
            part = self._text().lower()
            self._take(")")
            return (lambda found: found.startswith(part)) if word == "startswith" else (lambda found: part in found)
        if word != f"{variable}/value":
            raise _refused(f"'{variable}/value' was expected, not '{word}'.")
        sign = self._take()[1]
        if sign not in ("eq", "ne"):
            raise _refused(f"'{sign}' is no operator for strings.")
        compare, text = _COMPARISONS[sign], self._text().lower()
        return lambda found: compare(found, text)
