"""SPF records (RFC 7208 §4.6.1, §5, §6): a whole record is read before any of it is evaluated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

from mta.authenticate.spf_macros import check_domain_spec, check_macro_string

RECORD_OCTETS_MAX = 8000
"""Far above what anybody publishes."""
_KEPT_OCTETS_MAX = 600
"""Longer records are read anew each time: a thousand read ones of strangers would take much memory."""

_VERSION = re.compile(rb"v=spf1(?: |\Z)", re.IGNORECASE)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=")
_MECHANISM = re.compile(r"([+?~-]?)([A-Za-z][A-Za-z0-9_.-]*)((?:[:/].*)?)\Z")
_CIDR = re.compile(r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?\Z")
_RESULTS = {"": "pass", "+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_WITH_LOOKUP = frozenset({"include", "a", "mx", "ptr", "exists"})


class SpfSyntaxError(ValueError):
    """The record breaks the grammar: permerror."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One mechanism: `result` is what the check says where it matches."""

    kind: str
    result: str
    domain_spec: str = ""
    prefix4: int = 32
    prefix6: int = 128
    network: IPv4Network | IPv6Network | None = None
    """Of ip4 and ip6."""

    @property
    def asks_dns(self) -> bool:
        """Counts among the ten of §4.6.4."""
        return self.kind in _WITH_LOOKUP


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """Mechanisms in order, and where a record without a match sends on to."""

    mechanisms: tuple[Mechanism, ...]
    redirect: str = ""


def is_spf(record: bytes) -> bool:
    """Whether a TXT record is an SPF record at all (§4.5)."""
    return _VERSION.match(record) is not None


def read_record(record: bytes) -> SpfRecord:
    """Read a whole record. Raises SpfSyntaxError for any error anywhere in it."""
    return _read_kept(record) if len(record) <= _KEPT_OCTETS_MAX else _read(record)


def _read(record: bytes) -> SpfRecord:
    if len(record) > RECORD_OCTETS_MAX:
        raise SpfSyntaxError("record is too long")
    try:
        terms = record.decode("ascii").split(" ")[1:]
    except UnicodeDecodeError:
        raise SpfSyntaxError("record is not ASCII") from None
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    for term in terms:
        if not term:
            continue
        match = _MODIFIER.match(term)
        if match is None:
            mechanisms.append(_mechanism(term))
            continue
        name, value = match[1].lower(), term[match.end() :]
        if name in ("redirect", "exp"):
            if name in modifiers:
                raise SpfSyntaxError(f"{name} stands twice")
            modifiers[name] = _domain_spec(value)
        elif not check_macro_string(value):
            raise SpfSyntaxError("a modifier has a bad value")
    return SpfRecord(tuple(mechanisms), modifiers.get("redirect", ""))


_read_kept = lru_cache(maxsize=512)(_read)


def _mechanism(term: str) -> Mechanism:
    match = _MECHANISM.match(term)
    if match is None:
        raise SpfSyntaxError("a term is neither mechanism nor modifier")
    result, kind, rest = _RESULTS[match[1]], match[2].lower(), match[3]
    if kind == "all" and not rest:
        return Mechanism("all", result)
    if kind in ("include", "exists") and rest.startswith(":"):
        return Mechanism(kind, result, _domain_spec(rest[1:]))
    if kind == "ptr" and not rest.startswith("/"):
        return Mechanism(kind, result, _domain_spec(rest[1:]) if rest else "")
    if kind in ("ip4", "ip6") and rest.startswith(":"):
        return Mechanism(kind, result, network=_network(kind, rest[1:]))
    if kind in ("a", "mx"):
        return _with_prefix(kind, result, rest)
    raise SpfSyntaxError("an unknown mechanism, or one with a bad argument")


def _with_prefix(kind: str, result: str, rest: str) -> Mechanism:
    cidr = _CIDR.search(rest)
    assert cidr is not None
    prefix4, prefix6 = int(cidr[1] or 32), int(cidr[2] or 128)
    if prefix4 > 32 or prefix6 > 128:
        raise SpfSyntaxError("a prefix is too long")
    spec = rest[: cidr.start()]
    return Mechanism(kind, result, _domain_spec(spec[1:]) if spec else "", prefix4, prefix6)


def _network(kind: str, text: str) -> IPv4Network | IPv6Network:
    address, slash, prefix = text.partition("/")
    if slash and not re.fullmatch("0|[1-9][0-9]{0,2}", prefix):
        raise SpfSyntaxError("a prefix is no number")
    try:
        if kind == "ip4":
            return IPv4Network((address, int(prefix or 32)), strict=False)
        if "%" in address:
            raise SpfSyntaxError("an address with a zone")
        return IPv6Network((address, int(prefix or 128)), strict=False)
    except ValueError:
        raise SpfSyntaxError("an address or network is none") from None


def _domain_spec(text: str) -> str:
    if not check_domain_spec(text):
        raise SpfSyntaxError("a domain is none")
    return text
