"""The messages into which `stampline preview` puts a stamp, and what a reader sees of the result."""

from __future__ import annotations

import base64
import email
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime

from markupsafe import escape

_CID = re.compile(r"([\"'])cid:([^\"']+)\1")
_BEFORE_BODY = re.compile(r"\A(?:(?!<body\b).)*<body\b[^>]*>", re.DOTALL | re.IGNORECASE)
_AFTER_BODY = re.compile(r"</body>(?:(?!</body>).)*\Z", re.DOTALL | re.IGNORECASE)
_FONT = "font-family: Calibri, 'Segoe UI', Arial, sans-serif; font-size: 15px; line-height: 21px"
_WORDS = (
    "Thank you for your call this morning. As promised, you find the details below; do write if anything is missing."
)
_QUOTED = "Could you send me the details, please? Next week will do."
_PAGE = (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="color-scheme" content="light dark">\n<title>{title}</title>\n'
    "<style>\nbody {{ margin: 24px; background: #ffffff; color: #1f1f1f }}\n"
    "@media (max-width: 500px) {{ body {{ margin: 16px }} }}\n"
    "@media (prefers-color-scheme: dark) {{ body {{ background: #1e1e1e; color: #e6e6e6 }} }}\n"
    "</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
)


@dataclass(frozen=True, slots=True)
class Picture:
    cid: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as its reader gets it; `html` is what stands in its body."""

    html: str
    text: str
    pictures: tuple[Picture, ...]


def sample(sender: str, name: str, recipient: str, at: datetime, *, is_reply: bool) -> bytes:
    """A new message, or a reply as Outlook writes it, in plain text and HTML."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = f"{name} <{sender}>" if name and name.isascii() and name.replace(" ", "").isalnum() else sender
    message["To"] = recipient
    message["Subject"] = "RE: Your enquiry" if is_reply else "Your enquiry"
    message["Date"] = format_datetime(at)
    message["Message-ID"] = "<preview@stampline>"
    if is_reply:
        message["In-Reply-To"] = message["References"] = "<enquiry@stampline>"
    quoted_text = (
        f"\n\n________________________________\nFrom: {recipient}\nSent: Monday, 2 November 2026 09:15\nTo: {sender}\n"
        f"Subject: Your enquiry\n\n{_QUOTED}\n"
    )
    quoted_html = (
        '<div id="appendonsend"></div><hr style="display:inline-block;width:98%" tabindex="-1">'
        f'<div id="divRplyFwdMsg" dir="ltr" style="{_FONT}"><b>From:</b> {escape(recipient)}<br>'
        f"<b>Sent:</b> Monday, 2 November 2026 09:15<br><b>To:</b> {escape(sender)}<br>"
        f'<b>Subject:</b> Your enquiry<br><br></div><div style="{_FONT}">{_QUOTED}</div>'
    )
    message.set_content(f"Good morning,\n\n{_WORDS}\n\nKind regards{quoted_text if is_reply else ''}\n")
    paragraphs = "".join(f'<p style="{_FONT}">{line}</p>' for line in ("Good morning,", _WORDS, "Kind regards"))
    message.add_alternative(
        f"<html><body>{paragraphs}{quoted_html if is_reply else ''}</body></html>\n", subtype="html"
    )
    return message.as_bytes()


def seen(data: bytes) -> Seen:
    """What a reader sees of a message with an HTML body, a text body, and pictures that the HTML shows."""
    message = email.message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    pictures = tuple(
        Picture(str(part["Content-ID"]).strip().strip("<>"), part.get_content_type(), part.get_content())
        for part in message.walk()
        if part["Content-ID"] and part.get_content_maintype() == "image"
    )
    return Seen(html.get_content() if html else "", text.get_content() if text else "", pictures)


def page(html: str, pictures: Sequence[Picture], title: str) -> str:
    """The body in a page of its own, pictures within it, so that it can be opened and passed on as one file."""
    inline = {picture.cid: picture for picture in pictures}

    def shown(match: re.Match[str]) -> str:
        picture = inline.get(match[2])
        if picture is None:
            return match[0]
        return f'"data:{picture.content_type};base64,{base64.b64encode(picture.data).decode()}"'

    body = _AFTER_BODY.sub("", _BEFORE_BODY.sub("", html, count=1), count=1)
    return _PAGE.format(title=escape(title), body=_CID.sub(shown, body).strip())
