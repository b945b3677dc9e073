"""SMTP replies as a client reads them (RFC 5321 §4.2), without I/O: bytes in at any boundary, whole replies out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mta.model.reply import Reply

LINE_MAX = 2048
"""Octets; RFC 5321 §4.5.3.1.5 says 512, and servers write more."""
LINES_MAX = 128
TEXT_MAX = 1000
"""Characters of a reply's text that are kept."""

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?\Z", re.DOTALL)
_STATUS = re.compile(r"([245])\.([0-9]{1,3}\.[0-9]{1,3})(?:\s+|\Z)")
_UNPRINTABLE = re.compile(rb"[^\x20-\x7e]")


class ProtocolError(Exception):
    """What the remote sent is not SMTP; the text says how."""


@dataclass(frozen=True, slots=True)
class RemoteReply:
    """One whole reply. `lines` are the texts behind the codes, as received, without line ends."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def words(self) -> str:
        """The remote's own words on one line of printable ASCII, bounded."""
        text = _ascii(self.lines[0]) if len(self.lines) == 1 else _joined([_ascii(line) for line in self.lines])
        return f"{self.code} {text}"[:TEXT_MAX].rstrip()

    def reply(self) -> Reply:
        """As the rest of the program has it; the enhanced code is made to fit the code, or made from it."""
        words = self.words[4:]
        kind = self.code // 100
        match = _STATUS.match(words)
        if match is None:
            return Reply(self.code, f"{kind}.0.0", words)
        return Reply(self.code, f"{kind}.{match[2]}", words[match.end() :])


def _ascii(line: bytes) -> str:
    return _UNPRINTABLE.sub(b"?", line).decode("ascii")


def _joined(lines: list[str]) -> str:
    """Lines of one reply as one, with the enhanced code that each repeats only once."""
    match = _STATUS.match(lines[0])
    status = match[0].rstrip() if match else None
    rest = [line.removeprefix(status).strip() if status else line.strip() for line in lines[1:]]
    return " ".join(text for text in (lines[0].strip(), *rest) if text)


class ReplyReader:
    """Collects received bytes and takes replies off them one at a time."""

    __slots__ = ("_buffer", "_code", "_lines", "_start")

    def __init__(self) -> None:
        self._buffer = b""
        self._start = 0
        self._code = b""
        self._lines: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self._buffer = self._buffer[self._start :] + data
        self._start = 0

    @property
    def has_leftover(self) -> bool:
        """Whether anything is buffered behind the replies taken so far."""
        return bool(self._lines) or self._start < len(self._buffer)

    def next(self) -> RemoteReply | None:
        """The next whole reply, or None. A bare LF is taken as a line end. Raises ProtocolError."""
        while True:
            end = self._buffer.find(b"\n", self._start)
            length = (end if end >= 0 else len(self._buffer)) - self._start
            if length > LINE_MAX:
                raise ProtocolError("a reply line is too long")
            if end < 0:
                return None
            line = self._buffer[self._start : end]
            self._start = end + 1
            if self._take(line.removesuffix(b"\r")):
                reply = RemoteReply(int(self._code), tuple(self._lines))
                self._lines = []
                return reply

    def _take(self, line: bytes) -> bool:
        """Take one line; whether it ends its reply."""
        match = _LINE.match(line)
        if match is None:
            raise ProtocolError("a line without a reply code")
        code, separator, text = match.groups()
        if self._lines and code != self._code:
            raise ProtocolError("one reply with two codes")
        if len(self._lines) >= LINES_MAX:
            raise ProtocolError("a reply with too many lines")
        self._code = code
        self._lines.append(text or b"")
        return bool(separator != b"-")
