"""Whether links lead where they led: a target may be another one below the same words.

What clients and filters do by themselves is no edit: they make links of words and words of links, escape, unescape and
complete targets, and wrap them (Safe Links, by which Microsoft's filters look at them first).
"""

from __future__ import annotations

import html as markup
import re
from contextlib import suppress
from hashlib import blake2b
from urllib.parse import parse_qs, unquote, urlsplit

_HREF = re.compile(
    r"<(?:a|area)\s(?:[^<>]{0,4000}?\s)?href\s{0,99}=\s{0,99}"
    r"(?:\"([^\"<>]{1,8000})\"|'([^'<>]{1,8000})'|([^\s\"'<>]{1,8000}))",
    re.IGNORECASE,
)
_WRAPPERS = (".safelinks.protection.outlook.com", ".safelinks.protection.office365.us", ".safelinks.o365.cn")
_WRAPPED_MAX = 5
"""So often one target is wrapped in another."""
_NOT_SHOWN = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)


def are_links_same(first: str, second: str) -> bool:
    """Of two HTML texts that say the same: no target on one side that the other has another one for."""
    one, other = _targets(first), _targets(second)
    return not (one - other and other - one)


def digest_of_links(source: str) -> str:
    """The same for the same targets in any order."""
    return blake2b("\n".join(sorted(_targets(source))).encode("utf_8", "surrogatepass"), digest_size=8).hexdigest()


def _targets(source: str) -> set[str]:
    found = (match[1] or match[2] or match[3] for match in _HREF.finditer(source))
    return {target for href in found if (target := _target(markup.unescape(href)))}


def _target(href: str) -> str:
    """The same for all ways to write it; "" for what leads nowhere outside the message."""
    href = _unwrapped(_NOT_SHOWN.sub("", href))
    scheme = match[1].lower() if (match := _SCHEME.match(href)) else ""
    if scheme == "mailto":
        return unquote(href).casefold()
    if scheme in ("http", "https"):
        href = href[len(scheme) + 1 :].lstrip("/\\")
    elif not href.lower().startswith("www."):
        return ""
    host, slash, rest = href.partition("/")
    if not host.isascii():
        with suppress(UnicodeError):
            host = host.encode("idna").decode()
    return unquote(host + slash + rest).casefold().rstrip("/#?")


def _unwrapped(href: str) -> str:
    for _ in range(_WRAPPED_MAX):
        if ".safelinks." not in href.lower():
            return href
        try:
            place = urlsplit(href)
            wrapped = parse_qs(place.query).get("url") if f".{place.hostname}".endswith(_WRAPPERS) else None
        except ValueError:  # no address at all, or one with a thousand parameters
            return href
        if not wrapped:
            return href
        href = wrapped[0]
    return href
