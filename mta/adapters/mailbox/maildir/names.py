"""File names of messages: `unique:2,FLAGS`; and the letters that stand for flags."""

from __future__ import annotations

import itertools
import os
import re
import socket
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from mta.adapters.mailbox.maildir.directories import Directory

_LETTERS = {"D": "\\Draft", "F": "\\Flagged", "P": "$Forwarded", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
_KEYWORDS_FILE = "dovecot-keywords"
_KEYWORDS_FILE_MAX = 16_384
_KEYWORD_LINE = re.compile(r"(\d{1,2}) (\S{1,200})\Z")
_BEGINS_WITH_TIME = re.compile(r"\d{1,12}(?=\.)")
_TIME = re.compile(r"(\d{1,12})\.(?:M(\d{1,6})P\d{1,10}(?:Q(\d{1,10}))?)?")
"""Seconds, microseconds, and the number that a process gives its deliveries."""
HOST = socket.gethostname().replace("/", "\\057").replace(":", "\\072")
"""This machine's name as names of files have it."""
_made = itertools.count(1)


class Name(NamedTuple):
    """Where a message lies: `unique` stays, the others change as readers move it and set flags."""

    folder: str
    """`new` or `cur`."""
    unique: str
    info: str
    """Behind the colon; "" where there is none."""

    @property
    def file(self) -> str:
        return f"{self.unique}:{self.info}" if self.info else self.unique

    @property
    def letters(self) -> str:
        return self.info[2:] if self.info.startswith("2,") else ""

    @property
    def is_deleted(self) -> bool:
        """Its user has deleted it; it goes when the folder is next tidied up."""
        return "T" in self.letters

    def with_letters(self, letters: Iterable[str]) -> Name:
        """The same message with other flags, which only messages in `cur` have."""
        return Name("cur", self.unique.rstrip(":"), "2," + "".join(sorted(letters)))

    @property
    def moment(self) -> int | None:
        """When it came into the folder, in seconds; None where the name doesn't tell."""
        match = _BEGINS_WITH_TIME.match(self.unique)
        return int(match[0]) if match else None

    @property
    def order(self) -> tuple[int | None, int, int]:
        """`moment`, and what came first within it."""
        match = _TIME.match(self.unique)
        return (int(match[1]), int(match[2] or 0), int(match[3] or 0)) if match else (None, 0, 0)


def name_of(folder: str, file: str) -> Name | None:
    """None for files that are no messages."""
    unique, _, info = file.partition(":")
    if not unique or unique.startswith("."):
        return None
    return Name(folder, unique if info else file, info)


def new_unique(octets: int) -> str:
    """A name that nobody has had; with its size, which servers with quotas want to know without asking the disk."""
    now = time.time_ns()
    return f"{now // 10**9}.M{now // 1000 % 10**6}P{os.getpid()}Q{next(_made)}.{HOST},S={octets}"


class Flags:
    """What letters mean in one folder: those of Maildir, and Dovecot's keywords, `a` to `z`."""

    def __init__(self, keywords: Mapping[str, str] = MappingProxyType({})) -> None:
        self._flag_of = {**_LETTERS, **keywords}
        self._letter_of = {flag.lower(): letter for letter, flag in self._flag_of.items()}

    @classmethod
    def of(cls, folder: Directory) -> Flags:
        """Keywords as the folder's `dovecot-keywords` names them; without it a keyword is called by its letter."""
        try:
            descriptor = folder.open(_KEYWORDS_FILE)
        except FileNotFoundError:
            return cls()
        with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
            lines = file.read(_KEYWORDS_FILE_MAX).decode("ascii", "replace").split("\n")
        matches = filter(None, map(_KEYWORD_LINE.match, lines))
        return cls({chr(ord("a") + int(match[1])): match[2] for match in matches if int(match[1]) < 26})

    def of_letters(self, letters: str) -> frozenset[str]:
        return frozenset(self._flag_of.get(letter, letter) for letter in letters if letter.isascii())

    def letters(self, flags: Iterable[str]) -> set[str]:
        """Of flags that have a letter in this folder; the others can't be kept."""
        found = set()
        for flag in flags:
            own = flag if len(flag) == 1 and "a" <= flag <= "z" and flag not in self._flag_of else ""
            found.add(self._letter_of.get(flag.lower(), own))
        return found - {""}
