"""MIME made anew at each read, as Exchange does, and read when a draft is made from it."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage, MIMEPart
from email.utils import format_datetime
from uuid import uuid4

from tests.peers.graph.answers import GraphError
from tests.peers.graph.properties import (
    IMPORTANCE,
    IN_REPLY_TO,
    INDEX,
    MESSAGE_ID,
    READ_RECEIPT,
    REFERENCES,
    SUBJECT,
    SUBMIT_TIME,
    TOPIC,
    text_of,
)
from tests.peers.graph.store import Attachment, Item, Person

_KEPT = ("x-stampline-", "x-failed-", "x-auto-response-", "list-", "auto-submitted", "precedence")
"""Fields without a property of their own become named ones ([MS-OXCMAIL] 2.1.3.2)."""
_POLICY = email.policy.SMTP.clone(max_line_length=76)


def mime_of(item: Item) -> bytes:
    """CRLF line ends; other boundaries each time. graph/outlook-get-mime-message."""
    if item.exact_mime:
        return item.exact_mime
    message = EmailMessage(_POLICY)
    _write_header(message, item)
    _write_body(message, item)
    if message.is_multipart():
        message.set_boundary(f"_{uuid4().hex[:3]}_{uuid4().hex.upper()}_")
    return message.as_bytes()


def _write_header(message: EmailMessage, item: Item) -> None:
    for name, people in (
        ("From", [item.author] if item.author else []), ("To", item.to), ("CC", item.cc), ("BCC", item.bcc),
        ("Reply-To", item.reply_to),
    ):  # fmt: skip
        if people:
            message[name] = tuple(_address(one) for one in people)
    if item.sender and item.sender != item.author:
        message["Sender"] = _address(item.sender)
    message["Subject"] = _line(item.properties[SUBJECT])
    message["Thread-Topic"] = _line(item.properties[TOPIC])
    message["Thread-Index"] = text_of(item.properties[INDEX])
    submitted = item.properties[SUBMIT_TIME]
    assert isinstance(submitted, datetime)
    message["Date"] = format_datetime(submitted.astimezone(UTC))
    message["Message-ID"] = _line(item.properties[MESSAGE_ID])
    for name, key in (("References", REFERENCES), ("In-Reply-To", IN_REPLY_TO)):
        if key in item.properties:
            message[name] = _line(item.properties[key])
    if item.properties.get(IMPORTANCE, 1) != 1:
        message["Importance"] = "high" if item.properties[IMPORTANCE] == 2 else "low"
    message["X-MS-Has-Attach"] = "yes" if item.attachments else ""
    message["X-MS-Exchange-Organization-AuthAs"] = "Internal"
    for header, value in item.headers:
        message[header] = _line(value)


def _line(value: object) -> str:
    return " ".join(str(value).split())


def _address(one: Person) -> Address:
    try:
        return Address(one.name, addr_spec=one.address)
    except (ValueError, IndexError, email.errors.MessageError):
        return Address(f"{one.name} <{one.address}>")


def _write_body(message: EmailMessage, item: Item) -> None:
    message.set_content(item.text, cte="quoted-printable")
    inline = [one for one in item.attachments if one.is_inline and one.content_id]
    if item.body_type == "html":
        message.add_alternative(item.body, subtype="html", cte="quoted-printable")
        part = message.get_payload()[1]  # type: ignore[index]
        assert isinstance(part, MIMEPart)
        for one in inline:
            main, _, sub = one.content_type.partition("/")
            part.add_related(
                one.data, maintype=main, subtype=sub or "octet-stream", cid=f"<{one.content_id}>", filename=one.name
            )
    for one in item.attachments:
        if item.body_type != "html" or one not in inline:
            _attach(message, one)


def _attach(message: EmailMessage, one: Attachment) -> None:
    if one.kind == "item":
        message.add_attachment(email.message_from_bytes(one.data, policy=_POLICY), filename=one.name)
        return
    main, _, sub = one.content_type.partition("/")
    if main in ("text", "message", "multipart") or not sub:
        main, sub = "application", "octet-stream"
    message.add_attachment(one.data, maintype=main, subtype=sub, filename=one.name)


def read_mime(item: Item, data: bytes) -> None:
    """Fill a new draft from MIME (graph/outlook-send-mime-message). Raises GraphError."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    if not message.keys():
        raise GraphError(400, "ErrorMimeContentInvalid", "Invalid base64 string for MIME content.")
    for name, key in (
        ("Subject", SUBJECT), ("Message-ID", MESSAGE_ID), ("References", REFERENCES), ("In-Reply-To", IN_REPLY_TO),
        ("Thread-Topic", TOPIC),
    ):  # fmt: skip
        if message[name]:
            item.properties[key] = str(message[name])
    date = getattr(message["Date"], "datetime", None)
    if date is not None:
        item.properties[SUBMIT_TIME] = (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    senders = _people(message, "From")
    item.author = senders[0] if senders else None
    item.sender = next(iter(_people(message, "Sender")), item.author)
    item.to, item.cc, item.bcc = (_people(message, name) for name in ("To", "Cc", "Bcc"))
    item.reply_to = _people(message, "Reply-To")
    item.properties[READ_RECEIPT] = "Disposition-Notification-To" in message
    item.headers += [(name, str(value)) for name, value in message.items() if name.lower().startswith(_KEPT)]
    if message.get_content_type() in ("multipart/report", "multipart/signed", "application/pkcs7-mime"):
        item.exact_mime = data
    _read_parts(item, message)


def _people(message: EmailMessage, name: str) -> list[Person]:
    found = getattr(message[name], "addresses", ()) if message[name] else ()
    return [Person(one.display_name or one.addr_spec, one.addr_spec) for one in found]


def _read_parts(item: Item, message: EmailMessage) -> None:
    body = message.get_body(("html", "plain"))
    for part in message.walk():
        if part.is_multipart() and part.get_content_type() != "message/rfc822":
            continue
        if part is body:
            item.body_type = "html" if part.get_content_subtype() == "html" else "text"
            item.body = part.get_content()
        elif part.get_filename() or part["Content-ID"] or part.get_content_type() == "message/rfc822":
            item.attachments.append(_attachment(part))


def _attachment(part: MIMEPart) -> Attachment:
    content_id = str(part["Content-ID"] or "").strip("<> ")
    if part.get_content_type() == "message/rfc822":
        inner = part.get_content()
        return Attachment(
            f"{uuid4().hex}=", "item", str(inner["Subject"]), "message/rfc822", inner.as_bytes(policy=_POLICY)
        )
    data = part.get_payload(decode=True)
    return Attachment(
        f"{uuid4().hex}=",
        "file",
        part.get_filename() or "attachment",
        part.get_content_type(),
        data if isinstance(data, bytes) else b"",
        content_id,
        part.get_content_disposition() == "inline",
    )
