"""The messages that the demonstration sends: built here, as Outlook and others would have sent them."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

QUOTED = "Could you send us your offer for the new packaging line"
"""Begins the quoted part of the reply, in both of its alternatives."""


_STAMP = datetime.now(UTC).strftime("%Y%m%d%H%M%S%f")


@dataclass(frozen=True, slots=True)
class DemoMessage:
    """`content` has CRLF line ends; `hidden` are envelope recipients that no header names."""

    what: str
    sender: str
    recipients: tuple[str, ...]
    hidden: tuple[str, ...]
    message_id: str
    content: bytes
    from_outside: bool = False

    @property
    def envelope_recipients(self) -> tuple[str, ...]:
        return self.recipients + self.hidden


@dataclass(frozen=True, slots=True)
class _Opening:
    """The header fields that all of them have."""

    name: str
    sender: str
    to: tuple[str, ...]
    subject: str

    @property
    def message_id(self) -> str:
        return f"<{self.name}.{_STAMP}@mail.{self.sender.rpartition('@')[2]}>"


def _message(opening: _Opening, sender_name: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = f"{sender_name} <{opening.sender}>"
    message["To"] = ", ".join(opening.to)
    message["Subject"] = opening.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = opening.message_id
    message["Thread-Topic"] = opening.subject.removeprefix("RE: ")
    return message


def _finished(what: str, opening: _Opening, message: EmailMessage, hidden: tuple[str, ...] = ()) -> DemoMessage:
    return DemoMessage(what, opening.sender, opening.to, hidden, str(message["Message-ID"]), message.as_bytes())


def _outlook(paragraphs: Sequence[str], quoted: str = "") -> str:
    body = "".join(f'<p class="MsoNormal">{text}<o:p></o:p></p>\n' for text in paragraphs)
    return (
        '<html xmlns:o="urn:schemas-microsoft-com:office:office" xmlns="http://www.w3.org/TR/REC-html40">\n<head>\n'
        '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">\n<style><!--\n'
        "p.MsoNormal {margin:0cm; font-size:11.0pt; font-family:Calibri,sans-serif;}\n--></style>\n</head>\n"
        f'<body lang="EN-GB" link="#0563C1" vlink="#954F72">\n<div class="WordSection1">\n{body}{quoted}</div>\n'
        "</body>\n</html>\n"
    )


def _new_message(sender: str, name: str, to: tuple[str, ...], hidden: tuple[str, ...]) -> DemoMessage:
    opening = _Opening("offer", sender, to, "Offer for the packaging line")
    message = _message(opening, name)
    paragraphs = ["Dear all,", "please find our offer below. It is valid until the end of the month.", "Kind regards"]
    message.set_content("\n\n".join(paragraphs) + "\n")
    message.add_alternative(_outlook(paragraphs), subtype="html", cte="quoted-printable")
    return _finished("new, internal and external, Bcc", opening, message, hidden)


def _reply(sender: str, name: str, to: tuple[str, ...]) -> DemoMessage:
    opening = _Opening("reply", sender, to, "RE: Packaging line")
    message = _message(opening, name)
    message["In-Reply-To"] = "<question.1@mail.customer.example>"
    message["References"] = "<question.1@mail.customer.example>"
    asked = format_datetime(datetime.now(UTC) - timedelta(hours=3))
    question = f"{QUOTED}, please?"
    message.set_content(
        f"Dear customer,\n\nyou will have it on Monday.\n\n________________________________\n"
        f"From: {to[0]}\nSent: {asked}\nTo: {sender}\nSubject: Packaging line\n\n{question}\n"
    )
    quoted = (
        '<div><div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm">\n'
        f'<p class="MsoNormal"><b>From:</b> {to[0]}<br>\n<b>Sent:</b> {asked}<br>\n<b>To:</b> {sender}<br>\n'
        f"<b>Subject:</b> Packaging line<o:p></o:p></p>\n</div></div>\n"
        f'<p class="MsoNormal">{question}<o:p></o:p></p>\n'
    )
    html = _outlook(["Dear customer,", "you will have it on Monday."], quoted)
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    return _finished("reply with a quoted thread", opening, message)


def _certificate(address: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
    return builder.sign(key, hashes.SHA256()), key


def _signed(sender: str, name: str, to: tuple[str, ...]) -> DemoMessage:
    """multipart/signed (RFC 8551 §3.5), signed with a certificate made for the occasion."""
    opening = _Opening("signed", sender, to, "Signed contract")
    part = b'Content-Type: text/plain; charset="utf-8"\r\n\r\nThe contract is signed, and so is this message.\r\n'
    certificate, key = _certificate(sender)
    builder = PKCS7SignatureBuilder().set_data(part).add_signer(certificate, key, hashes.SHA256())
    signature = builder.sign(Encoding.DER, [PKCS7Options.DetachedSignature, PKCS7Options.Binary])
    header = _message(opening, name).as_bytes().partition(b"\r\n\r\n")[0]
    content = (
        header + b"\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n'
        b'\tmicalg=sha-256; boundary="----=_signed_1"\r\n\r\n'
        b"This is an S/MIME signed message\r\n\r\n------=_signed_1\r\n" + part + b"\r\n------=_signed_1\r\n"
        b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
        b"Content-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="smime.p7s"\r\n\r\n'
        + base64.encodebytes(signature).replace(b"\n", b"\r\n")
        + b"\r\n------=_signed_1--\r\n"
    )
    return DemoMessage("S/MIME signed", sender, to, (), opening.message_id, content)


def _png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """A picture of one colour (PNG specification §11: IHDR, IDAT, IEND)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\x00" + bytes(colour) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _pdf(text: str) -> bytes:
    """A document of one page with one line."""
    stream = f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    document, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(document))
    return document + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + trailer


def _with_pictures(sender: str, name: str, to: tuple[str, ...]) -> DemoMessage:
    opening = _Opening("brochure", sender, to, "Brochure with pictures")
    message = _message(opening, name)
    paragraphs = ["Dear customer,", "here are two colours to choose from, and the brochure."]
    message.set_content("\n\n".join(paragraphs) + "\n")
    pictures = ('<img src="cid:blue@example">', '<img src="cid:green@example">')
    message.add_alternative(_outlook([*paragraphs, *pictures]), subtype="html", cte="quoted-printable")
    html = message.get_payload()[1]  # type: ignore[index]
    assert isinstance(html, EmailMessage)
    for cid, colour in (("blue", (5, 99, 193)), ("green", (0, 128, 96))):
        html.add_related(
            _png(120, 60, colour), "image", "png", cid=f"<{cid}@example>", filename=f"{cid}.png", disposition="inline"
        )
    message.add_attachment(_pdf("Packaging line"), "application", "pdf", filename="brochure.pdf")
    return _finished("pictures and a PDF", opening, message)


def _plain(sender: str, name: str, to: tuple[str, ...]) -> DemoMessage:
    opening = _Opening("plain", sender, to, "Grüße aus Köln")
    message = _message(opening, name)
    message.set_content("Schöne Grüße, und bis Montag!\n", charset="iso-8859-1", cte="quoted-printable")
    return _finished("plain text, ISO-8859-1", opening, message)


def _from_outside(to: str) -> DemoMessage:
    opening = _Opening("news", "news@supplier.example", (to,), "New prices")
    message = _message(opening, "Supplier News")
    message.set_content("Our new prices are valid from the first of the month.\n")
    message_id = str(message["Message-ID"])
    return DemoMessage(
        "from outside", opening.sender, opening.to, (), message_id, message.as_bytes(), from_outside=True
    )


def demo_messages(sender: str, name: str, *, colleague: str, customers: tuple[str, str, str]) -> list[DemoMessage]:
    """What `sender` writes to a colleague and to customers, of whom the third is hidden, and what a stranger writes."""
    first, second, hidden = customers
    return [
        _new_message(sender, name, (colleague, first, second), (hidden,)),
        _reply(sender, name, (first,)),
        _signed(sender, name, (first,)),
        _with_pictures(sender, name, (first, colleague)),
        _plain(sender, name, (second,)),
        _from_outside(sender),
    ]
