"""Content-Type and Content-Disposition: type and parameters (RFC 2045 §5.1, RFC 2231), read tolerantly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from mta.message.encoded_words import decode_octets, decode_text

TYPE = re.compile(rb"\s*+([^\s/;,()<>@\":=?\\\[\]]++)\s*+/\s*+([^\s/;,()<>@\":=?\\\[\]]++)")
_WORD = re.compile(rb"\s*+([^\s;]++)")
# Possessive repeats, and a quoted string that may end with the value: no input makes it go back.
PARAMETER = re.compile(
    rb"(?:;\s*+|\s(?=[^\s;]))([^\s=;\"]++)\s*+=\s*+(?:\"((?>(?:[^\"\\]|\\.)*))(?:\"|\\?\Z)|([^;\"]*+))", re.DOTALL
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_SECTION = re.compile(rb"([^*]+)(?:\*(\d{1,4}))?(\*)?\Z")
_FREE_TEXT = {b"filename", b"name"}


def content_type(raw: bytes) -> str:
    """The media type in lower case, "" for a value that has none."""
    match = TYPE.match(raw)
    if match is None:
        return ""
    return f"{match[1].decode('latin_1')}/{match[2].decode('latin_1')}".lower()


def disposition(raw: bytes) -> str:
    """`attachment`, `inline` or what else stands there, in lower case."""
    match = _WORD.match(raw)
    return match[1].decode("latin_1").lower() if match else ""


def raw_parameters(raw: bytes) -> dict[bytes, bytes]:
    """Names in lower case as they stand (`filename*0*`), values unquoted and unfolded; the first of a name counts."""
    found: dict[bytes, bytes] = {}
    for name, value in _each(raw):
        found.setdefault(name, value)
    return found


def _each(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    for match in PARAMETER.finditer(raw):
        name = match[1].lower()
        if match[2] is not None:
            value = match[2].replace(b"\r\n", b"")
            if b"\\" in value:
                value = _ESCAPED.sub(rb"\1", value)
        else:
            value = _unquoted(name, match[3])
        yield name, value


def file_names(raw: bytes) -> list[str]:
    """Every name that some reader may take from the value: it may stand there twice, or plain and extended."""
    known = parameters(raw)
    names = [known.get("filename", ""), known.get("name", "")]
    if raw.count(b"=") > 1:
        for name, value in _each(raw):
            if name in _FREE_TEXT:
                names.append(decode_text(value))
            elif name.removesuffix(b"*") in _FREE_TEXT:
                names.append(_join({0: (value, True)}))
    return [name for name in dict.fromkeys(names) if name]


def _unquoted(name: bytes, value: bytes) -> bytes:
    """File names with spaces often stand without quotes; of anything else the first word counts."""
    value = value.strip()
    if name in _FREE_TEXT or not value:
        return value.replace(b"\r\n", b"")
    return value.split(None, 1)[0]


def parameters(raw: bytes) -> dict[str, str]:
    """Names in lower case, values decoded (RFC 2231, or RFC 2047 where writers used it)."""
    found = raw_parameters(raw)
    if any(b"*" in name for name in found):
        return _extended(found)
    return {name.decode("latin_1"): decode_text(value) for name, value in found.items()}


def _extended(found: dict[bytes, bytes]) -> dict[str, str]:
    """Join RFC 2231's sections; an extended value counts more than the plain one beside it."""
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[bytes, bool]]] = {}
    for name, value in found.items():
        match = _SECTION.match(name)
        if match is None or b"*" not in name:
            plain[name.decode("latin_1")] = decode_text(value)
        else:
            sections.setdefault(match[1].decode("latin_1"), {})[int(match[2] or 0)] = (value, bool(match[3]))
    return plain | {name: _join(parts) for name, parts in sections.items()}


def _join(parts: dict[int, tuple[bytes, bool]]) -> str:
    label = ""
    octets = []
    for position, (_, (value, is_extended)) in enumerate(sorted(parts.items())):
        if is_extended and position == 0 and value.count(b"'") >= 2:
            charset, _, value = value.split(b"'", 2)
            label = charset.decode("latin_1")
        octets.append(unquote_to_bytes(value) if is_extended else value)
    joined = b"".join(octets)
    return decode_octets(joined, label) if label else decode_text(joined)
