"""DNS: questions about names, each with one of four outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Outcome(Enum):
    """What became of a question."""

    ANSWER = "answer"
    NODATA = "nodata"
    """The name exists, without records of that type."""
    NXDOMAIN = "nxdomain"
    """There is no such name."""
    TEMPFAIL = "tempfail"
    """No server told within the time: nothing is known."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """An outcome, and the records where there are any."""

    outcome: Outcome
    records: tuple[T, ...] = ()


@dataclass(frozen=True, slots=True)
class MailExchanger:
    """An MX record; `host` is in lower case, without the last dot."""

    preference: int
    host: str


class Resolver(Protocol):
    """Never raises: what can't be asked is TEMPFAIL, and a name that can't exist is NXDOMAIN.

    Names are ASCII (A-labels), with or without the last dot; aliases (CNAME) are followed.
    """

    async def txt(self, name: str) -> Answer[bytes]:
        """TXT records, the strings of each joined."""
        ...

    async def a(self, name: str) -> Answer[str]:
        """IPv4 addresses."""
        ...

    async def aaaa(self, name: str) -> Answer[str]:
        """IPv6 addresses."""
        ...

    async def mx(self, name: str) -> Answer[MailExchanger]:
        """Mail exchangers, by preference."""
        ...

    async def ptr(self, ip: str) -> Answer[str]:
        """The names of an address, in lower case and without the last dot."""
        ...

    async def close(self) -> None:
        """End what is under way."""
        ...
