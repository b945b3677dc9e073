"""Items for the contract: what users' programs store, and what is to stand there instead."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from mta.message.contents import Contents
from mta.message.parse import parse
from mta.model.mailbox_item import ItemRef, Marks, NewAttachment, NewItem, SentItem, stamp_of
from mta.model.sentitem import job_id
from tests.contract.mailboxes.harness import Original

SENT_AT = datetime(2026, 11, 20, 9, 30, 15, tzinfo=UTC)
STORED_AT = SENT_AT + timedelta(seconds=3)
_numbers = count(1)

_REPLY = """\
From: Jane Doe <jane@example.com>
To: "Buyer, Ben" <ben@customer.example>, ann@customer.example
Cc: =?utf-8?q?J=C3=BCrgen_Gro=C3=9F?= <juergen@customer.example>
Bcc: hidden@example.com
Subject: =?utf-8?q?Re=3A_Angebot_f=C3=BCr_B=C3=BCcher?=
Date: Fri, 20 Nov 2026 10:30:15 +0100
Message-ID: %s
In-Reply-To: <asked@customer.example>
References: <first@customer.example> <asked@customer.example>
Importance: high
X-Priority: 1
Sensitivity: Private
Disposition-Notification-To: jane@example.com
Thread-Topic: =?utf-8?q?Angebot_f=C3=BCr_B=C3=BCcher?=
Thread-Index: AdZ+lRGCCMBTZ9r+RAyPSaqmnnB45g==
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/related; boundary=related

--related
Content-Type: multipart/alternative; boundary=either

--either
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Sch=C3=B6ne Gr=C3=BC=C3=9Fe
--either
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<html><body><p>Sch=C3=B6ne Gr=C3=BC=C3=9Fe</p><img src=3D"cid:logo@example.com"></body></html>
--either--
--related
Content-Type: image/png; name=logo.png
Content-Transfer-Encoding: base64
Content-ID: <logo@example.com>
Content-Disposition: inline; filename=logo.png

iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJggg==
--related--
--outer
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename*=utf-8''B%%C3%%BCcher.bin

AAECAwQF/v8=
--outer--
"""

_PLAIN = """\
From: jane@example.com
To: ben@customer.example
Subject: %s
Date: Fri, 20 Nov 2026 10:30:15 +0100
Message-ID: %s

Hello
"""


def new_id() -> str:
    """A Message-ID that no other test has."""
    return f"<{next(_numbers)}.sample@example.com>"


def reply(message_id: str) -> Original:
    """With all that an item may have."""
    return Original(_crlf(_REPLY % message_id), STORED_AT)


def plain(message_id: str, subject: str = "Offer") -> Original:
    return Original(_crlf(_PLAIN % (subject, message_id)), STORED_AT)


def changed(original: SentItem, words: str, *, copy: str = "Q1.0", marks: Marks | None = None) -> NewItem:
    """The same message with some words more at the end of its body, as a rule would add them."""
    return in_place_of(original, _with_words(original, words), copy=copy, marks=marks)


def in_place_of(original: SentItem, mime: bytes, *, copy: str = "Q1.0", marks: Marks | None = None) -> NewItem:
    """A message that is to stand where the original is."""
    message = parse(mime)
    contents = Contents(message)
    job = job_id("jane@example.com", original.message_id, original.sent_at)
    return NewItem(
        stamp=stamp_of(job, copy),
        original=original,
        mime=mime,
        message_id=original.message_id,
        subject=message.subject,
        html=contents.html,
        text=contents.text,
        attachments=tuple(
            NewAttachment(file.name, file.content_type, file.octets, file.content_id, file.is_inline)
            for file in contents.files
        ),
        in_reply_to=original.in_reply_to,
        references=original.references,
        marks=marks or original.marks,
    )


def unread(message_id: str, mime: bytes) -> SentItem:
    """What stands for an original that nobody keeps, for items that are made of it."""
    message = parse(mime)
    return replace(
        SentItem(ItemRef("none"), message_id, message.subject), sent_at=SENT_AT, delivered_at=STORED_AT, mime=mime
    )


def _with_words(original: SentItem, words: str) -> bytes:
    return (
        original.mime.replace(b"</p>", f"</p><p>{words}</p>".encode())
        if b"</p>" in original.mime
        else original.mime + words.encode() + b"\r\n"
    )


def _crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()
