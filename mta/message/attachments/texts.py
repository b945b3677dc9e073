"""Types of files that are text, by how they begin. (libmagic would take milliseconds for a text, or much longer.)"""

from __future__ import annotations

import re

SHELL_SCRIPT = "text/x-shellscript"
HTML_APPLICATION = "application/hta"
INTERNET_SHORTCUT = "application/x-mswinurl"
MESSAGE = "message/rfc822"
PLAIN = "text/plain"
PGP_MESSAGE = "application/pgp-encrypted"

_LOOKED_AT = 4096
_BINARY = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# What browsers take for HTML (WHATWG MIME Sniffing §7.1), and what mail gateways are shown instead.
_HTML = re.compile(
    rb"<(?:!doctype\s+html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|meta|form|img|"
    rb"hta:application|object|embed)(?=[\s>/])",
    re.IGNORECASE,
)
_HTML_BEHIND = re.compile(rb"[^\n]{0,200}<html[\s>]", re.IGNORECASE)
_HTA = re.compile(rb"<hta:application", re.IGNORECASE)
_XML_ROOT = re.compile(rb"<(?:[A-Za-z_][\w.\-]{0,60}:)?([A-Za-z_][\w.\-]{0,60})(?=[\s/>])")
_XML_SKIP = re.compile(
    rb"(?>(?:\s+|<\?[^>]{0,2000}>|<!--(?:(?!-->).){0,2000}-->|<!DOCTYPE[^>]{0,2000}>)*)", re.DOTALL | re.IGNORECASE
)
_XML_TYPES = {b"svg": "image/svg+xml", b"html": "text/html", b"kml": "application/vnd.google-earth.kml+xml"}
_MESSAGE = re.compile(rb"(?:[!-9;-~]{1,70}:[ \t][^\r\n]{0,900}\r?\n(?:[ \t][^\r\n]{0,900}\r?\n){0,20}){3}")
_MAIL_FIELD = re.compile(rb"^(?:received|from|to|subject|date|message-id|return-path|mime-version):", re.I | re.M)
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"#!", SHELL_SCRIPT), (b"{\\rt", "application/rtf"), (b"%!ps", "application/postscript"),
    (b"begin:vcalendar", "text/calendar"), (b"begin:vcard", "text/vcard"), (b"[internetshortcut]", INTERNET_SHORTCUT),
    (b"windows registry editor", "text/x-ms-regedit"), (b"regedit4", "text/x-ms-regedit"),
    (b"-----begin pgp message", PGP_MESSAGE), (b"-----begin pgp signature", "application/pgp-signature"),
    (b"-----begin pgp p", "application/pgp-keys"), (b"@echo off", "application/x-bat"),
)  # fmt: skip


def is_text(head: bytes) -> bool:
    """Whether the beginning holds no octet that text has not; UTF-16 with its mark counts as text."""
    return head.startswith(_UTF_16) or _BINARY.search(head, 0, _LOOKED_AT) is None


def by_beginning(head: bytes) -> str:
    """The type of a text that begins with `head`."""
    text = _ascii_of(head)
    lower = text[:64].lower()
    for beginning, media_type in _BEGINNINGS:
        if lower.startswith(beginning):
            return media_type
    if found := _markup(text):
        return found
    if lower[:1] in (b"{", b"[") and text.rstrip()[-1:] in (b"}", b"]"):
        return "application/json"
    if _MESSAGE.match(text) and _MAIL_FIELD.search(text):
        return MESSAGE
    return PLAIN


def markup(head: bytes) -> str:
    """HTML, or markup that readers treat like it, though it holds octets that text has not; "" for anything else."""
    return _markup(_ascii_of(head))


def _ascii_of(head: bytes) -> bytes:
    """What is looked at, in an encoding that holds ASCII as it is, without a byte order mark and white space."""
    if head.startswith(_UTF_16):
        codec = "utf_16_le" if head.startswith(b"\xff\xfe") else "utf_16_be"
        head = head[2 : 2 * _LOOKED_AT].decode(codec, "replace").encode("utf_8", "replace")
    return head[:_LOOKED_AT].removeprefix(b"\xef\xbb\xbf").lstrip()


def _markup(text: bytes) -> str:
    if b"<" not in text:
        return ""
    if _HTA.search(text):
        return HTML_APPLICATION
    if not text.startswith(b"<"):
        # Browsers show as HTML whatever is called .html; text that merely speaks of tags is common in mail.
        return "text/html" if _HTML_BEHIND.match(text) else ""
    rest = text[skipped.end() :] if (skipped := _XML_SKIP.match(text)) else text
    root = _XML_ROOT.match(rest)
    if root is not None and root[1].lower() in _XML_TYPES:
        return _XML_TYPES[root[1].lower()]
    if text[:5].lower() == b"<?xml":
        return "application/xml"
    return "text/html" if _HTML.match(rest) or text[:14].lower() == b"<!doctype html" else ""
