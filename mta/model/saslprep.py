"""SASLprep (RFC 4013): names and passwords in one form, however a client writes them. Pure."""

from __future__ import annotations

import stringprep
import unicodedata
from collections.abc import Callable

_PROHIBITED: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
    stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
    stringprep.in_table_c9, stringprep.in_table_a1,
)  # fmt: skip


def saslprep(text: str) -> str:
    """The text as it is compared. Raises ValueError for what is prohibited, and for what nothing is left of."""
    if text.isascii() and text.isprintable() and text:
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(each) else each for each in text if not stringprep.in_table_b1(each)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    if not prepared or any(prohibited(each) for each in prepared for prohibited in _PROHIBITED):
        raise ValueError("empty, or with characters that have no place in names and passwords")
    _check_directions(prepared)
    return prepared


def _check_directions(text: str) -> None:
    """RFC 3454 §6: what has a letter written from right to left begins and ends with one, and has no other."""
    from_right = [stringprep.in_table_d1(each) for each in text]
    if any(from_right) and (
        not from_right[0] or not from_right[-1] or any(stringprep.in_table_d2(each) for each in text)
    ):
        raise ValueError("mixes directions of writing")
