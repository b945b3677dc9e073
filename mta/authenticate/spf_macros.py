"""Macros in SPF records (RFC 7208 §7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

NAME_MAX = 253

_EXPAND = re.compile(r"%(?:\{([slodiphvSLODIPHVcrtCRT])([0-9]*)([rR]?)([.\-+,/_=]*)\}|([%_-]))")
_MACRO_STRING = re.compile(
    r"(?>(?:[!-$&-~]|%[%_-]|%\{[slodiphvcrtSLODIPHVCRT](?:[1-9][0-9]{0,2})?[rR]?[.\-+,/_=]*\})*)\Z"
)
_ONLY_IN_EXP = re.compile(r"%\{[crtCRT]")
_DOMAIN_END = re.compile(r"(?:\.(?=[0-9-]*[A-Za-z])[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?|%\{[^{}]*\})\Z")
_LITERAL = {"%": "%", "_": " ", "-": "%20"}


def check_macro_string(text: str) -> bool:
    """Whether `text` is a macro-string."""
    return _MACRO_STRING.match(text) is not None


def check_domain_spec(text: str) -> bool:
    """Whether `text` is a domain-spec: a macro-string that ends in a top label or a macro."""
    tail = text[-70:]  # a label has 63 octets, the longest macro fewer
    return check_macro_string(text) and _DOMAIN_END.search(tail) is not None and not _ONLY_IN_EXP.search(text)


@dataclass(frozen=True, slots=True)
class MacroValues:
    """What macro letters stand for."""

    ip: IPv4Address | IPv6Address
    local_part: str
    sender_domain: str
    helo: str

    def of(self, letter: str, domain: str, validated: str) -> str:
        """The value of a lower-case letter, for the check of `domain`; `validated` is that of `p`."""
        match letter:
            case "s":
                return f"{self.local_part}@{self.sender_domain}"
            case "l":
                return self.local_part
            case "o":
                return self.sender_domain
            case "d":
                return domain
            case "i":
                return _dotted(self.ip)
            case "p":
                return validated
            case "v":
                return "in-addr" if self.ip.version == 4 else "ip6"
            case _:
                return self.helo


def needs_validated_name(domain_spec: str) -> bool:
    """Whether it has the macro `p`, which costs look-ups."""
    return "%{p" in domain_spec or "%{P" in domain_spec


def expand(domain_spec: str, values: MacroValues, domain: str, validated: str = "unknown") -> str:
    """A domain-spec as a domain name, without a last dot; labels on the left go where it is too long (§7.3)."""

    def replace(match: re.Match[str]) -> str:
        letter, digits, reverse, delimiters, literal = match.groups()
        if literal:
            return _LITERAL[literal]
        parts = re.split(f"[{re.escape(delimiters or '.')}]", values.of(letter.lower(), domain, validated))
        if reverse:
            parts.reverse()
        text = ".".join(parts[-int(digits) :] if digits else parts)
        return quote(text, safe="-._~") if letter.isupper() else text

    name = _EXPAND.sub(replace, domain_spec).rstrip(".")
    while len(name) > NAME_MAX and "." in name:
        name = name.partition(".")[2]
    return name


def _dotted(ip: IPv4Address | IPv6Address) -> str:
    return str(ip) if ip.version == 4 else ".".join(ip.exploded.replace(":", ""))
