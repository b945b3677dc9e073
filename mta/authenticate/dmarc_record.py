"""DMARC policy records and where they stand (RFC 9989 §4.7, §4.10)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mta.authenticate.tags import TagListError, read_tags
from mta.ports.resolver import Answer, Outcome, Resolver

POLICIES = ("none", "quarantine", "reject")
LONGEST_PARENT = 7
"""Labels of the longest parent that is asked about, so that a walk takes eight questions at most."""
_RECORD_OCTETS_MAX = 2000
_VERSION = re.compile(rb"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """One policy record."""

    policy: str
    below: str
    """sp=: for domains below."""
    not_there: str
    """np=: for domains below that don't exist."""
    strict_dkim: bool
    strict_spf: bool
    psd: str
    is_test: bool


class UnknownForNowError(Exception):
    """DNS gave no answer, so there may be a record or none."""


@lru_cache(maxsize=512)
def read_dmarc(record: bytes) -> DmarcRecord | None:
    """Read a record; None where it is none, or says nothing that counts."""
    if _VERSION.match(record) is None or len(record) > _RECORD_OCTETS_MAX:
        return None
    try:
        tags = read_tags(record)
    except TagListError:
        return None
    asked = [_word(tags, tag) for tag in (b"p", b"sp", b"np") if tag in tags]
    if any(policy not in POLICIES for policy in asked):
        if b"rua" not in tags:
            return None
        policy = below = not_there = "none"  # whoever wants reports gets them (§4.7)
    else:
        policy = _word(tags, b"p") or "none"
        below = _word(tags, b"sp") or policy
        not_there = _word(tags, b"np") or below
    return DmarcRecord(
        policy,
        below,
        not_there,
        _word(tags, b"adkim") == "s",
        _word(tags, b"aspf") == "s",
        _word(tags, b"psd"),
        _word(tags, b"t") == "y",
    )


def _word(tags: dict[bytes, bytes], tag: bytes) -> str:
    return tags.get(tag, b"").decode("latin_1").lower()


class Walks:
    """The tree walks of one message, each made once."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self._records: dict[str, DmarcRecord | None] = {}

    async def record(self, domain: str) -> DmarcRecord | None:
        """The one record of this very domain. Raises UnknownForNowError."""
        if domain not in self._records:
            answer: Answer[bytes] = await self.resolver.txt(f"_dmarc.{domain}")
            if answer.outcome is Outcome.TEMPFAIL:
                raise UnknownForNowError
            found = [record for record in answer.records if _VERSION.match(record) is not None]
            self._records[domain] = read_dmarc(found[0]) if len(found) == 1 else None
        return self._records[domain]

    def suffix_above(self, domain: str) -> DmarcRecord | None:
        """The record of the public suffix right above an organisational domain, where the walk there met one."""
        record = self._records.get(domain.partition(".")[2])
        return record if record is not None and record.psd == "y" else None

    async def organisational_domain(self, domain: str) -> str:
        """The domain that those below it belong to (§4.10.2). Raises UnknownForNowError."""
        found = domain
        for name in _walk(domain):
            record = await self.record(name)
            if record is None:
                continue
            if record.psd == "n" or (record.psd == "y" and name == domain):
                return name
            if record.psd == "y":
                return ".".join(domain.split(".")[-name.count(".") - 2 :])
            found = name
        return found


def _walk(domain: str) -> Sequence[str]:
    """The domain and its parents, the longest of them left out where there are many (§4.10)."""
    labels = domain.split(".")
    first = max(1, len(labels) - LONGEST_PARENT)
    return [domain, *(".".join(labels[start:]) for start in range(first, len(labels)))]
