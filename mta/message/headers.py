"""Header fields: reading them as text, and the edits that set, remove and tag them."""

from __future__ import annotations

import re
from functools import lru_cache

from mta.message import part_header
from mta.message.addresses import Mailbox, addresses
from mta.message.charsets import codec_for
from mta.message.edit import CannotEditError, Edit
from mta.message.encoded_words import ENCODED_WORD, decode_text, encode_words
from mta.message.fields import HeaderField
from mta.message.parse import Message
from mta.message.subject import has_tag

__all__ = [
    "Mailbox", "addresses", "decode_text", "format_field", "prepend", "remove_header", "set_field", "set_header",
    "set_subject", "tag_subject",
]  # fmt: skip

_NAME = re.compile(r"[!-9;-~]{1,76}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_LINE = 78
_KEPT_MAX = 200  # characters; rules set the same values again and again
_FROM_LINE = re.compile(rb">?From [^:\r\n]")  # Postfix calls it Mailbox-Line, too


def format_field(name: str, text: str) -> bytes:
    """A whole field with its CRLF: encoded (RFC 2047) word by word, folded at 78 characters.

    `text` is one line; line ends and control characters in it become spaces. Raises ValueError for a bad name.
    """
    return _format_kept(name, text) if len(text) <= _KEPT_MAX else _format(name, text)


def _format(name: str, text: str, label: str = "utf-8") -> bytes:
    if not _NAME.match(name):
        raise ValueError(f"not a header field name: {name!r}")
    words = encode_words(_CONTROL.sub(" ", text).strip(), label)
    lines = []
    line = name.encode("ascii") + b":"
    for word in words:
        if len(line) + 1 + len(word) > _LINE and line.strip() and not line.endswith(b":"):
            lines.append(line)
            line = b""
        line += b" " + word
    return b"\r\n".join([*lines, line]) + b"\r\n"


_format_kept = lru_cache(maxsize=512)(_format)


def set_header(message: Message, name: str, text: str) -> list[Edit]:
    """Replace the first field of that name and remove the others, or add one at the header's end.

    Nothing can be set in a message that has no header at all: no edits then. Raises ValueError for a bad name.
    """
    return set_field(message, name, format_field(name, text))


def set_field(message: Message, name: str, field: bytes) -> list[Edit]:
    """The same with the whole field at hand, CRLF at its end."""
    fields = message.fields_named(name)
    if not fields:
        return _add(message, field)
    first = fields[0]
    replaced = Edit(first.start, first.end, field)
    return [replaced, *(Edit(other.start, other.end, b"") for other in fields[1:])]


def set_subject(message: Message, text: str) -> list[Edit]:
    """As `set_header`, in the charset that the subject has now where that can hold the text."""
    fields = message.fields_named("subject")
    word = ENCODED_WORD.search(message.raw(fields[0])) if fields else None
    label = _label_for(text, word[1]) if word else "utf-8"
    return set_field(message, "Subject", _format("Subject", text, label))


def remove_header(message: Message, name: str) -> list[Edit]:
    """Remove every field of that name."""
    return [Edit(field.start, field.end, b"") for field in message.fields_named(name)]


def _add(message: Message, field: bytes) -> list[Edit]:
    try:
        return [part_header.add_field(message.root, field)]
    except CannotEditError:
        return []


def tag_subject(message: Message, text: str, where: str) -> list[Edit]:
    """Put `text` before ("prefix") or behind ("suffix") the subject, unless the subject has it already.

    The subject itself stays as it is encoded; the tag takes its charset where that can hold it.
    """
    text = _CONTROL.sub(" ", text).strip()
    fields = message.fields_named("subject")
    if not text or has_tag(message.subject, text):
        return []
    if not fields:
        return _add(message, format_field("Subject", text))
    if not message.raw(fields[0]).strip():
        return [Edit(fields[0].start, fields[0].end, format_field("Subject", text))]
    return [_prefix(message, fields[0], text) if where == "prefix" else _suffix(message, fields[0], text)]


def _tag_words(text: str, words: list[tuple[bytes, bytes]], *, side: str) -> bytes:
    """The tag, encoded if it must be; a space that would vanish between two encoded words stands inside it."""
    is_plain = text.isascii() and "=?" not in text
    if is_plain:
        return text.encode("ascii")
    label = _label_for(text, words[0][0] if words else b"utf-8")
    padded = {"prefix": text + " ", "suffix": " " + text, "": text}[side]
    return b" ".join(encode_words(padded, label, whole=True))


def _label_for(text: str, word: bytes) -> str:
    """The charset of an encoded word (its language taken off) if it can hold the text, else UTF-8."""
    label = word.partition(b"*")[0].decode("latin_1")
    codec = codec_for(label)
    if codec is None or not label.isascii() or codec.family not in ("single", "multi", "utf-8"):
        return "utf-8"
    try:
        text.encode(codec.encoding)
    except UnicodeEncodeError:
        return "utf-8"
    return label


def _prefix(message: Message, field: HeaderField, text: str) -> Edit:
    raw = message.raw(field)
    rest = raw.lstrip(b" \t\r\n")
    word = ENCODED_WORD.match(rest)
    tag = _tag_words(text, [(word[1], word[2])] if word else [], side="prefix" if word else "")
    first_line = rest.partition(b"\r\n")[0]
    has_room = len(b"Subject: ") + len(tag) + 1 + len(first_line) <= _LINE
    start = field.value_start
    return Edit(start, start + len(raw) - len(rest), b" " + _folded(tag) + (b" " if has_room else b"\r\n "))


def _suffix(message: Message, field: HeaderField, text: str) -> Edit:
    raw = message.raw(field)
    rest = raw.rstrip(b" \t\r\n")
    last_line = rest.rpartition(b"\n")[2]
    words = [match for match in ENCODED_WORD.finditer(last_line) if match.end() == len(last_line)]
    tag = _tag_words(text, [(word[1], word[2]) for word in words], side="suffix" if words else "")
    has_room = len(b"Subject:") + len(last_line) + 1 + len(tag) <= _LINE
    start = field.value_start
    return Edit(start + len(rest), start + len(raw), (b" " if has_room else b"\r\n ") + _folded(tag))


def _folded(tag: bytes) -> bytes:
    """Encoded words on lines of their own where there are several."""
    return tag.replace(b"?= =?", b"?=\r\n =?")


def prepend(message: Message, block: bytes) -> Edit:
    """Put `block` (whole fields with CRLF) on top of the message, so that none of it and nothing of `block` is lost.

    A folded line at the beginning would become part of the block's last field, and a line that is no field (mbox's
    `From `) would end the header: each gets a field name of its own. A body without any header gets the empty line that
    it lacks.
    """
    root = message.root
    if not root.fields and not root.header_is_closed:
        return Edit(0, 0, block + b"\r\n")
    if root.fields and not root.fields[0].name:
        line = message.data[:80]
        if line[:1] in (b" ", b"\t"):
            return Edit(0, 0, block + b"X-Folded-Line:\r\n")
        return Edit(0, 0, block + (b"Mailbox-Line: " if _FROM_LINE.match(line) else b"X-Broken-Line: "))
    return Edit(0, 0, block)
