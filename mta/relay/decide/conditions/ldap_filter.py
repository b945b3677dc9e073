"""LDAP filters as text (RFC 4515), judged in memory over directory entries.

As in Active Directory, a comparison with an attribute that an entry lacks is false, and its negation true. Case never
counts. `memberOf` takes a group by its name or its distinguished name, groups inside groups included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mta.model.person import Person

FILTER_MAX = 4000
"""Characters of one filter."""
DEPTH_MAX = 20
ITEMS_MAX = 200

Test = Callable[[Person], bool]
_ITEM = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z0-9\-]{0,63})\s*(?P<dn>:dn)?(?::(?P<rule>[A-Za-z0-9.\-]+))?(?P<sign>:=|~=|>=|<=|=)"
)
_VALUE_END = re.compile(r"[()]|\Z")
_ESCAPE = re.compile(rb"\\([0-9A-Fa-f]{2})?")
_BIT_AND = "1.2.840.113556.1.4.803"
_BIT_OR = "1.2.840.113556.1.4.804"
_IN_CHAIN = "1.2.840.113556.1.4.1941"
_DISABLED_BIT = 2
_NORMAL_ACCOUNT = 512
_INTEGER = re.compile(r"-?[0-9]{1,19}\Z")
_COMMON_NAME = re.compile(r"cn=((?:[^,\\]|\\.)*)", re.IGNORECASE | re.DOTALL)


class FilterError(ValueError):
    """A filter that can't be used: what is wrong, at which character (from 1), and how to mend it."""

    def __init__(self, what: str, position: int, mend: str) -> None:
        super().__init__(f"{what} at character {position + 1}")
        self.mend = mend


def compile_filter(text: str) -> Test:
    """A filter such as `(&(department=Sales)(!(title=*intern*)))`. Raises FilterError."""
    if len(text) > FILTER_MAX:
        raise FilterError(f"the filter is longer than {FILTER_MAX} characters", FILTER_MAX, "split it under any or all")
    parser = _Parser(text.strip())
    test = parser.filter(1)
    parser.end()
    return test


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.items = 0

    def filter(self, depth: int) -> Test:
        if depth > DEPTH_MAX:
            raise FilterError(f"nested deeper than {DEPTH_MAX} levels", self.at, "split the filter")
        self._expect("(", "a filter begins with (", "write it as (department=Sales)")
        self._skip_spaces()
        sign = self.text[self.at : self.at + 1]
        if sign and sign in "&|":
            self.at += 1
            test = _all(self._list(depth)) if sign == "&" else _any(self._list(depth))
        elif sign == "!":
            self.at += 1
            self._skip_spaces()
            test = _not(self.filter(depth + 1))
            self._skip_spaces()
        else:
            test = self._item()
        self._expect(")", "a ) is missing", "close each ( with a )")
        return test

    def end(self) -> None:
        if self.at < len(self.text):
            raise FilterError("there is more behind the filter's end", self.at, "put several filters into (&…) or (|…)")

    def _list(self, depth: int) -> list[Test]:
        tests: list[Test] = []
        self._skip_spaces()
        while self.text[self.at : self.at + 1] == "(":
            tests.append(self.filter(depth + 1))
            self._skip_spaces()
        if not tests:
            raise FilterError("nothing stands under & or |", self.at, "write (&(a=1)(b=2))")
        return tests

    def _item(self) -> Test:
        self.items += 1
        if self.items > ITEMS_MAX:
            raise FilterError(f"more than {ITEMS_MAX} comparisons", self.at, "split the filter")
        start = self.at
        match = _ITEM.match(self.text, start)
        if match is None:
            raise FilterError("no comparison", start, "write attribute=value, with =, >=, <= or ~=")
        self.at = match.end()
        end = _VALUE_END.search(self.text, self.at)
        assert end is not None  # it finds the text's end, if nothing else
        if end.group() == "(":
            raise FilterError("a ( in a value", end.start(), r"write \28 for ( and \29 for )")
        value_start, self.at = self.at, end.start()
        raw = self.text[value_start : self.at]
        name, rule, sign = match["name"], match["rule"] or "", match["sign"]
        if match["dn"] or (rule and sign != ":="):
            raise FilterError("this kind of comparison is not known here", start, "write attribute=value")
        return self._comparison(name, rule, sign, raw, value_start)

    def _comparison(self, name: str, rule: str, sign: str, raw: str, position: int) -> Test:
        read = _reader(name)
        if rule:
            return self._by_rule(read, name, rule, _unescaped(raw, position), position)
        if sign == "=" and "*" in raw:
            return _like(read, [_unescaped(part, position) for part in raw.split("*")])
        wanted = _folded(_unescaped(raw, position))
        if sign in (">=", "<="):
            return _ordered(read, wanted, is_least=sign == ">=")
        return _equal(read, _group_key(wanted) if name.lower() == "memberof" else wanted)

    def _by_rule(self, read: Callable[[Person], Sequence[str]], name: str, rule: str, value: str, at: int) -> Test:
        if rule in (_BIT_AND, _BIT_OR):
            if not value.isascii() or not value.isdigit() or len(value) > 19:
                raise FilterError("a bit rule takes a whole number", at, f"write ({name}:{rule}:=2)")
            return _bits(read, int(value), is_all=rule == _BIT_AND)
        if rule == _IN_CHAIN and name.lower() == "memberof":
            return _equal(read, _group_key(_folded(value)))
        raise FilterError(
            f"matching rule {rule} is not known here", at, f"{_BIT_AND} and {_BIT_OR} are; memberOf looks into groups"
        )

    def _expect(self, sign: str, what: str, mend: str) -> None:
        if self.text[self.at : self.at + 1] != sign:
            raise FilterError(what, self.at, mend)
        self.at += 1

    def _skip_spaces(self) -> None:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1


def _unescaped(raw: str, position: int) -> str:
    r"""A value with `\2a` and the like resolved: octets of UTF-8 (RFC 4515 §3)."""

    def octet(match: re.Match[bytes]) -> bytes:
        if match[1] is None:
            raise FilterError(r"a \ that is no escape", position, r"write \5c for \, \2a for *, \28 for (")
        return bytes.fromhex(match[1].decode())

    octets = _ESCAPE.sub(octet, raw.encode("utf-8", "replace"))
    try:
        return octets.decode()
    except UnicodeDecodeError as exc:
        raise FilterError("escaped octets that are no UTF-8", position, r"write ü as it is, or as \c3\bc") from exc


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


# --- what an entry holds ----------------------------------------------------------------------------------------------


def _reader(name: str) -> Callable[[Person], Sequence[str]]:
    """The values of an attribute, folded; what the entry keeps elsewhere than among its attributes comes from there."""
    key = name.lower()
    if key == "memberof":
        return lambda person: tuple(person.groups)
    own = _OWN.get(key)

    def read(person: Person) -> Sequence[str]:
        value = person.attributes.get(name)
        if value is None:
            # Names have no case in LDAP; rules are mostly written as the directory has them.
            value = next((text for other, text in person.attributes.items() if other.lower() == key), None)
        if value is not None and value.strip():
            return (_folded(value),)
        return own(person) if own is not None else ()

    return read


def _classes(person: Person) -> Sequence[str]:
    if person.group_name:
        return ("top", "group")
    return ("top", "person", "organizationalperson", "contact" if person.is_contact else "user")


_OWN: dict[str, Callable[[Person], Sequence[str]]] = {
    "mail": lambda person: (person.address,),
    "proxyaddresses": lambda person: tuple(f"smtp:{key}" for key in (person.address, *sorted(person.aliases))),
    "manager": lambda person: (person.manager,) if person.manager else (),
    "ou": lambda person: tuple(person.unit.split("/")[1:]) if person.unit else (),
    "objectclass": _classes,
    "objectcategory": lambda person: _classes(person)[1:],
    "useraccountcontrol": lambda person: (str(_NORMAL_ACCOUNT | (_DISABLED_BIT if person.disabled else 0)),),
}


def _group_key(wanted: str) -> str:
    """A group's name, given by itself or as a distinguished name (`CN=Sales,OU=…`)."""
    match = _COMMON_NAME.match(wanted)
    return re.sub(r"\\(.)", r"\1", match[1]) if match else wanted


# --- tests ------------------------------------------------------------------------------------------------------------


def _all(tests: Sequence[Test]) -> Test:
    return lambda person: all(test(person) for test in tests)


def _any(tests: Sequence[Test]) -> Test:
    return lambda person: any(test(person) for test in tests)


def _not(test: Test) -> Test:
    return lambda person: not test(person)


def _equal(read: Callable[[Person], Sequence[str]], wanted: str) -> Test:
    return lambda person: wanted in read(person)


def _like(read: Callable[[Person], Sequence[str]], parts: Sequence[str]) -> Test:
    first, *middle, last = [part.casefold() for part in parts]
    between = [part for part in middle if part]

    def is_like(value: str) -> bool:
        if len(value) < len(first) + len(last) or not value.startswith(first) or not value.endswith(last):
            return False
        at, end = len(first), len(value) - len(last)
        for part in between:
            found = value.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return lambda person: any(is_like(value) for value in read(person))


def _ordered(read: Callable[[Person], Sequence[str]], wanted: str, *, is_least: bool) -> Test:
    number = int(wanted) if _INTEGER.match(wanted) else None

    def holds(value: str) -> bool:
        if number is not None:
            # A number is never compared with words.
            return bool(_INTEGER.match(value)) and (int(value) >= number if is_least else int(value) <= number)
        return value >= wanted if is_least else value <= wanted

    return lambda person: any(holds(value) for value in read(person))


def _bits(read: Callable[[Person], Sequence[str]], mask: int, *, is_all: bool) -> Test:
    def holds(value: str) -> bool:
        if not _INTEGER.match(value):
            return False
        common = int(value) & mask
        return common == mask if is_all else common != 0

    return lambda person: any(holds(value) for value in read(person))
