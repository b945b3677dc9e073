"""An item's MIME, made anew at each reading: equal in content, never in octets ([MS-OXCMAIL] 2.1)."""

from __future__ import annotations

import base64
import re
import secrets
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.utils import format_datetime, formataddr

from tests.peers.ews import properties as p
from tests.peers.ews.bodies import given_out, text_of_html, with_crlf
from tests.peers.ews.items import Attachment, Item, Participant

_IMPORTANCE = {0: ("low", "5"), 2: ("high", "1")}
_SENSITIVITY = {1: "personal", 2: "private", 3: "company-confidential"}


def mime_of(item: Item) -> bytes:
    """The whole message, CRLF line ends. Blind copies are not in it: they are a property of the item alone."""
    if item.exact_mime:
        return item.exact_mime
    lines = _headers(item)
    kind, encoding, body = _content(item)
    lines.append(f"Content-Type: {kind}")
    if encoding:
        lines.append(f"Content-Transfer-Encoding: {encoding}")
    lines.append("MIME-Version: 1.0")
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body


# --- header fields ----------------------------------------------------------------------------------------------------


def _field(name: str, value: str) -> str:
    """One field, encoded and folded; RFC 2047 B encoding where it isn't ASCII."""
    value = re.sub(r"[\r\n]+", " ", value).strip()
    charset = "us-ascii" if value.isascii() else "utf-8"
    return f"{name}: " + Header(value, charset, header_name=name).encode(linesep="\r\n")


def _address(who: Participant) -> str:
    name = who.name or who.address
    try:
        return formataddr((name, who.address), "utf-8")
    except UnicodeError:  # an address that isn't ASCII
        return f"{Header(name, 'utf-8').encode(maxlinelen=0)} <{who.address}>"


def _addresses(name: str, people: tuple[Participant, ...]) -> str:
    return f"{name}: " + ",\r\n\t".join(_address(who) for who in people)


def _headers(item: Item) -> list[str]:
    lines = []
    author, sender = item.author, item.sender
    if author:
        lines.append(_addresses("From", (author,)))
    if sender and author and sender.address.lower() != author.address.lower():
        lines.append(_addresses("Sender", (sender,)))
    for name, people in (("To", item.people("to")), ("CC", item.people("cc")), ("Reply-To", item.people("reply_to"))):
        if people:
            lines.append(_addresses(name, people))
    lines.append(_field("Subject", item.subject))
    lines.append(_field("Thread-Topic", str(item.properties.get(p.TOPIC, ""))))
    lines.append(f"Thread-Index: {base64.b64encode(item.properties.get(p.INDEX, b'')).decode()}")
    lines += _marks(item)
    sent = item.properties.get(p.SUBMIT_TIME)
    if isinstance(sent, datetime):
        lines.append(f"Date: {format_datetime(sent)}")
    for name, key in (("Message-ID", p.MESSAGE_ID), ("References", p.REFERENCES), ("In-Reply-To", p.IN_REPLY_TO)):
        if value := item.properties.get(key):
            lines.append(f"{name}: " + "\r\n ".join(str(value).split()))
    lines += ["Accept-Language: en-US", "Content-Language: en-US"]
    lines.append("X-MS-Has-Attach:" + (" yes" if item.has_attachments else ""))
    lines.append("X-MS-TNEF-Correlator:")
    generated = ("x-ms-has-attach", "x-ms-tnef-correlator", "x-priority")
    return lines + [_field(name, value) for name, value in item.headers if name.lower() not in generated]


def _marks(item: Item) -> list[str]:
    lines = []
    if found := _IMPORTANCE.get(int(item.properties.get(p.IMPORTANCE, 1))):
        lines += [f"Importance: {found[0]}", f"X-Priority: {found[1]}"]
    if word := _SENSITIVITY.get(int(item.properties.get(p.SENSITIVITY, 0))):
        lines.append(f"Sensitivity: {word}")
    asker = item.author
    if asker and item.properties.get(p.READ_RECEIPT):
        lines.append(_addresses("Disposition-Notification-To", (asker,)))
    if asker and item.properties.get(p.DELIVERY_RECEIPT):
        lines.append(_addresses("Return-Receipt-To", (asker,)))
    return lines


# --- content ----------------------------------------------------------------------------------------------------------

Part = tuple[str, str, bytes]
"""Content type, transfer encoding and encoded body."""


def _content(item: Item) -> Part:
    inline = [attachment for attachment in item.attachments if attachment.is_inline]
    others = [attachment for attachment in item.attachments if not attachment.is_inline]
    html = item.html
    if html is None:
        part = _text_part("plain", item.text or "")
    else:
        shown = given_out(html)
        part = _multipart("alternative", [_text_part("plain", text_of_html(shown)), _text_part("html", shown)], [])
        if inline:
            part = _multipart(
                "related", [part], [_attached(attachment) for attachment in inline], "multipart/alternative"
            )
            inline = []
    if inline or others:
        part = _multipart("mixed", [part], [_attached(attachment) for attachment in (*inline, *others)])
    return part


def _text_part(kind: str, text: str) -> Part:
    """Quoted-printable or base64, as Exchange chooses by what takes less room; always UTF-8."""
    data = with_crlf(text).encode()
    if sum(octet > 126 for octet in data) * 4 > len(data):
        return f'text/{kind}; charset="utf-8"', "base64", _base64(data)
    message = EmailMessage()
    message.set_content(text, subtype=kind, cte="quoted-printable")
    encoded = str(message.get_payload()).replace("\r\n", "\n").replace("\n", "\r\n")
    return f'text/{kind}; charset="utf-8"', "quoted-printable", encoded.encode("ascii")


def _base64(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def _attached(attachment: Attachment) -> bytes:
    """A part with its header fields."""
    if attachment.is_item:
        head = "Content-Type: message/rfc822\r\nContent-Disposition: attachment"
        return head.encode() + b"\r\n\r\n" + attachment.content
    name = Header(attachment.name, "us-ascii" if attachment.name.isascii() else "utf-8").encode(maxlinelen=0)
    disposition = "inline" if attachment.is_inline else "attachment"
    lines = [f'Content-Type: {attachment.content_type};\r\n\tname="{name}"', f"Content-Description: {name}"]
    size = len(attachment.content)
    lines.append(f'Content-Disposition: {disposition};\r\n\tfilename="{name}"; size={size}')
    if attachment.content_id:
        lines.append(f"Content-ID: <{attachment.content_id}>")
    if attachment.content_location:
        lines.append(f"Content-Location: {attachment.content_location}")
    lines.append("Content-Transfer-Encoding: base64")
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + _base64(attachment.content)


def _multipart(kind: str, parts: list[Part], attached: list[bytes], root: str = "") -> Part:
    boundary = f"_{secrets.randbelow(10**3):03d}_{secrets.token_hex(16).upper()}{kind}_"
    blocks = []
    for content_type, encoding, body in parts:
        head = f"Content-Type: {content_type}\r\n" + (f"Content-Transfer-Encoding: {encoding}\r\n" if encoding else "")
        blocks.append(head.encode() + b"\r\n" + body)
    mark = f"--{boundary}".encode()
    data = b"".join(mark + b"\r\n" + block + b"\r\n" for block in (*blocks, *attached)) + mark + b"--\r\n"
    type_param = f';\r\n\ttype="{root}"' if root else ""
    return f'multipart/{kind};\r\n\tboundary="{boundary}"{type_param}', "", data
