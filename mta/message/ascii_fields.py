"""A header field in ASCII: encoded words (RFC 2047), extended parameters (RFC 2231), A-labels (RFC 5890)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from mta.message.edit import CannotEditError
from mta.message.encoded_words import decode_text, decode_undeclared, encode_words
from mta.message.headers import format_field
from mta.message.parameters import PARAMETER
from mta.model.address import domain_key

_ADDRESS_FIELDS = frozenset({
    b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"resent-from", b"resent-sender", b"resent-to",
    b"resent-cc", b"resent-bcc", b"resent-reply-to", b"disposition-notification-to", b"return-receipt-to",
    b"errors-to", b"delivered-to", b"return-path",
})  # fmt: skip
_PARAMETER_FIELDS = frozenset({b"content-type", b"content-disposition"})
_IDENTIFIERS = frozenset({
    b"message-id", b"resent-message-id", b"references", b"in-reply-to", b"content-id", b"received",
    b"content-transfer-encoding", b"mime-version", b"date", b"dkim-signature", b"authentication-results",
    b"arc-seal", b"arc-message-signature", b"arc-authentication-results",
})  # fmt: skip
"""What encoded words would destroy: octets beyond ASCII have no place in them, and become question marks."""
_EIGHT_BIT = re.compile(rb"[\x80-\xff]")
# Each alternative begins with a character of its own and can't go back.
_TOKEN = re.compile(r'"(?>(?:[^"\\]|\\.)*)"?|<[^<>]*+>?|\((?>(?:[^()\\]|\\.)*)\)?|[,;:]|[^"<(,;:]++', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def ascii_field(name: bytes, field: bytes) -> bytes:
    """A whole field (with its CRLF, if it has one) in ASCII; `name` in lower case, b"" for a line that is no field.

    Raises CannotEditError for an address whose local part is not ASCII, or a boundary that isn't.
    """
    colon = field.find(b":") + 1 if name else 0
    head, value = field[:colon], field[colon:]
    if name in _ADDRESS_FIELDS:
        return head + _addresses(value)
    if name in _PARAMETER_FIELDS:
        return head + _parameters(value)
    if not name or name in _IDENTIFIERS or not head.isascii():
        return _question_marks(field)
    try:
        return format_field(head[:-1].decode("ascii").rstrip(), decode_text(value))
    except ValueError:
        return _question_marks(field)


def _question_marks(octets: bytes) -> bytes:
    return _EIGHT_BIT.sub(b"?", octets)


# --- Content-Type, Content-Disposition ---


def _parameters(value: bytes) -> bytes:
    made = PARAMETER.sub(_extended, value)
    return _question_marks(made)


def _extended(match: re.Match[bytes]) -> bytes:
    name, raw = match[1], match[2] if match[2] is not None else match[3]
    if not _EIGHT_BIT.search(match[0]):
        return match[0]
    if name.lower().startswith(b"boundary"):
        raise CannotEditError("a boundary is not ASCII")
    if b"*" in name or not name.isascii():
        return _EIGHT_BIT.sub(lambda octet: b"%%%02X" % octet[0][0], match[0])
    text = decode_text(_ESCAPED_OCTET.sub(rb"\1", raw)) if match[2] is not None else decode_text(raw)
    encoded = quote(text, safe="").encode("ascii")
    tail = b"\r\n" if match[0].endswith(b"\r\n") else b""
    return b"".join(_sections(name, encoded)) + tail


_ESCAPED_OCTET = re.compile(rb"\\(.)", re.DOTALL)
_PERCENT_UNITS = re.compile(rb"(?:%[0-9A-F]{2}|[^%]){1,20}")


def _sections(name: bytes, encoded: bytes) -> Iterator[bytes]:
    """`; name*=utf-8''…`, in numbered sections where it is long (RFC 2231 §3)."""
    pieces = _PERCENT_UNITS.findall(encoded) or [b""]
    if len(pieces) == 1:
        yield b";\r\n\t%b*=utf-8''%b" % (name, pieces[0])
        return
    for number, piece in enumerate(pieces):
        yield b";\r\n\t%b*%d*=%b%b" % (name, number, b"utf-8''" if not number else b"", piece)


# --- addresses ---


def _addresses(value: bytes) -> bytes:
    """Display names and comments as encoded words, domains as A-labels; what is ASCII already stays as it stands.

    Tokens are found with a character for each octet, and each is read by itself: for encoded words with 8-bit octets
    in them are about the octets, and of several names each may be in a charset of its own.
    """
    text = value.removesuffix(b"\r\n").decode("latin_1")
    tail = b"\r\n" if value.endswith(b"\r\n") else b""
    made: list[bytes] = []
    phrase: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token[0] in "<(,;:":
            # A phrase that no address in brackets follows is one itself, or a group's name.
            is_name = token[0] in "<:(" and not any("@" in word for word in phrase)
            made.append(_name("".join(phrase)) if is_name or token[0] == "<" else _address("".join(phrase)))
            phrase = []
            made.append(_bracketed(token))
        else:
            phrase.append(token)
    made.append(_address("".join(phrase)))
    return b"".join(made) + tail


def _bracketed(token: str) -> bytes:
    if token.isascii():
        return token.encode("ascii")
    if token[0] == "<":
        return b"<" + _address(token[1:].removesuffix(">")) + b">"
    words = encode_words(_shown(token[1:].removesuffix(")")), whole=True)
    return b"(" + b"\r\n ".join(words) + b")"


def _shown(text: str) -> str:
    return decode_text(_ESCAPED.sub(r"\1", text).encode("latin_1"))


def _name(text: str) -> bytes:
    """A display name, with the white space around it."""
    if text.isascii():
        return text.encode("ascii")
    return b" " + b"\r\n ".join(encode_words(_shown(text.replace('"', "")), whole=True)) + b" "


def _address(text: str) -> bytes:
    """An address without brackets."""
    if text.isascii():
        return text.encode("ascii")
    local, at, domain = decode_undeclared(text.encode("latin_1")).rpartition("@")
    ending = domain.rstrip()
    key = domain_key(ending)
    if not at or not local.isascii() or not key.isascii():
        raise CannotEditError("an address in the header is not ASCII")
    return f"{local}@{key}{domain[len(ending) :]}".encode("ascii")
