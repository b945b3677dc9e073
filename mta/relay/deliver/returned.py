"""What of the original comes back with a DSN: its header, or all of it (RFC 3461 §4.3, RFC 6522, RFC 6533 §4)."""

from __future__ import annotations

import base64
import re

from mta.message.edit import CannotEditError, joined
from mta.message.encoded_words import decode_text
from mta.message.parse import Buffer, LimitExceededError, parse
from mta.message.seven_bit import in_seven_bit
from mta.relay.foreign_fields import TOKEN_HEADER

FULL_UP_TO = 256_000
"""Octets: with RET=FULL, messages up to this size are returned whole."""
HEADER_UP_TO = 65_536
"""Octets of the original's header that are returned."""
_SUBJECT_MAX = 100
_NOT_SEVEN_BIT_TEXT = re.compile(rb"[^\x01-\x09\x0b\x0c\x0e-\x7f\r\n]|\r(?!\n)|(?<!\r)\n|[^\r\n]{999}")
_TOKEN = re.compile(rb"(?mi)^[\x80-\xff]*+%b[ \t]*(?:\r\n[ \t]+)*:[^\n]*\n(?:[ \t][^\n]*\n)*" % TOKEN_HEADER)
# Control characters, line separators, and marks that turn the direction of writing.
_NOT_SHOWN = re.compile('[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"]+')


def part(content_type: str, data: bytes, description: str) -> bytes:
    """A MIME part, in base64 only where 7bit does not hold it."""
    head = f"Content-Type: {content_type}\r\nContent-Description: {description}\r\n".encode()
    if _NOT_SEVEN_BIT_TEXT.search(data) is None:
        return head + b"\r\n" + data
    encoded = base64.encodebytes(data).replace(b"\n", b"\r\n")
    return head + b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded


def returned(original: Buffer, *, whole: bool, is_international: bool) -> bytes:
    """The third part: the whole original where that is wanted and it is small, else its header.

    message/rfc822 must not be encoded (RFC 2046 §5.2.1), so an original in 8-bit is brought into 7-bit part by part;
    where that can't be, its header comes back. `is_international`: it came under SMTPUTF8, and what returns of it is of
    the types made for that, which may be encoded (RFC 6532 §3.7). Our token, on what has been here before, doesn't come
    back: the sender may be a stranger whose mail Exchange has forwarded.
    """
    if whole and len(original) <= FULL_UP_TO:
        found = _whole(_without_token(bytes(original)), is_international=is_international)
        if found is not None:
            return found
    header = _without_token(_header_block(original[:HEADER_UP_TO]))
    content_type = "message/global-headers" if is_international and not header.isascii() else "text/rfc822-headers"
    return part(content_type, header, "Header of the message")


def _whole(original: bytes, *, is_international: bool) -> bytes | None:
    if _NOT_SEVEN_BIT_TEXT.search(original) is not None:
        if is_international:
            return part("message/global", original, "The message")
        try:
            original = joined(original, in_seven_bit(parse(original)))
        except (CannotEditError, LimitExceededError):
            return None
        if _NOT_SEVEN_BIT_TEXT.search(original) is not None:
            return None
    return part("message/rfc822", original, "The message")


def _without_token(data: bytes) -> bytes:
    header = _header_block(data)
    return _TOKEN.sub(b"", header) + data[len(header) :]


def _header_block(head: bytes) -> bytes:
    if head.startswith(b"\r\n"):
        return b""
    end = head.find(b"\r\n\r\n")
    if end < 0:
        end = head.rfind(b"\r\n")
    return head[: end + 2] if end >= 0 else head


def subject_of(original: Buffer) -> str:
    """The original's subject, so that its sender knows which message is meant: one line without control characters."""
    try:
        message = parse(_header_block(original[:HEADER_UP_TO]))
    except LimitExceededError:
        return ""
    fields = message.fields_named("subject")
    text = " ".join(_NOT_SHOWN.sub(" ", decode_text(message.raw(fields[0]))).split()) if fields else ""
    return text if len(text) <= _SUBJECT_MAX else text[:_SUBJECT_MAX].rstrip() + "…"
