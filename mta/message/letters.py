"""What a template says, as a message: plain text, HTML beside it, pictures with the HTML; 7-bit throughout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Protocol

from mta.message.addresses import Mailbox
from mta.message.mailboxes import address_field
from mta.message.structure import Picture


class CannotWriteError(Exception):
    """A template gave no letter; the text holds no values of message or directory."""


class Letter(Protocol):
    """A subject in one line ("" where the template has none), and two bodies with "\\n" line ends, "" for none."""

    @property
    def subject(self) -> str: ...
    @property
    def html(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def pictures(self) -> Sequence[Picture]: ...


WriteLetter = Callable[[str, str, str], Letter]
"""(template, rule, address key of the recipient of whom it speaks or "") → the letter. Raises CannotWriteError."""


def compose(
    letter: Letter,
    *,
    sender: Mailbox,
    to: Iterable[Mailbox],
    date: datetime,
    message_id: str,
    fields: Sequence[bytes],
) -> bytes:
    """A whole message with CRLF line ends; `fields` stand behind Message-ID.

    Raises CannotWriteError for a letter without a word, and for addresses that need SMTPUTF8.
    """
    if not letter.text.strip() and not letter.html.strip():
        raise CannotWriteError("the template has nothing to say")
    try:
        head = [
            f"Date: {format_datetime(date)}\r\n".encode(),
            address_field("From", [sender]),
            address_field("To", to),
            f"Message-ID: {message_id}\r\n".encode(),
            *fields,
        ]
    except ValueError as exc:
        raise CannotWriteError(str(exc)) from exc
    return b"".join(head) + _body(letter)


def _body(letter: Letter) -> bytes:
    """MIME fields, an empty line, and the parts."""
    body = EmailMessage(policy=SMTP)
    if letter.text.strip() or not letter.html.strip():
        body.set_content(_encodable(letter.text), cte="quoted-printable")
        if letter.html.strip():
            body.add_alternative(_encodable(letter.html), subtype="html", cte="quoted-printable")
    else:
        body.set_content(_encodable(letter.html), subtype="html", cte="quoted-printable")
    root = body.get_body(("html",))
    if root is not None:
        for picture in letter.pictures:
            main, _, sub = picture.content_type.partition("/")
            root.add_related(
                picture.data, maintype=main, subtype=sub, cid=f"<{picture.cid}>", filename=picture.filename,
                disposition="inline",
            )  # fmt: skip
    return body.as_bytes(policy=SMTP)


def _encodable(text: str) -> str:
    """Lone surrogates, which decoded mail may hold, become `?`."""
    return text.encode("utf-8", "replace").decode()
