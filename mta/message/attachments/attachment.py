"""One attachment: its names, size, type by content, and what it holds; each found when it is first asked for."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from mta.message import transfer
from mta.message.attachments import compound_file, rar, seven_zip, zip_archive
from mta.message.attachments.extensions import PROMISED, extension, is_executable
from mta.message.attachments.families import RUNS, canonical, families
from mta.message.attachments.held import NAMES_MAX, NOTHING, Held
from mta.message.attachments.libmagic import by_libmagic
from mta.message.attachments.signatures import EMPTY, HEAD_OCTETS, OLE, PDF, RAR, SEVEN_ZIP, UNKNOWN, ZIP, by_signature
from mta.message.attachments.texts import MESSAGE, PGP_MESSAGE, by_beginning, is_text, markup
from mta.message.parameters import file_names
from mta.message.parse import LimitExceededError, Message, parse
from mta.message.part import Part

_WHOLE_MAX = 100_000
"""Octets as sent: the size of what is larger is told without decoding it."""
_HEAD_OCTETS = 8192
"""Octets by which nearly all types are told; some need more."""
_NOT_LETTERS = re.compile(rb"[^A-Za-z0-9+/]+")
_NO_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\x00-\x1f\x7f]")
_LINE_END = re.compile(rb"\r*\n|\r")
_PDF_ENCRYPTED = re.compile(rb"/Encrypt\s{0,20}(?:\d{1,10}\s{1,20}\d{1,5}\s{1,20}R|<<)")
_CONTAINERS = {
    ZIP: zip_archive.look_into, OLE: compound_file.look_into, RAR: rar.look_into, SEVEN_ZIP: seven_zip.look_into,
}  # fmt: skip
_SHOWN_MAX = 60


class Attachment:
    """A part that readers see as a file. It holds its message."""

    def __init__(self, part: Part, message: Message) -> None:
        self.part = part
        self._message = message

    @cached_property
    def name(self) -> str:
        """As a reader would see it, without control characters and marks of writing direction; "" if it has none."""
        return _NO_DIRECTION.sub("", self.part.filename)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """In lower case, folders and trailing dots and spaces off, as Windows saves it; all where they differ."""
        return tuple(dict.fromkeys(map(_saved_as, _names_of(self.part)))) or ("",)

    @property
    def extension(self) -> str:
        return extension(self.names[0])

    @cached_property
    def octets(self) -> bytes:
        """The whole content, decoded."""
        return octets_of(self.part)

    @cached_property
    def size_octets(self) -> int:
        """Of the decoded content; of large base64 counted without decoding it, so what is no letter counts too."""
        part = self.part
        if part.encoding != "base64" or "octets" in self.__dict__ or part.body_end - part.body_start <= _WHOLE_MAX:
            return len(self.octets)
        raw = part.raw_body
        return (len(raw) - raw.count(b"\n") - raw.count(b"\r") - raw[-8:].count(b"=")) * 3 // 4

    def _head(self, octets: int) -> bytes:
        """The beginning, decoded as far as it is needed."""
        part = self.part
        if "octets" in self.__dict__ or part.body_end - part.body_start <= _HEAD_OCTETS:
            return self.octets[:octets]
        end = min(part.body_end, part.body_start + 2 * octets)
        return _decoded(part.data[part.body_start : end], part.encoding)[:octets]

    @cached_property
    def media_type(self) -> str:
        """By content; `application/octet-stream` where it shows nothing."""
        if self.part.encloses_message:
            return MESSAGE
        found = self._by_content
        return canonical(self._held.media_type) or found if found in (ZIP, OLE) else found

    @cached_property
    def _by_content(self) -> str:
        head = self._head(_HEAD_OCTETS)
        found = by_signature(head) or (by_signature(self._head(HEAD_OCTETS)) if len(head) == _HEAD_OCTETS else "")
        if not found:
            found = by_beginning(head) if is_text(head) else markup(head) or canonical(by_libmagic(head)) or UNKNOWN
        if found == UNKNOWN and zip_archive.holds_archive(self.octets):
            return ZIP  # behind something else, as unpackers find it
        return found

    @cached_property
    def _held(self) -> Held:
        look_into = _CONTAINERS.get(self._by_content)
        return NOTHING if look_into is None else look_into(self.octets)

    @cached_property
    def held_names(self) -> tuple[str, ...]:
        """Names of what is inside: an archive's entries, an attached message's files."""
        if self.media_type == MESSAGE:
            return tuple(name for part in self._inner_message() for name in _names_of(part))[:NAMES_MAX]
        return self._held.names

    def _inner_message(self) -> Iterator[Part]:
        """The parts of an attached message, which may be encoded."""
        if self.part.encloses_message:
            yield from self.part.walk()
            return
        try:
            inner = parse(_LINE_END.sub(b"\r\n", self.octets))
        except LimitExceededError:
            return
        yield from inner.root.walk()

    @cached_property
    def is_encrypted(self) -> bool:
        """A ZIP, RAR or 7z file with anything encrypted, an encrypted PDF or Office document, a PGP message."""
        if self.part.encloses_message:
            return False
        kind = self._by_content
        if kind == PDF:
            return _PDF_ENCRYPTED.search(self.octets) is not None
        return kind == PGP_MESSAGE or self._held.is_encrypted

    @cached_property
    def runs_because(self) -> str:
        """Why opening it may run something; "" where nothing says so."""
        for name in self.names:
            if is_executable(name):
                return f"is called .{extension(name)}"
        if self.media_type in RUNS:
            return f"is {self.media_type}"
        if self._held.has_macros:
            return "has macros"
        held = next((name for name in self.held_names if is_executable(name)), "")
        return f"holds {_shown(_saved_as(held))}" if held else ""

    @cached_property
    def lies(self) -> bool:
        """Whether the content is of another kind than the extension promises."""
        promised = PROMISED.get(self.extension)
        media_type = self.media_type
        if promised is None or media_type == EMPTY:
            return False
        if media_type == UNKNOWN:
            # Binary content that nobody knows may be a text in an old charset, but no picture and no document.
            return "text" not in promised and self.extension not in _WITHOUT_SIGNATURE
        return promised.isdisjoint(families(media_type))

    @property
    def poses(self) -> bool:
        """Whether a part runs something though it says to be a signature or a report, which nobody sees as files; or,
        inside a multipart/related, is no picture, film, sound or style, though it may say so."""
        if self.part.is_body_like:
            return bool(self.runs_because)
        parent = self.part.parent
        if parent is None or parent.content_type != "multipart/related" or parent.related_root is self.part:
            return False
        declared = self.part.content_type
        if declared == "text/css":
            return bool(self.runs_because)
        says = families(canonical(declared)) & _SHOWN
        return not says or says.isdisjoint(families(self.media_type)) or any(map(is_executable, self.names))

    @property
    def shown_name(self) -> str:
        """For explanations and notices: on one line, not too long."""
        return _shown(self.name) or "(no name)"


_TEXT = frozenset({"text/plain", "text/html"})
_SHOWN = frozenset({"image", "audio", "video", "font"})
_WITHOUT_SIGNATURE = frozenset({"mp3", "aac", "wma", "wmv", "tar", "tgz"})


def _saved_as(name: str) -> str:
    name = name.partition("\0")[0].replace("\\", "/").rstrip("/").rpartition("/")[2]
    return _NO_DIRECTION.sub("", name).lower().rstrip(". ").lstrip()


def _shown(name: str) -> str:
    return name if len(name) <= _SHOWN_MAX else f"{name[: _SHOWN_MAX - 1]}…"


def _decoded(raw: bytes, encoding: str) -> bytes:
    """As mail readers do: what is no base64 in base64 is passed over."""
    if encoding == "x-uuencode":
        return _uudecoded(raw)
    if encoding != "base64":
        return transfer.decode(raw, encoding).octets
    try:
        return binascii.a2b_base64(raw + b"==")
    except binascii.Error:
        letters = _NOT_LETTERS.sub(b"", raw)
        return binascii.a2b_base64(letters[: len(letters) // 4 * 4])


def _uudecoded(raw: bytes) -> bytes:
    """The lines between `begin` and `end`; what is no such line adds nothing."""
    octets = []
    _, _, body = raw.partition(b"begin ")
    for line in body.split(b"\n")[1:]:
        line = line.rstrip(b"\r")
        if line == b"end":
            break
        try:
            octets.append(binascii.a2b_uu(line))
        except binascii.Error:
            continue
    return b"".join(octets)


def _names_of(part: Part) -> Iterable[str]:
    """The one that counts first. Readers don't agree on which it is, where there are several."""
    names = dict.fromkeys([part.filename] if part.filename else [])
    for field in part.fields:
        if field.name in (b"content-disposition", b"content-type"):
            names |= dict.fromkeys(file_names(part.data[field.value_start : field.end].removesuffix(b"\r\n")))
    return names


def octets_of(part: Part) -> bytes:
    """A part's content, as mail readers decode it."""
    return _decoded(part.raw_body, part.encoding)


def attachments(message: Message) -> list[Attachment]:
    """The message's attachments, in order, and what only poses as a picture of the text."""
    found: list[Attachment] = []
    waiting = [message.root]
    while waiting:
        part = waiting.pop()
        if part.is_attachment:
            found.append(Attachment(part, message))
        elif part.is_multipart:
            waiting.extend(reversed(part.children))
        elif part.content_type not in _TEXT and (posing := Attachment(part, message)).poses:
            found.append(posing)
    return found
