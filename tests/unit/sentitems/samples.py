"""A message on its way: the sender's own item, what came to the relay, the copies that went out, and their job."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mta.config.sentitems_schema import SentItemsSettings
from mta.message.body_text import Change, displayed
from mta.message.contents import Contents
from mta.message.edit import combine
from mta.message.headers import addresses, prepend, tag_subject
from mta.message.parse import parse
from mta.model.delivery import Body, StoredVariant
from mta.model.mailbox_item import ItemRef, Marks, Participant, SentItem, StoredAttachment
from mta.model.sentitem import JobCopy, JobState, SentItemJob, job_id
from mta.model.writeback import FiledMark

MAILBOX = "jane@example.com"
MESSAGE_ID = "<4711@mail.example.com>"
SENT_AT = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
STAMP = "Example Ltd · Registered in London"
TOP = b"DKIM-Signature: v=1; d=example.com\r\nX-Stampline-Processed: v=1; o=x\r\nReceived: from a by b; now\r\n"

MESSAGE = (
    b"Message-ID: <4711@mail.example.com>\r\n"
    b"Date: Mon, 02 Nov 2026 09:30:00 +0000\r\n"
    b"From: Jane Doe <jane@example.com>\r\n"
    b"To: Tom <tom@example.net>\r\n"
    b"Subject: Offer\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n"
    b"\r\n"
    b"<html><body><p>Dear Tom,</p><p>here is our offer: 4,200 EUR.</p></body></html>\r\n"
)


def settings(**values: Any) -> SentItemsSettings:
    return SentItemsSettings.model_validate(
        {"servers": [{"kind": "maildir", "name": "mail", "folder": "/srv/mail/{local}"}], **values}
    )


def item_of(data: bytes, *, has_mime: bool = True, bcc: tuple[str, ...] = (), **values: Any) -> SentItem:
    """The sender's own item of a message, as a server shows it that tells all."""
    message = parse(data)
    contents = Contents(message)
    hidden = "".join(f"Bcc: {address}\r\n" for address in bcc).encode()
    item = SentItem(
        ItemRef("none"),
        message.message_id,
        message.subject,
        size_octets=len(data),
        sent_at=SENT_AT,
        delivered_at=SENT_AT,
        author=Participant(MAILBOX),
        to=_people(message, "to"),
        cc=_people(message, "cc"),
        bcc=tuple(map(Participant, bcc)),
        html=contents.html,
        text=contents.text,
        attachments=tuple(
            StoredAttachment(file.name, file.content_type, len(file.octets), file.content_id, file.is_inline)
            for file in contents.files
        ),
        mime=hidden + data if has_mime else b"",
    )
    return replace(item, **values)


def _people(message: Any, name: str) -> tuple[Participant, ...]:
    return tuple(Participant(str(mailbox.address), mailbox.display) for mailbox in addresses(message, name))


def copy_of(
    data: bytes, *, group: int = 0, stamp: str = STAMP, tag: str = "", external: bool = True, queue_id: str = "q1",
    after_s: float = 0, is_changed: bool = True,
) -> JobCopy:  # fmt: skip
    """A copy with a stamp behind its texts, as the relay stores it."""
    message = parse(data)
    edits = [prepend(message, TOP)]
    if is_changed:
        for body in displayed(message):
            place = _end(body.text) if body.is_html else len(body.text)
            text = f"<p>{stamp}</p>" if body.is_html else f"\n{stamp}\n"
            edits += body.change([Change(place, place, text)])
    if tag:
        edits += tag_subject(message, tag, "prefix")
    variant = StoredVariant(group, tuple((e.start, e.end, e.replacement) for e in combine(edits)), is_changed)
    sent_at = SENT_AT + timedelta(seconds=after_s)
    return JobCopy(queue_id, group, sent_at, external, 1, Body.of(data), variant)


def _end(html: str) -> int:
    place = html.lower().rfind("</body>")
    return place if place >= 0 else len(html)


def let_go(copy: JobCopy) -> JobCopy:
    """As it comes once the job was done: without bytes and edits."""
    return replace(copy, body=Body.of(b""), variant=StoredVariant(copy.variant.group, (), False))


def job_with(*copies: JobCopy, **values: Any) -> SentItemJob:
    job = SentItemJob(
        job_id(MAILBOX, MESSAGE_ID, SENT_AT), MAILBOX, "example", MESSAGE_ID, SENT_AT, JobState.WAITING, SENT_AT,
        SENT_AT, copies=copies,
    )  # fmt: skip
    return replace(job, **values)


def marking_job(mark: FiledMark, **values: Any) -> SentItemJob:
    """A job that marks the message's copies in Jane's mailbox."""
    job = SentItemJob("f" * 32, MAILBOX, "example", MESSAGE_ID, None, JobState.WAITING, SENT_AT, SENT_AT, mark=mark)
    return replace(job, **values)


READ = Marks(is_read=True)
