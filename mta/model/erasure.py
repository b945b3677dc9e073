"""Erasing a person: by which addresses and names, in which texts; what went, and what has to stay."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from hashlib import sha256
from typing import BinaryIO

from mta.model.address import Address, without_tag

_TAG = r"(?:\+[\w.!#$%&'*+/=?^`{|}~-]{0,64})?"
_BEGINS = r"(?<![\w.+\-])(?<!\w')"
"""What stands before it belongs to no longer address: mary-ann@ and o'ann@ are others."""
_ENDS = r"(?![\w\-])(?!\.\w)"
_CHUNK = 1 << 20
_OVERLAP = 1024
"""Octets of a file that are looked at twice, for an address may stand at a chunk's end."""
_NAME_MIN, _NAME_MAX = 5, 200
_NOT_A_NAME = re.compile(r"[@<>]|\berased-[0-9a-f]{8}\b")


class RecordsMode(Enum):
    """What becomes of what the person wrote in records."""

    REMOVE = "remove"
    """His notes go, and the whole of a record in which nobody else said anything."""
    KEEP_TEXT = "keep-text"
    """Words stay, without his addresses and names; his files go, for nobody can take him out of them."""


@dataclass(frozen=True)
class ErasedPerson:
    """Somebody by his address keys (without tags) and by names as others write them."""

    addresses: frozenset[str]
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, addresses: Iterable[Address], names: Iterable[str] = ()) -> ErasedPerson:
        """A tag behind `+` in an address doesn't count: it is the same person."""
        return cls(frozenset(without_tag(address.key) for address in addresses), tuple(dict.fromkeys(names)))

    @property
    def digest(self) -> str:
        """Names him in logs: 16 hexadecimal digits of the SHA-256 of his address keys, sorted, one on each line."""
        return sha256("\n".join(sorted(self.addresses)).encode("utf-8", "replace")).hexdigest()[:16]

    def is_named(self, address_key: str) -> bool:
        """Whether that is one of his addresses, with a tag or without."""
        return without_tag(address_key) in self.addresses

    def is_in(self, text: str) -> bool:
        """Whether one of his addresses stands in a text, in any case, with a tag, as A-labels or not."""
        return self._addressed.search(text) is not None

    def is_in_octets(self, file: BinaryIO) -> bool:
        """`is_in` for a file of any size, as text in UTF-8. Raises OSError."""
        tail = b""
        while chunk := file.read(_CHUNK):
            octets = tail + chunk
            folded = octets.lower()
            if any(part in folded for part in self._parts) and self.is_in(octets.decode("utf-8", "replace")):
                return True
            tail = octets[-_OVERLAP:]
        return False

    def struck(self, text: str, token: str, names: Iterable[str] = ()) -> str:
        """The text with `token` in place of his addresses and names, and of these names of his."""
        text = self._addressed.sub(token, text)
        every = [*self.names, *names]
        return _named(tuple(dict.fromkeys(every))).sub(token, text) if every else text

    @cached_property
    def _parts(self) -> tuple[bytes, ...]:
        """What stands in every form of an address of his in lower case, found faster; of letters that have a case of
        their own in octets nothing is known."""
        locals_ = (key.rpartition("@")[0] for key in self.addresses)
        return tuple(local.encode() if local.isascii() else b"" for local in locals_)

    @cached_property
    def _addressed(self) -> re.Pattern[str]:
        return re.compile("|".join(_address_form(key) for key in sorted(self.addresses)), re.IGNORECASE)


def _address_form(key: str) -> str:
    """An address as texts may have it: quoted local part, `%40` of a link, the domain in letters or as A-labels."""
    local, _, domain = key.rpartition("@")
    domains = {re.escape(domain), re.escape(_in_letters(domain))}
    form = re.escape(local)
    return f'{_BEGINS}(?:{form}{_TAG}|"{form}{_TAG}")(?:@|%40)(?:{"|".join(sorted(domains))}){_ENDS}'


def _in_letters(domain: str) -> str:
    try:
        return domain.encode("ascii").decode("idna")
    except UnicodeError:
        return domain


def _named(names: tuple[str, ...]) -> re.Pattern[str]:
    forms = (r"\s+".join(map(re.escape, name.split())) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)", re.IGNORECASE)


def full_name(said: str) -> str:
    """A name that may be looked for in texts: of two words at least; "" for less, such as `Ann`, or an address.

    Said as in `Ann Smith <ann@example.com>` or without the address.
    """
    name = " ".join(said.partition("<")[0].split())[:_NAME_MAX]
    is_full = " " in name and len(name) >= _NAME_MIN and _NOT_A_NAME.search(name) is None
    return name if is_full else ""


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that names the person and stays."""

    kind: str
    """`message`, `job`, `task`, `answer`, `attachment`."""
    name: str
    """Queue id, number or record."""
    why: str
    drop: str = ""
    """The command, or what else an administrator can do, so that it goes, too."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What one erasure did, or (a dry run) would do."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """What was removed or changed → how many; in the order of going through the store."""
    kept: Sequence[Kept] = ()


@dataclass(frozen=True, slots=True)
class Wiped:
    """How the database's files stand after what was freed in them was overwritten."""

    is_log_empty: bool
    """False: somebody was reading all the while; the log goes with its next turn."""
    is_rewritten: bool
    """False: too large to be rewritten while mail waits, or no room for it; free pages are gone all the same."""
    octets: int
    """Of the database."""
