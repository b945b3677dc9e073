"""The text that readers see, decoded, and the edits that change it without touching the rest of its part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from mta.message import charsets, flowed, part_header, recode, transfer
from mta.message.approximate import in_ascii
from mta.message.edit import CannotEditError, Edit
from mta.message.parse import Message, Part
from mta.message.recode import TextChange

BODY_MAX = 5_000_000
_LINE_END = re.compile(r"\r\n|\r|\n")
_SOFT_BREAK = re.compile(r" \r?\n\Z")
_SIGNATURE = re.compile(r"(?:\A|\n)-- \r?\n\Z")
# Mail readers show nothing inside as the message's own text, or the part must stay as it is.
_CLOSED = frozenset({
    "multipart/signed", "multipart/encrypted", "multipart/digest", "multipart/appledouble", "multipart/byteranges",
})  # fmt: skip


class Change(NamedTuple):
    """Replace the characters from `start` up to `end` of a body's text by `text`, whose lines end in "\\n"."""

    start: int
    end: int
    text: str


class BodyPlan(NamedTuple):
    """What a change needs: edits inside the body, and a new charset label and transfer encoding ("": as they are)."""

    edits: list[Edit]
    charset: str
    encoding: str


class TextBody:
    """A text part that is shown as (part of) the body."""

    def __init__(self, part: Part, message: Message | None = None) -> None:
        self.part = part
        self._message = message  # keeps the parts around this one, which it knows weakly
        self.is_html = part.content_type == "text/html"
        self._loaded: tuple[bytes, transfer.Decoded, charsets.Decoded] | None = None

    def _load(self) -> tuple[bytes, transfer.Decoded, charsets.Decoded]:
        if self._loaded is None:
            raw = self.part.raw_body
            taken_off = transfer.decode(raw, self.part.encoding)
            decoded = charsets.decode(taken_off.octets, self.part.charset, is_html=self.is_html)
            self._loaded = raw, taken_off, decoded
        return self._loaded

    @property
    def text(self) -> str:
        """Decoded, line ends as they stand; octets that its charset can't decode are lone surrogates (PEP 383)."""
        return self._load()[2].text

    @property
    def utf_8(self) -> bytes:
        """The text in UTF-8, "?" for octets that its charset can't decode."""
        _, (octets, _), decoded = self._load()
        if decoded.is_faithful and decoded.codec.family in ("utf-8", "ascii"):
            return octets
        return decoded.text.encode("utf_8", "replace")

    @property
    def is_flowed(self) -> bool:
        """format=flowed (RFC 3676)."""
        return not self.is_html and self.part.params.get("format", "").lower() == "flowed"

    @property
    def is_delsp(self) -> bool:
        """Its soft line breaks are no spaces (RFC 3676 §4.1)."""
        return self.is_flowed and self.part.params.get("delsp", "").lower() == "yes"

    @property
    def is_sound(self) -> bool:
        """Its transfer encoding is what it says; else `text` is not what mail readers make of it."""
        return self._load()[1].is_sound

    @property
    def is_certain(self) -> bool:
        """Every octet was decoded, so that the text may be shown elsewhere too."""
        _, taken_off, decoded = self._load()
        return taken_off.is_sound and decoded.is_faithful

    def change(self, changes: Sequence[Change]) -> list[Edit]:
        """Edits of the message that make `changes`, positions counted in `text` as it stands.

        Text in between keeps its octets, in its transfer encoding too where that can be. A plain text whose charset
        nobody knows, or can't be declared, gets what is added in ASCII letters. Raises CannotEditError
        (mta.message.edit) where no safe way is; ValueError if changes overlap or are not inside the text.
        """
        try:
            return self._change(changes)
        except CannotEditError:
            if self.is_html or all(change.text.isascii() for change in changes):
                raise
            texts = [text for change in changes if (text := in_ascii(change.text)) is not None]
            if len(texts) < len(changes):
                raise
            return self._change([change._replace(text=text) for change, text in zip(changes, texts, strict=True)])

    def _change(self, changes: Sequence[Change]) -> list[Edit]:
        plan = self.plan(changes)
        if not plan.edits:
            return []
        header = part_header.describe(self.part, plan.charset, plan.encoding)
        return part_header.drop_lying_fields(self.part) + header + plan.edits

    def plan(self, changes: Sequence[Change]) -> BodyPlan:
        """The same, the fields not yet edited. Raises as `change` does."""
        raw, (octets, is_sound), decoded = self._load()
        prepared = self._prepare(changes, decoded.text)
        if not prepared:
            return BodyPlan([], "", "")
        encoding = self.part.encoding
        if not is_sound:
            raise CannotEditError(f"the body is not {encoding}, as it says")
        if decoded.codec.family == "wide" and encoding not in ("base64", "quoted-printable"):
            raise CannotEditError(f"the text is {decoded.codec.encoding} without transfer encoding")
        is_seven_bit = encoding not in ("base64", "quoted-printable", "8bit", "binary")
        recoded = recode.recode(decoded, octets, prepared, is_html=self.is_html, is_seven_bit=is_seven_bit)
        boundaries = self.part.boundaries_around()
        if recoded.octets is None:
            encoded = transfer.splice(raw, encoding, octets, recoded.splices, boundaries)
        else:
            encoded = transfer.replace(raw, encoding, recoded.octets, boundaries)
        return BodyPlan(self._place(encoded.edits), recoded.charset, encoded.encoding)

    def _prepare(self, changes: Sequence[Change], text: str) -> list[TextChange]:
        """Sorted, checked, line ends as the body has them, and none that does nothing."""
        line_end = "\n" if "\n" in text and "\r\n" not in text else "\r\n"
        prepared = []
        done = 0
        for change in sorted(changes, key=lambda change: (change.start, change.end)):
            if not done <= change.start <= change.end <= len(text):
                raise ValueError(f"change at character {change.start} overlaps or is outside the text")
            begins, done = done, change.end
            start = _between_line_ends(text, change.start)
            end = start if change.end == change.start else _between_line_ends(text, change.end)
            if start == end == 0 and text.startswith("\ufeff"):
                start = end = 1  # a byte order mark stays first
            if change.text or end > start:
                fitted = self._fitted(TextChange(start, end, _clean(change.text)), text, line_end)
                prepared.append(fitted._replace(start=max(fitted.start, min(begins, start))))
        return prepared

    def _fitted(self, change: TextChange, text: str, line_end: str) -> TextChange:
        """The change with the body's line ends; in flowed text, so that no line around it changes its meaning."""
        start, end, lines = change
        if self.is_flowed:
            before, behind = text[max(0, start - 5) : start], text[end : end + 1]
            begins_line = not before or before.endswith("\n")
            ends_line = behind in ("", "\r", "\n")
            lines = flowed.fitted(lines, begins_line=begins_line, ends_line=ends_line, delsp=self.is_delsp)
            is_word = start < end and "\n" not in text[start:end]  # of that paragraph, to stay in it
            if lines and not is_word and _SOFT_BREAK.search(before) and not _SIGNATURE.search(before):
                lines = "\n" + lines  # or it would flow into the paragraph before
            if not lines and ends_line and text[end - 1 : end] != " ":
                start = len(text[:start].rstrip(" "))  # or the next line would flow into this one
        return TextChange(start, end, lines if line_end == "\n" else lines.replace("\n", line_end))

    def _place(self, edits: list[Edit]) -> list[Edit]:
        """Offsets in the message instead of the body; line ends where the body had none of its own."""
        part = self.part
        base = part.body_start
        placed = [Edit(start + base, end + base, replacement) for start, end, replacement in edits]
        first = placed[0]
        if first.start == part.body_start:
            placed[0] = first = Edit(first.start, first.end, _before_body(part) + first.replacement)
        elif not part.header_is_closed:
            # Else lines that a change breaks in two could pass for header fields.
            placed.insert(0, Edit(base, base, _before_body(part)))
        last = placed[-1]
        ending = _behind_body(part) if part.body_start == part.body_end else b""
        before = last.replacement or part.data[max(last.start - 2, 0) : last.start]
        if last.end == len(part.data) and not before.endswith(b"\r\n"):
            ending = b"\r\n"
        if ending:
            placed[-1] = Edit(last.start, last.end, last.replacement + ending)
        return placed


def _between_line_ends(text: str, position: int) -> int:
    """Never between CR and LF."""
    return position - 1 if text[position - 1 : position + 1] == "\r\n" and position else position


def _clean(added: str) -> str:
    """Without NUL, line ends as "\\n"."""
    lines = added.replace("\0", "")
    return _LINE_END.sub("\n", lines) if "\r" in lines else lines


def _before_body(part: Part) -> bytes:
    """What a body lacks before a text that is put at its beginning: the empty line that ends the header."""
    if part.header_is_closed:
        return b""
    if part.fields and part.data[part.body_start - 2 : part.body_start] != b"\r\n":
        return b"\r\n\r\n"
    return b"\r\n"


def _behind_body(part: Part) -> bytes:
    """What an empty body lacks behind its text: a line end before the delimiter, whose own ends the header."""
    return b"\r\n" if part.data[part.body_end : part.body_end + 2] == b"--" and part.parent is not None else b""


def displayed(message: Message) -> list[TextBody]:
    """The bodies that readers see, in order: alternatives, roots of related, inline text parts.

    Never attachments, nor what is inside attached messages, signed or encrypted parts. Nor texts over BODY_MAX octets:
    they would stand in memory several times while they are changed.
    """
    bodies: list[TextBody] = []
    waiting = [message.root]
    while waiting:
        part = waiting.pop()
        if not part.is_multipart:
            is_text = part.content_type in ("text/plain", "text/html") and not part.is_attachment
            if is_text and part.body_end - part.body_start <= BODY_MAX:
                bodies.append(TextBody(part, message))
        elif part.content_type not in _CLOSED:
            waiting.extend(reversed(_shown(part)))
    return bodies


def _shown(multipart: Part) -> list[Part]:
    if multipart.content_type == "multipart/related":
        root = multipart.related_root
        return [root] if root is not None else []
    if multipart.content_type == "multipart/report":
        return multipart.children[:1]
    return multipart.children
