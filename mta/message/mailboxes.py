"""Writing mailboxes into header fields (RFC 5322 §3.4): a display name is a phrase, and only that is ever encoded."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mta.message.addresses import Mailbox, read_mailboxes
from mta.message.encoded_words import encode_words
from mta.model.address import Address

_LINE = 78
_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*\Z")
_DISPLAY_MAX = 250


def mailbox_words(mailbox: Mailbox) -> list[bytes]:
    """A mailbox as words between which a line may be folded. Raises ValueError where its address is not ASCII."""
    spec = str(mailbox.address)
    if not spec.isascii():
        raise ValueError("an address beyond ASCII has no place in a header without SMTPUTF8")
    display = _CONTROL.sub(" ", mailbox.display).strip()[:_DISPLAY_MAX]
    if not display:
        return [spec.encode()]
    return [*_phrase(display), b"<%b>" % spec.encode()]


def _phrase(display: str) -> list[bytes]:
    """Atoms as they are, other ASCII as a quoted string, the rest as encoded words fit for a phrase (RFC 2047 §5)."""
    if not display.isascii() or "=?" in display:
        return encode_words(display, whole=True)
    if _ATOMS.match(display):
        return display.encode().split(b" ")
    return [b'"%b"' % re.sub(r'(["\\])', r"\\\1", display).encode()]


def address_field(name: str, mailboxes: Iterable[Mailbox]) -> bytes:
    """A whole field with its CRLF, folded. Raises ValueError as `mailbox_words` does."""
    words: list[bytes] = []
    for mailbox in mailboxes:
        if words:
            words[-1] += b","
        words += mailbox_words(mailbox)
    lines = [name.encode("ascii") + b":"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > _LINE and not lines[-1].endswith(b":"):
            lines.append(b"")
        lines[-1] += b" " + word
    return b"\r\n".join(lines) + b"\r\n"


def with_more(raw: bytes, added: Iterable[Address]) -> bytes:
    """A field's value (raw, folded or not, without its last CRLF) with more addresses at its end.

    What stands there stays as it is, unless it is so broken that the new addresses would not be read: then what can be
    read of it is written anew. Raises ValueError as `mailbox_words` does.
    """
    extra = [Mailbox("", address) for address in added]
    tail = b",\r\n ".join(mailbox_words(mailbox)[0] for mailbox in extra)
    before = raw.rstrip(b" \t\r\n,")
    if not before.strip():
        return b" " + tail
    known = list(read_mailboxes(raw))
    value = before + b",\r\n " + tail
    if [mailbox.address for mailbox in read_mailboxes(value)] == [mailbox.address for mailbox in (*known, *extra)]:
        return value
    return address_field("X", [*known, *extra])[len(b"X:") : -2]
