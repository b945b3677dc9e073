"""A person as a vCard (RFC 2426, version 3.0, which Outlook and phones read; or RFC 6350, version 4.0)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from mta.relay.stamp.templates.filters.links import url

VERSIONS = ("3.0", "4.0")
_ESCAPED = re.compile(r"[\\;,]")
_FOLD_AT = 75


def vcard(look_up: Callable[[str], str], version: str = "3.0") -> str:
    """The card of a person whose attributes `look_up` gives, each one line; with "\\n" line ends and not folded."""
    return _card(version, (*_name(look_up, version), *_place(look_up, version)))


def short_vcard(look_up: Callable[[str], str]) -> str:
    """Name and ways to reach the person, without places: short enough for a QR code on a screen."""
    return _card("3.0", _name(look_up, "3.0"))


def vcard_file(look_up: Callable[[str], str], version: str = "3.0") -> bytes:
    """The same as a file: UTF-8, CRLF, lines folded at 75 octets."""
    lines = vcard(look_up, version).splitlines()
    return b"".join(piece + b"\r\n" for line in lines for piece in _folded(line.encode()))


def _card(version: str, properties: Iterable[str]) -> str:
    return "\n".join(["BEGIN:VCARD", f"VERSION:{version}", *properties, "END:VCARD"]) + "\n"


def _name(look_up: Callable[[str], str], version: str) -> Iterator[str]:
    """Who it is, and how to reach them; each as far as the directory knows."""
    value = {name: _escaped(look_up(name)) for name in _ATTRIBUTES}
    shown = value["displayName"] or " ".join(filter(None, (value["givenName"], value["sn"]))) or value["mail"]
    family, given = value["sn"], value["givenName"]
    yield f"N:{family};{given};;;" if family or given else f"N:{shown};;;;"
    yield f"FN:{shown}"
    if value["company"] or value["department"]:
        yield "ORG:" + ";".join(filter(None, (value["company"], value["department"])))
    if value["title"]:
        yield f"TITLE:{value['title']}"
    work, cell = ("WORK,VOICE", "CELL,VOICE") if version == "3.0" else ('"work,voice"', '"cell,voice"')
    for name, kind in (("telephoneNumber", work), ("mobile", cell)):
        if value[name]:
            yield f"TEL;TYPE={kind}:{value[name]}"
    if value["mail"]:
        yield f"EMAIL;TYPE={'INTERNET,WORK' if version == '3.0' else 'work'}:{value['mail']}"


def _place(look_up: Callable[[str], str], version: str) -> Iterator[str]:
    """Address and web page."""
    country = look_up("co") or look_up("c")
    where = [
        _escaped(text) for text in (*(look_up(name) for name in ("streetAddress", "l", "st", "postalCode")), country)
    ]
    if any(where):
        yield f"ADR;TYPE={'WORK' if version == '3.0' else 'work'}:;;{';'.join(where)}"
    # A URI is no text: nothing in it is escaped, and nothing in it needs to be.
    if page := url(look_up("wWWHomePage")):
        yield f"URL:{page}"


_ATTRIBUTES = ("displayName", "givenName", "sn", "title", "department", "company", "telephoneNumber", "mobile", "mail")


def _escaped(text: str) -> str:
    # Line ends can't occur: what `look_up` gives is one line.
    return _ESCAPED.sub(r"\\\g<0>", text)


def _folded(line: bytes) -> Iterator[bytes]:
    """Pieces of at most 75 octets, no character torn apart; all but the first begin with a space."""
    room = _FOLD_AT
    lead = b""
    while len(line) > room:
        at = room
        while line[at] & 0xC0 == 0x80:
            at -= 1
        yield lead + line[:at]
        line, room, lead = line[at:], _FOLD_AT - 1, b" "
    yield lead + line
