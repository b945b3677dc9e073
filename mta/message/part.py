"""A MIME part as spans, its type and parameters read when they are asked for."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator, Mapping

from mta.message import parameters
from mta.message.edit import Buffer
from mta.message.encoded_words import decode_text
from mta.message.fields import HeaderField
from mta.message.remembered import remembered

_ENCODINGS = {
    "": "7bit", "7-bit": "7bit", "7bits": "7bit", "7_bit": "7bit", "7": "7bit", "8-bit": "8bit", "8bits": "8bit",
    "8_bit": "8bit", "8": "8bit", "bin": "binary", "quotedprintable": "quoted-printable", "qp": "quoted-printable",
    "quoted_printable": "quoted-printable", "quote-printable": "quoted-printable", "base-64": "base64",
    "base_64": "base64", "b64": "base64", "uuencode": "x-uuencode", "x-uue": "x-uuencode", "uue": "x-uuencode",
    "uu": "x-uuencode", "x-uuencoded": "x-uuencode",
}  # fmt: skip
_COMMENT = re.compile(r"\([^()]*+\)")
IDENTITY = frozenset({"7bit", "8bit", "binary"})
_ENCODED = frozenset({"quoted-printable", "base64", "x-uuencode"})
_TEXT = frozenset({"text/plain", "text/html"})
_BODY_LIKE = frozenset({
    "message/delivery-status", "message/disposition-notification", "message/global-delivery-status",
    "message/global-disposition-notification", "message/feedback-report", "text/rfc822-headers", "text/calendar",
    "application/pgp-signature", "application/pgp-encrypted", "application/pgp-keys", "application/pkcs7-signature",
    "application/x-pkcs7-signature",
})  # fmt: skip
_NO_DISPOSITION: tuple[str, Mapping[str, str]] = ("", {})


@remembered
def canonical_encoding(value: bytes) -> str:
    """A Content-Transfer-Encoding in lower case, without comments and quotes, aliases such as `7-bit` resolved."""
    text = _COMMENT.sub("", value.decode("latin_1")).strip(" \t\r\n\"';.,").lower()
    if text in IDENTITY or text in _ENCODED:
        return text
    joined = re.sub(r"\s+", "-", text)
    return _ENCODINGS.get(joined, _ENCODINGS.get(joined.replace("-", ""), joined))


_content_type = remembered(parameters.content_type)
_parameters = remembered(parameters.parameters)


class Part:
    """A MIME part as spans over the message's buffer.

    `fields` stand from `header_start`; `body_start` to `body_end` is the encoded body, without the CRLF that belongs to
    the delimiter line after it. A multipart's body is all from its preamble to its epilogue.
    """

    __slots__ = (
        "__weakref__", "_disposition", "_encoding", "_first", "_params", "_parent", "body_end", "body_start",
        "boundary", "children", "content_type", "data", "fields", "header_is_closed", "header_start",
    )  # fmt: skip

    def __init__(self, data: Buffer, header_start: int, fields: tuple[HeaderField, ...], parent: Part | None) -> None:
        self.data = data
        self.header_start = header_start
        self.fields = fields
        self._first = {field.name: field for field in reversed(fields)}
        self._parent = None if parent is None else weakref.ref(parent)
        self.header_is_closed = True
        self.body_start = self.body_end = header_start
        self.children: list[Part] = []
        self.boundary = b""
        self._params: Mapping[str, str] | None = None
        self._encoding: str | None = None
        self._disposition: tuple[str, Mapping[str, str]] | None = None
        # What stands behind the type is often a boundary, which no other message has.
        self.content_type = _content_type(self.value(b"content-type").partition(b";")[0])
        if not self.content_type:
            in_digest = parent is not None and parent.content_type == "multipart/digest"
            self.content_type = "message/rfc822" if in_digest and not self.has(b"content-type") else "text/plain"

    @property
    def parent(self) -> Part | None:
        """The part that this one stands in; None at the root.

        A weak reference, so that a message goes when its last user goes, and not when the collector comes by: a few
        hundred of them would be waiting for it. So whoever asks a part for its parent has to hold the message.
        """
        return None if self._parent is None else self._parent()

    def field(self, name: bytes) -> HeaderField | None:
        """The first field of that name (in lower case)."""
        return self._first.get(name)

    def has(self, name: bytes) -> bool:
        return name in self._first

    def value(self, name: bytes) -> bytes:
        """The first field of that name as it stands, without its last CRLF; b"" if there is none."""
        field = self._first.get(name)
        return b"" if field is None else self.data[field.value_start : field.end].removesuffix(b"\r\n")

    @property
    def raw_body(self) -> bytes:
        """The body as it stands, in its transfer encoding."""
        return self.data[self.body_start : self.body_end]

    @property
    def params(self) -> Mapping[str, str]:
        """Parameters of Content-Type, names in lower case, values decoded."""
        if self._params is None:
            self._params = _parameters(self.value(b"content-type"))
        return self._params

    @property
    def charset(self) -> str:
        """The charset label as it stands, in lower case; "" if there is none."""
        return self.params.get("charset", "").strip("\"' ").lower()

    @property
    def encoding(self) -> str:
        """The Content-Transfer-Encoding, canonical (`7bit` if there is none); unknown ones in lower case."""
        if self._encoding is None:
            self._encoding = canonical_encoding(self.value(b"content-transfer-encoding"))
        return self._encoding

    @property
    def disposition(self) -> str:
        """`attachment`, `inline`, another word in lower case, or "" if there is none."""
        return self._content_disposition()[0]

    @property
    def filename(self) -> str:
        """From Content-Disposition, else from Content-Type; decoded; "" if there is none."""
        return self._content_disposition()[1].get("filename", "") or self.params.get("name", "")

    def _content_disposition(self) -> tuple[str, Mapping[str, str]]:
        if self._disposition is None:
            raw = self.value(b"content-disposition")
            self._disposition = (parameters.disposition(raw), _parameters(raw)) if raw else _NO_DISPOSITION
        return self._disposition

    @property
    def content_id(self) -> str:
        """Without angle brackets; "" if there is none."""
        return decode_text(self.value(b"content-id")).strip("<> ")

    @property
    def is_multipart(self) -> bool:
        return self.content_type.startswith("multipart/")

    @property
    def encloses_message(self) -> bool:
        """A message/rfc822 (or message/global) whose message can be read as it stands."""
        return self.content_type in ("message/rfc822", "message/global", "message/news") and (
            self.encoding not in _ENCODED
        )

    @property
    def is_body_like(self) -> bool:
        """Of a type that mail readers work with themselves: a signature, a report, a calendar's entry."""
        return self.content_type in _BODY_LIKE

    @property
    def is_attachment(self) -> bool:
        """A part that readers see as a file beside the body: not body text, not a picture inside it, no signature."""
        if self.is_multipart or self.is_body_like:
            return self.disposition == "attachment" and self.content_type == "text/calendar"
        if self.disposition == "attachment":
            return not self._is_shown_inside()
        if self.content_type in _TEXT:
            return bool(self.filename) and not self._is_in_body_position()
        return not self._is_shown_inside()

    def _is_in_body_position(self) -> bool:
        """A text part is body text in spite of a name if it is alone, an alternative, or comes first."""
        parent = self.parent
        return parent is None or parent.content_type == "multipart/alternative" or parent.children[0] is self

    def _is_shown_inside(self) -> bool:
        """A picture that a body in the same multipart/related refers to."""
        parent = self.parent
        if parent is None or parent.content_type != "multipart/related" or parent.related_root is self:
            return False
        return self.has(b"content-id") or self.has(b"content-location")

    @property
    def related_root(self) -> Part | None:
        """Of a multipart/related: the part that the others belong to (RFC 2387 `start`, else the first)."""
        start = self.params.get("start", "").strip("<> ")
        if start:
            for child in self.children:
                if child.content_id == start:
                    return child
        return self.children[0] if self.children else None

    def boundaries_around(self) -> set[bytes]:
        """The boundaries of the multiparts that this part is inside of."""
        found = set()
        around = self.parent
        while around is not None:
            found.add(around.boundary)
            around = around.parent
        return found - {b""}

    def walk(self) -> Iterator[Part]:
        """This part and all parts inside it, depth first, in the order of the message."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.children))

    def own_parts(self) -> Iterator[Part]:
        """As `walk`, but for what is inside of attached messages."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            if not part.encloses_message:
                waiting.extend(reversed(part.children))
