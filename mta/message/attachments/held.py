"""What looking into a container gave."""

from __future__ import annotations

from dataclasses import dataclass

NAMES_MAX = 2000
"""Entries of a container that are looked at."""


@dataclass(frozen=True, slots=True)
class Held:
    """`names` are those of the entries as written there; `media_type` is "" where the container says nothing of it."""

    names: tuple[str, ...] = ()
    is_encrypted: bool = False
    media_type: str = ""
    has_macros: bool = False


NOTHING = Held()
