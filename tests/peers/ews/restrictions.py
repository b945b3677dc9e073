"""Which items a search finds, and in which order ([MS-OXWSSRCH] 2.2.4)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.peers.ews.errors import EwsError
from tests.peers.ews.field import Field
from tests.peers.ews.fields import BY_URI
from tests.peers.ews.items import Item
from tests.peers.ews.properties import Path, fits, named, path_from, read_value
from tests.peers.ews.xml import Element, children, date_time, find, local_name

Test = Callable[[Item], bool]
Getter = Callable[[Item], Any]
_MOST_NODES = 255

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "IsEqualTo": operator.eq,
    "IsNotEqualTo": operator.ne,
    "IsGreaterThan": operator.gt,
    "IsGreaterThanOrEqualTo": operator.ge,
    "IsLessThan": operator.lt,
    "IsLessThanOrEqualTo": operator.le,
}
_EXPRESSIONS = frozenset({"And", "Or", "Not", "Exists", "Contains", "Excludes", *_COMPARISONS})
_FLAGS = frozenset(f"item:{name}" for name in ("IsDraft", "IsFromMe", "IsResend", "IsSubmitted", "IsUnmodified")) | {
    "message:IsRead"
}


def test_of(node: Element) -> Test:
    """What a SearchExpression says of an item. Raises EwsError: no field to search by, a value of another type."""
    if sum(local_name(inner) in _EXPRESSIONS for inner in node.iter()) > _MOST_NODES:
        raise EwsError("ErrorRestrictionTooLong", "The restriction has too many nodes.")
    return _test(node)


def _test(node: Element) -> Test:
    kind = local_name(node)
    if kind in ("And", "Or"):
        tests = [_test(child) for child in children(node)]
        combined = all if kind == "And" else any
        return lambda item: combined(test(item) for test in tests)
    if kind == "Not":
        inner = _test(children(node)[0])
        return lambda item: not inner(item)
    get, parse = _path(children(node)[0])
    if kind == "Exists":
        if children(node)[0].get("FieldURI") in _FLAGS:
            raise EwsError("ErrorInvalidPropertyForExists", "Flags of one property always exist.")
        return lambda item: get(item) is not None
    if kind == "Contains":
        return _contains(node, get)
    if kind == "Excludes":
        mask = int(children(node)[1].get("Value"), 0)
        return lambda item: not int(get(item) or 0) & mask
    if kind in _COMPARISONS:
        return _compare(kind, get, parse, children(node)[1])
    raise EwsError("ErrorUnsupportedPathForQuery", f"{kind} isn't supported.")


def _path(node: Element) -> tuple[Getter, Callable[[str], Any]]:
    """How to get the value that a Path names, and how to read a constant of its type."""
    kind = local_name(node)
    if kind == "ExtendedFieldURI":
        path = path_from(node)
        return value_getter(path), lambda text: read_value(path.kind.removesuffix("Array"), text)
    if kind == "IndexedFieldURI":
        if node.get("FieldURI") != "item:InternetMessageHeader":
            raise EwsError("ErrorUnsupportedPathForQuery")
        key = named("InternetHeaders", node.get("FieldIndex"))
        return lambda item: item.value(key), str
    field = _searchable(node.get("FieldURI"))
    get = field.value
    assert get is not None
    return get, _one_of(field.words) if field.words else lambda text: text


def _one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise EwsError("ErrorInvalidValueForProperty", "The constant is none of the property's values.")
        return text

    return parse


def value_getter(path: Path) -> Getter:
    def get(item: Item) -> Any:
        value = item.value(path.key)
        return value if value is not None and fits(path.kind, value) else None

    return get


def _searchable(uri: str) -> Field:
    field = BY_URI.get(uri)
    if field is None or field.value is None:
        raise EwsError("ErrorUnsupportedPathForQuery", f"The property {uri} can't be used in a restriction.")
    return field


def _compare(kind: str, get: Getter, parse: Callable[[str], Any], operand: Element) -> Test:
    compare = _COMPARISONS[kind]
    constant = find(operand, "t:Constant")
    if constant is None:
        other, _ = _path(children(operand)[0])
        return lambda item: _holds(compare, get(item), other(item))
    text = constant.get("Value")
    value = parse(text)

    def test(item: Item) -> bool:
        found = get(item)
        return _holds(compare, found, _as(found, value))

    return test


def _as(found: Any, constant: Any) -> Any:
    """The constant in the type of what it is compared with. Raises EwsError."""
    if not isinstance(constant, str) or isinstance(found, str | tuple | None):
        return constant
    try:
        if isinstance(found, bool):
            return {"true": True, "1": True, "false": False, "0": False}[constant.lower()]
        return date_time(constant) if isinstance(found, datetime) else type(found)(constant)
    except (ValueError, KeyError, TypeError) as error:
        raise EwsError("ErrorInvalidValueForProperty", "The constant is of another type.") from error


def _holds(compare: Callable[[Any, Any], Any], found: Any, wanted: Any) -> bool:
    """A missing property equals nothing. Strings are compared without their case, as the store's index does."""
    if found is None or wanted is None:
        return compare is operator.ne
    if isinstance(found, tuple):  # of several values any one
        return any(_holds(compare, entry, wanted) for entry in found)
    if isinstance(found, str) and isinstance(wanted, str):
        return bool(compare(found.casefold(), wanted.casefold()))
    if isinstance(found, datetime):
        found = found.replace(microsecond=0)
    return bool(compare(found, wanted))


def _contains(node: Element, get: Getter) -> Test:
    """ContainmentMode and ContainmentComparison; Exact alone heeds the case."""
    wanted = str(children(node)[1].get("Value"))
    mode = node.get("ContainmentMode", "FullString")
    exact = node.get("ContainmentComparison", "Exact") in ("Exact", "IgnoreNonSpacingCharacters")

    def one(text: str) -> bool:
        left, right = (text, wanted) if exact else (text.casefold(), wanted.casefold())
        if mode == "FullString":
            return left == right
        if mode == "Prefixed":
            return left.startswith(right)
        if mode == "PrefixOnWords":
            return any(word.startswith(right) for word in left.split())
        return right in left

    def test(item: Item) -> bool:
        found = get(item)
        if isinstance(found, tuple):
            return any(one(str(entry)) for entry in found)
        return isinstance(found, str) and one(found)

    return test


def sorted_by(items: list[Item], order: Element | None) -> list[Item]:
    """By SortOrder; without one newest first, as folders are shown. Raises EwsError."""
    if order is None:
        return items[::-1]
    for field_order in reversed(children(order)):
        try:
            get, _ = _path(children(field_order)[0])
        except EwsError as error:
            raise EwsError("ErrorUnsupportedPathForSortGroup") from error
        items = sorted(items, key=_sort_key(get), reverse=field_order.get("Order") == "Descending")
    return items


def _sort_key(get: Getter) -> Callable[[Item], tuple[bool, Any]]:
    def key(item: Item) -> tuple[bool, Any]:
        value = get(item)
        return value is not None, "" if value is None else value.casefold() if isinstance(value, str) else value

    return key
