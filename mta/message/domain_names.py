"""Domain names as they may be asked in DNS."""

from __future__ import annotations

import re
from functools import lru_cache

_LABEL = re.compile(r"[ -~]{1,63}\Z")
_HOST_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DOMAIN = re.compile(rf"(?:{_HOST_LABEL}\.)*{_HOST_LABEL}\Z")
NAME_MAX = 253


def is_domain_name(name: str) -> bool:
    """Whether it can be asked for at all: labels of printable ASCII, 1 to 63 octets, 253 in all."""
    return 0 < len(name) <= NAME_MAX and _is_domain_name(name)


def is_host_name(name: str) -> bool:
    """The same of letters, digits, hyphens and underscores only, as mail domains and selectors have them."""
    return len(name) <= NAME_MAX and _is_host_name(name)


# Names come from strangers: only what is short enough to be one is remembered.
@lru_cache(maxsize=4096)
def _is_domain_name(name: str) -> bool:
    return all(_LABEL.match(label) for label in name.split("."))


@lru_cache(maxsize=4096)
def _is_host_name(name: str) -> bool:
    return _DOMAIN.match(name) is not None


def is_within(name: str, domain: str) -> bool:
    """Whether `name` is the domain or below it; both are `domain_key`s."""
    return name == domain or name.endswith("." + domain)
