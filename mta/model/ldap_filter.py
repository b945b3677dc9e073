"""LDAP search filters as values (RFC 4511 §4.5.1.7), and their text form (RFC 4515).

What we ask for ourselves is built from these values and never from text, so that no address can change a filter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NoReturn

LENGTH_MAX = 4000
DEPTH_MAX = 20
_DESCRIPTION = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)(?:;[A-Za-z0-9-]+)*\Z")
_EXTENSIBLE = re.compile(r"(?P<attribute>[^:]*)(?P<dn>:dn)?(?::(?P<rule>[A-Za-z0-9.-]+))?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Filter


@dataclass(frozen=True, slots=True)
class Present:
    attribute: str


@dataclass(frozen=True, slots=True)
class Compare:
    attribute: str
    operator: Literal["=", ">=", "<=", "~="]
    value: bytes


@dataclass(frozen=True, slots=True)
class Substrings:
    """`initial` and `final` are b"" where the text may begin or end with anything."""

    attribute: str
    initial: bytes
    middle: tuple[bytes, ...]
    final: bytes


@dataclass(frozen=True, slots=True)
class Extensible:
    """A matching rule by its name or number; attribute or rule may be ""."""

    attribute: str
    rule: str
    value: bytes
    dn: bool


Filter = And | Or | Not | Present | Compare | Substrings | Extensible


class FilterError(ValueError):
    """No RFC 4515 filter; `position` counts characters from 1."""

    def __init__(self, position: int, what: str) -> None:
        super().__init__(f"{what} at character {position}")
        self.position = position


def parse_filter(text: str) -> Filter:
    """Read a filter such as `(&(objectClass=person)(!(title=Intern*)))`. Raises FilterError."""
    if len(text) > LENGTH_MAX:
        raise FilterError(LENGTH_MAX, "the filter is too long")
    reader = _Reader(text.strip())
    found = reader.filter(0)
    if not reader.at_end:
        reader.refuse("something follows the filter")
    return found


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    @property
    def at_end(self) -> bool:
        return self._place >= len(self._text)

    def refuse(self, what: str) -> NoReturn:
        raise FilterError(self._place + 1, what)

    def _here(self) -> str:
        return self._text[self._place : self._place + 1]

    def _take(self, character: str) -> None:
        if self._here() != character:
            self.refuse(f"{character!r} is missing")
        self._place += 1

    def filter(self, depth: int) -> Filter:
        if depth > DEPTH_MAX:
            self.refuse(f"nested deeper than {DEPTH_MAX} levels")
        self._take("(")
        sign = self._here()
        found: Filter
        if sign in ("&", "|"):
            self._place += 1
            parts = self._parts(depth)
            found = And(parts) if sign == "&" else Or(parts)
        elif sign == "!":
            self._place += 1
            found = Not(self.filter(depth + 1))
        else:
            found = self._item()
        self._take(")")
        return found

    def _parts(self, depth: int) -> tuple[Filter, ...]:
        parts = []
        while self._here() == "(":
            parts.append(self.filter(depth + 1))
        if not parts:
            self.refuse("nothing to combine")
        return tuple(parts)

    def _item(self) -> Filter:
        end = self._text.find("=", self._place)
        if end < 0:
            self.refuse("'=' is missing")
        left = self._text[self._place : end]
        operator = left[-1:] if left[-1:] in ("~", ">", "<", ":") else ""
        name = left[: len(left) - len(operator)]
        if operator == ":":
            return self._extensible(name, end)
        if not _DESCRIPTION.match(name):
            self.refuse(f"{name[:40]!r} is no name of an attribute")
        self._place = end + 1
        parts = self._assertion()
        if operator or len(parts) == 1:
            return Compare(name, f"{operator}=", b"*".join(parts))  # type: ignore[arg-type]
        if parts == [b"", b""]:
            return Present(name)
        return Substrings(name, parts[0], tuple(part for part in parts[1:-1] if part), parts[-1])

    def _extensible(self, left: str, end: int) -> Filter:
        match = _EXTENSIBLE.match(left)
        if match is None or not (match["attribute"] or match["rule"]):
            self.refuse("no matching rule")
        if match["attribute"] and not _DESCRIPTION.match(match["attribute"]):
            self.refuse(f"{match['attribute'][:40]!r} is no name of an attribute")
        self._place = end + 1
        value = b"*".join(self._assertion())
        return Extensible(match["attribute"], match["rule"] or "", value, match["dn"] is not None)

    def _assertion(self) -> list[bytes]:
        """The value up to the closing parenthesis, split at its asterisks, escapes undone."""
        parts = [bytearray()]
        while (character := self._here()) not in ("", ")"):
            if character == "*":
                parts.append(bytearray())
            elif character == "\\":
                parts[-1].append(self._escaped())
            elif character in "(\0":
                self.refuse(f"{character!r} must be written \\{ord(character):02x}")
            else:
                parts[-1] += character.encode()
            self._place += 1
        return [bytes(part) for part in parts]

    def _escaped(self) -> int:
        digits = self._text[self._place + 1 : self._place + 3]
        if not re.fullmatch(r"[0-9A-Fa-f]{2}", digits):
            self.refuse("two hexadecimal digits must follow '\\'")
        self._place += 2
        return int(digits, 16)
