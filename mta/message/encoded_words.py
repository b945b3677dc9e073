"""Text in header fields: RFC 2047 encoded words, and 8-bit text that nobody declared."""

from __future__ import annotations

import binascii
import re

from mta.message.charsets import UTF_8, codec_for

# No nested or overlapping repeats: each "=?" is looked at once, up to the next "?".
ENCODED_WORD = re.compile(rb"=\?([^?\s]{1,100})\?([bBqQ])\?([^?]*+)\?=")
_NEEDS_ENCODING = re.compile(r"[^!-~]|=\?|\A.{900}")
_PLAIN_IN_WORD = frozenset(
    bytes([octet]) for octet in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!*+-/"
)
_WORD_MAX = 75
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_LINE_END = re.compile(rb"[\r\n]+")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def decode_text(raw: bytes) -> str:
    """A field's value as text: unfolded, RFC 2047 decoded, undeclared 8-bit as UTF-8 or else Windows-1252."""
    if b"\n" in raw or b"\r" in raw:
        raw = _LINE_END.sub(b" ", _FOLD.sub(b"", raw))
    if b"=?" not in raw:
        return decode_undeclared(raw).strip()
    return _decode_words(raw).strip()


def decode_undeclared(raw: bytes) -> str:
    """8-bit text without a charset: UTF-8 if it is that, else Windows-1252, where it has a hole Latin-1."""
    try:
        return raw.decode("utf_8")
    except UnicodeDecodeError:
        pass
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError:
        return raw.decode("latin_1")


def decode_octets(octets: bytes, label: str) -> str:
    """Octets with a charset label that may be unknown or wrong; what can't be decoded becomes U+FFFD."""
    codec = codec_for(label)
    if codec is None or codec.family == "ascii":
        return decode_undeclared(octets)
    return octets.decode(codec.decoding, "replace")


def _decode_words(raw: bytes) -> str:
    """Neighbouring words of one charset are decoded together, as some writers cut characters in two."""
    text: list[str] = []
    label, held = "", b""
    done = 0
    for match in ENCODED_WORD.finditer(raw):
        between = raw[done : match.start()]
        charset = match[1].partition(b"*")[0].decode("latin_1").lower()  # RFC 2231 §5: a language may follow
        if held and (charset != label or between.strip()):
            text.append(decode_octets(held, label))
            held = b""
        if between.strip() or not done:
            text.append(decode_undeclared(between))
        label = charset
        held += _word_octets(match[2], match[3])
        done = match.end()
    text.append(decode_octets(held, label))
    text.append(decode_undeclared(raw[done:]))
    return "".join(text)


def _word_octets(encoding: bytes, content: bytes) -> bytes:
    if encoding in b"qQ":
        return binascii.a2b_qp(content, header=True)
    letters = _NOT_BASE64.sub(b"", content)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"==")


def encode_words(text: str, label: str = "utf-8", *, whole: bool = False) -> list[bytes]:
    """The words of a field's value, none longer than a line: ASCII words as they are, others RFC 2047 encoded.

    Neighbouring words that need encoding go into one encoded word together with the spaces between. `whole` encodes
    all of `text` with its outer spaces.
    """
    if whole:
        return _encoded(text, label)
    words: list[bytes] = []
    run: list[str] = []
    for word in text.split(" "):
        if _NEEDS_ENCODING.search(word):
            run.append(word)
            continue
        if run and not word:
            run.append(word)
            continue
        if run:
            words += _encoded(" ".join(run), label)
            run = []
        words.append(word.encode("ascii"))
    return words + (_encoded(" ".join(run), label) if run else [])


def _encoded(text: str, label: str) -> list[bytes]:
    """Encoded words of at most 75 characters; no character is cut in two."""
    codec = codec_for(label) or UTF_8
    room = _WORD_MAX - len(label) - 7
    words = []
    held = b""
    for character in text:
        octets = character.encode(codec.encoding, "replace")
        piece = octets if octets in _PLAIN_IN_WORD else b"".join(b"=%02X" % octet for octet in octets)
        piece = b"_" if piece == b"=20" else piece
        if len(held) + len(piece) > room:
            words.append(held)
            held = b""
        held += piece
    words.append(held)
    return [b"=?%s?q?%s?=" % (label.encode("ascii"), word) for word in words]
