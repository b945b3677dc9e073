"""Tokens in subjects: a conversation's name as people see it, `[Ticket - 000123]`. Anybody can write one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LOOKED_AT = 16
"""Tokens in one text at most."""


@dataclass(frozen=True, slots=True)
class TokenStyle:
    """How one module's tokens are written."""

    module: str
    label: str
    digits: int
    """A number is filled with zeros up to so many."""
    pattern: str
    """With `{id}`, and perhaps `{label}` and `{module}`; "" for no token."""

    def write(self, number: int) -> str:
        """The token of a number; "" where there is none."""
        return self._filled(str(number).zfill(self.digits)) if self.pattern else ""

    def id(self, number: int) -> str:
        """The number as people see it."""
        return str(number).zfill(self.digits)

    def expression(self) -> re.Pattern[str] | None:
        """Finds tokens, with one group, the number: in any case, with any white space and any zeros in front."""
        if not self.pattern:
            return None
        before, _, after = self._filled("\0").partition("\0")
        edges = [re.escape(text).replace(r"\ ", r"\s{1,3}") for text in (before, after)]
        left = r"(?<!\w)" if before[:1].isalnum() else ""
        # What stands around a number is no part of it: `INC-12` is not in `INC-123`.
        right = r"(?!\w)" if not after or after[-1:].isalnum() else ""
        return re.compile(rf"{left}{edges[0]}0{{0,15}}([1-9][0-9]{{0,14}}){edges[1]}{right}", re.IGNORECASE)

    def _filled(self, number: str) -> str:
        named = self.pattern.replace("{label}", self.label).replace("{module}", self.module)
        return named.replace("{id}", number, 1)


def tokens_in(text: str, expressions: Iterable[tuple[str, re.Pattern[str]]]) -> Iterator[tuple[str, int]]:
    """(module, number) of the tokens in a text, from left to right; `expressions` are (module, its expression)."""
    found = [
        (match.start(), module, int(match[1]))
        for module, expression in expressions
        for _, match in zip(range(LOOKED_AT), expression.finditer(text), strict=False)
    ]
    for _, module, number in sorted(found)[:LOOKED_AT]:
        yield module, number
