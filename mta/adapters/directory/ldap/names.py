"""Distinguished names (RFC 4514) and security identifiers, as far as they tell where an entry stands."""

from __future__ import annotations

import re
from functools import lru_cache

_HEX_PAIR = re.compile(r"[0-9A-Fa-f]{2}")


@lru_cache(maxsize=1024)
def name_parts(dn: str) -> tuple[tuple[str, str], ...]:
    """The parts of a name, innermost first: `CN=Roe\\, John,OU=Sales` is (("cn", "Roe, John"), ("ou", "Sales"))."""
    return tuple(_part(text) for text in _split(dn) if "=" in text)


def unit_of(dn: str) -> str:
    """What an entry stands in, outermost first, lower case, as Active Directory's canonicalName has it.

    `CN=Jane,OU=Sales,DC=corp,DC=example` stands in `corp.example/sales`.
    """
    parts = name_parts(dn)[1:]
    domain = ".".join(value for kind, value in parts if kind == "dc")
    containers = [value.replace("/", "\\/") for kind, value in parts if kind != "dc"]
    return "/".join([*filter(None, [domain]), *reversed(containers)]).lower()


def sid_text(sid: bytes) -> str:
    """A binary security identifier as `S-1-5-21-…`; "" if it is none."""
    if len(sid) < 8 or len(sid) != 8 + 4 * sid[1]:
        return ""
    authority = int.from_bytes(sid[2:8], "big")
    parts = [str(int.from_bytes(sid[at : at + 4], "little")) for at in range(8, len(sid), 4)]
    return "-".join(("S", str(sid[0]), str(authority), *parts))


def _split(dn: str) -> list[str]:
    """At commas and pluses that are not escaped; of a part with several values the first counts."""
    parts, start, at = [], 0, 0
    while at < len(dn):
        if dn[at] == "\\":
            at += 2
            continue
        if dn[at] == ",":
            parts.append(dn[start:at])
            start = at + 1
        at += 1
    parts.append(dn[start:])
    return parts


def _part(text: str) -> tuple[str, str]:
    kind, _, value = text.partition("=")
    return kind.strip().lower(), _unescaped(value.strip())


def _unescaped(value: str) -> str:
    if "\\" not in value:
        return value
    out, at = bytearray(), 0
    while at < len(value):
        if value[at] != "\\":
            out += value[at].encode("utf-8", "replace")
            at += 1
        elif _HEX_PAIR.match(value, at + 1):
            out.append(int(value[at + 1 : at + 3], 16))
            at += 3
        else:
            out += value[at + 1 : at + 2].encode("utf-8", "replace")
            at += 2
    return out.decode("utf-8", "replace")
