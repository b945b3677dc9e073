"""A message as its user sees it, read by the standard library instead of ours."""

from __future__ import annotations

import html
import re
from collections.abc import Collection
from email import policy
from email.message import Message
from email.parser import BytesParser

from tests.contract.mailboxes.harness import Shown

_TAG = re.compile(r"<(?:style|script).*?</(?:style|script)>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def words_of(text: str, *, is_html: bool) -> str:
    """Each word, separated by one space."""
    return " ".join((html.unescape(_TAG.sub(" ", text)) if is_html else text).split())


def shown(data: bytes, flags: Collection[str]) -> Shown:
    """`flags` as in IMAP."""
    message = BytesParser(policy=policy.compat32).parsebytes(data)
    bodies, files = _contents(message)
    rich = [words_of(text, is_html=True) for text, is_html in bodies if is_html]
    plain = [words_of(text, is_html=False) for text, is_html in bodies if not is_html]
    return Shown(
        message_id=re.sub(r"\s", "", str(message.get("Message-ID", ""))),
        is_draft="\\Draft" in flags,
        is_read="\\Seen" in flags,
        is_flagged="\\Flagged" in flags,
        bcc=tuple(sorted(re.findall(r"[^\s<>,]+@[^\s<>,]+", " ".join(map(str, message.get_all("Bcc", [])))))),
        words=" ".join(rich or plain),
        files=tuple(sorted(files)),
    )


def _contents(part: Message) -> tuple[list[tuple[str, bool]], list[tuple[str, bytes]]]:
    if part.get_content_type() == "message/rfc822":
        return [], [("", b"")]
    if part.is_multipart():
        found = [_contents(child) for child in part.get_payload() if isinstance(child, Message)]
        return [body for bodies, _ in found for body in bodies], [file for _, files in found for file in files]
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    name = part.get_filename()
    if part.get_content_type() in ("text/plain", "text/html") and name is None:
        text = octets.decode(part.get_content_charset("utf-8"), "replace")
        return [(text, part.get_content_subtype() == "html")], []
    return [], [(name or "", octets)]
