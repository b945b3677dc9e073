"""Short ways to build messages and to look at them in the tests of this package."""

from __future__ import annotations

import email
import email.message
from collections.abc import Sequence

from mta.message.body_text import Change, TextBody, displayed
from mta.message.edit import Edit, joined
from mta.message.parse import Message, Part, parse


def crlf(text: str) -> bytes:
    """A message written with "\\n", as SMTP carries it."""
    return text.encode("utf-8").replace(b"\n", b"\r\n")


def text_message(body: bytes, content_type: str = "text/plain", encoding: str = "", fields: str = "") -> bytes:
    """A message with one text part; `body` is encoded already and has CRLF line ends."""
    header = f"From: a@example.com\nSubject: test\nMIME-Version: 1.0\nContent-Type: {content_type}\n{fields}"
    if encoding:
        header += f"Content-Transfer-Encoding: {encoding}\n"
    return crlf(header + "\n") + body


def only_body(data: bytes) -> TextBody:
    bodies = displayed(parse(data))
    assert len(bodies) == 1
    return bodies[0]


def changed(data: bytes, *changes: Change) -> bytes:
    """The message after changes of its only body."""
    return joined(data, only_body(data).change(changes))


def insert(data: bytes, position: int, text: str) -> bytes:
    return changed(data, Change(position, position, text))


def append(data: bytes, text: str) -> bytes:
    body = only_body(data)
    return insert(data, len(body.text), text)


def read(data: bytes) -> str:
    """The text of the only body."""
    return only_body(data).text


def tree(part: Part) -> object:
    """Content types, nested."""
    return (part.content_type, [tree(child) for child in part.children]) if part.children else part.content_type


def edited(message: Message, edits: Sequence[Edit]) -> Message:
    return parse(joined(message.data, edits))


def by_stdlib(data: bytes) -> list[str]:
    """The text parts as Python's email package decodes them, undecodable octets replaced."""
    parts = email.message_from_bytes(data).walk()
    return [_decoded(part) for part in parts if part.get_content_maintype() == "text" and not part.is_multipart()]


def _decoded(part: email.message.Message) -> str:
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    try:
        return octets.decode(part.get_content_charset("ascii"), "replace")
    except LookupError:
        return octets.decode("latin-1")
