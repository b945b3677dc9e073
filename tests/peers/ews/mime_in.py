"""A message's MIME taken apart into an item ([MS-OXCMAIL] 2.2): nothing else of it is kept."""

from __future__ import annotations

import base64
import binascii
import contextlib
import email
import email.policy
import re
from datetime import UTC
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

from tests.peers.ews import properties as p
from tests.peers.ews.errors import EwsError
from tests.peers.ews.ids import new_id
from tests.peers.ews.items import Attachment, Item, Participant, RecipientKind

VIRUS = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!"
_RECIPIENTS: tuple[tuple[str, RecipientKind], ...] = (
    ("to", "to"), ("cc", "cc"), ("bcc", "bcc"), ("reply-to", "reply_to"),
)  # fmt: skip
_SENSITIVITIES = {"personal": 1, "private": 2, "company-confidential": 3}
_IMPORTANCES = {"low": 0, "normal": 1, "high": 2}
_UNREADABLE = (LookupError, UnicodeError, binascii.Error, HeaderParseError)
"""Of encoded words that are none: the text stays as it stands."""
_CRLF = email.policy.compat32.clone(linesep="\r\n")
_KEPT = ("x-", "content-class", "list-", "auto-submitted", "precedence")
"""Fields without a property of their own become named ones ([MS-OXCMAIL] 2.1.3.2)."""
_REPORTS = {"disposition-notification": "REPORT.IPM.Note.IPNRN"}
_FIELD = re.compile(rb"\A[!-9;-~]+[ \t]*:")


def read_mime(item: Item, data: bytes) -> None:
    """Fill the item. Raises EwsError: ErrorMimeContentInvalid, ErrorVirusDetected."""
    if not _FIELD.match(data):
        raise EwsError("ErrorMimeContentInvalid")
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    _read_headers(item, message)
    kind = message.get_content_type()
    if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        _take_smime(item, data, "IPM.Note.SMIME")
    elif kind == "multipart/signed":
        _take_smime(item, data, "IPM.Note.SMIME.MultipartSigned")
    else:
        _read_part(item, message, kind, is_related=False)
        _check_bodies(item)
        if kind == "multipart/report":
            item.properties[p.CLASS] = _REPORTS.get(str(message.get_param("report-type")), "REPORT.IPM.Note.NDR")
        if item.item_class.startswith(("IPM.Schedule", "REPORT.")):
            item.exact_mime = data  # no calendars are kept here, and no recipients' statuses
    if VIRUS in data or any(VIRUS in attachment.content for attachment in item.attachments):
        raise EwsError("ErrorVirusDetected")


def decoded_mime(text: str) -> bytes:
    """Of MimeContent, whose blanks don't count. Raises EwsError."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise EwsError("ErrorMimeContentInvalidBase64String") from error


def _values(message: Message, name: str) -> list[str]:
    """Of every such field: unfolded, and UTF-8 where it isn't ASCII (RFC 6532)."""
    wanted = name.lower()
    return [_plain(value) for field, value in message.raw_items() if field.lower() == wanted]


def _plain(value: str) -> str:
    octets = re.sub(r"[\r\n]+(?=[ \t])", "", value).encode("utf-8", "surrogateescape")
    return octets.decode("utf-8", "replace").strip()


def _decoded(text: str) -> str:
    """With encoded words (RFC 2047) as the text that they are."""
    try:
        return str(make_header(decode_header(text)))
    except _UNREADABLE:
        return text


def _unfolded(message: Message, name: str) -> str:
    values = _values(message, name)
    return _decoded(values[0]).strip() if values else ""


def _people(message: Message, name: str) -> tuple[Participant, ...]:
    found = getaddresses(_values(message, name))
    return tuple(Participant(address, _decoded(display).strip()) for display, address in found if address)


def _read_headers(item: Item, message: Message) -> None:
    values = item.properties
    values[p.SUBJECT] = _unfolded(message, "subject")
    for name, kind in _RECIPIENTS:
        if people := _people(message, name):
            item.recipients[kind] = people
    authors = _people(message, "from")
    senders = _people(message, "sender") or authors
    if authors:
        item.set_author(authors[0])
    if senders:
        item.set_sender(senders[0])
    for name, key in (("message-id", p.MESSAGE_ID), ("in-reply-to", p.IN_REPLY_TO), ("references", p.REFERENCES)):
        if value := _unfolded(message, name):
            values[key] = value
    if topic := _unfolded(message, "thread-topic"):
        values[p.TOPIC] = topic
    _read_marks(item, message)


def _read_marks(item: Item, message: Message) -> None:
    values = item.properties
    try:
        if index := base64.b64decode(_unfolded(message, "thread-index"), validate=True):
            values[p.INDEX] = index
    except binascii.Error:
        pass  # as Exchange: a broken one is as none
    with contextlib.suppress(ValueError):
        values[p.SUBMIT_TIME] = parsedate_to_datetime(_unfolded(message, "date")).astimezone(UTC)
    values[p.IMPORTANCE] = _importance(message)
    values[p.SENSITIVITY] = _SENSITIVITIES.get(_unfolded(message, "sensitivity").lower(), 0)
    values[p.READ_RECEIPT] = "disposition-notification-to" in message
    values[p.DELIVERY_RECEIPT] = "return-receipt-to" in message
    for name, value in message.raw_items():
        if name.lower().startswith(_KEPT) and not name.lower().startswith("x-ms-exchange-organization-"):
            text = _decoded(_plain(value))
            item.headers.append((name, text))
            values[p.named("InternetHeaders", name)] = text


def _importance(message: Message) -> int:
    """Importance, else X-Priority ([MS-OXCMAIL] 2.2.3.2.9)."""
    given = _unfolded(message, "importance").lower()
    if given in _IMPORTANCES:
        return _IMPORTANCES[given]
    return {"1": 2, "2": 2, "4": 0, "5": 0}.get(_unfolded(message, "x-priority")[:1], 1)


def _take_smime(item: Item, data: bytes, item_class: str) -> None:
    """The whole message is one attachment, and is given out as it came ([MS-OXOSMIME] 2.1)."""
    item.exact_mime = data
    item.properties[p.CLASS] = item_class
    item.properties[p.TEXT] = ""
    kind = "multipart/signed" if item_class.endswith("MultipartSigned") else "application/pkcs7-mime"
    item.attachments.append(Attachment(_id(item), "smime.p7m", kind, data.partition(b"\r\n\r\n")[2]))


def _read_part(item: Item, part: Message, kind: str, *, is_related: bool) -> None:
    if part.is_multipart() and kind.startswith("multipart/"):
        for child in part.get_payload():
            assert isinstance(child, Message)
            _read_part(item, child, child.get_content_type(), is_related=is_related or kind == "multipart/related")
        return
    if kind == "text/calendar" and part.get_param("method"):
        method = str(part.get_param("method")).upper()
        classes = {"REQUEST": "IPM.Schedule.Meeting.Request", "CANCEL": "IPM.Schedule.Meeting.Canceled"}
        item.properties[p.CLASS] = classes.get(method, "IPM.Schedule.Meeting.Resp.Pos")
        return
    attached = part.get_content_disposition() == "attachment" or part.get_filename() is not None
    if kind == "text/html" and not attached and p.HTML not in item.properties:
        item.properties[p.HTML] = _text(part).encode()
    elif kind == "text/plain" and not attached and p.TEXT not in item.properties:
        item.properties[p.TEXT] = _text(part)
    else:
        _attach(item, part, kind, is_related=is_related)


def _attach(item: Item, part: Message, kind: str, *, is_related: bool) -> None:
    content_id = _unfolded(part, "content-id").strip("<>")
    if kind == "message/rfc822" and part.is_multipart():
        inner = part.get_payload(0)
        assert isinstance(inner, Message)
        name = _unfolded(inner, "subject") or part.get_filename() or "Untitled"
        item.attachments.append(Attachment(_id(item), name, kind, inner.as_bytes(policy=_CRLF), is_item=True))
        return
    payload = part.get_payload(decode=True)
    name = _file_name(part) or f"ATT{len(item.attachments) + 1:05d}{'.txt' if kind == 'text/plain' else '.bin'}"
    inline = bool(content_id) and (is_related or part.get_content_disposition() == "inline")
    item.attachments.append(
        Attachment(
            _id(item),
            name,
            kind,
            payload if isinstance(payload, bytes) else b"",
            content_id,
            _unfolded(part, "content-location"),
            is_inline=inline,
        )
    )


def _id(item: Item) -> str:
    return new_id("attachment", item.mailbox)


def _file_name(part: Message) -> str:
    name = part.get_filename()
    if not name:
        return ""
    try:
        return str(make_header(decode_header(name)))
    except _UNREADABLE:
        return name


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        return data.decode(part.get_content_charset("utf-8"))
    except (LookupError, UnicodeDecodeError):
        return data.decode("latin-1")


def _check_bodies(item: Item) -> None:
    """With HTML the text beside it isn't kept: it is made anew ([MS-OXBBODY])."""
    if p.HTML in item.properties:
        item.properties.pop(p.TEXT, None)
