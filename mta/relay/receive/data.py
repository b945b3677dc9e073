"""The octets of a message as DATA or BDAT brings them: the decoders (pure), and the file that takes large ones.

A decoder takes whatever the network gives, in pieces of any size, and keeps at most what it can't judge yet (four
octets), whatever the lines look like. The outcome is the same for any cutting.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from io import FileIO
from pathlib import Path

_END = b"\r\n.\r\n"
_DOT = b"\r\n."
_PREFIXES = tuple(_END[:length] for length in range(len(_END) - 1, 0, -1))
_LINE_END = re.compile(rb"\r\n|\r|\n")


class _Decoder:
    """What DATA and BDAT have in common: octets fed and not yet taken, and what is noted of those taken."""

    __slots__ = ("_normalise", "_raw", "has_8bit", "has_bare", "has_nul", "size_octets")

    def __init__(self, *, normalise: bool) -> None:
        self._normalise = normalise
        self._raw = bytearray()
        self.has_bare = False
        """A CR or LF stood alone; with `normalise` it was made a CRLF."""
        self.has_nul = False
        self.has_8bit = False
        self.size_octets = 0
        """Of the content taken so far."""

    @property
    def held_octets(self) -> int:
        """Fed, but not taken yet."""
        return len(self._raw)

    def _cut(self, octets: int) -> bytes:
        """So many of the octets fed, judged, and with their line ends normalised where that is wanted."""
        content = bytes(self._raw[:octets])
        del self._raw[:octets]
        pairs = content.count(b"\r\n")
        if content.count(b"\n") != pairs or content.count(b"\r") != pairs:
            self.has_bare = True
            if self._normalise:
                content = _LINE_END.sub(b"\r\n", content)
        self.has_nul = self.has_nul or b"\0" in content
        self.has_8bit = self.has_8bit or not content.isascii()
        return content


class DataDecoder(_Decoder):
    """Finds `<CRLF>.<CRLF>`, takes the dot-stuffing off (RFC 5321 §4.5.2), and notes what else came.

    The CRLF that ended the DATA command counts as the first of the end mark, else an empty message would never end.
    """

    __slots__ = ("_has_dots", "_searched", "_started")

    def __init__(self, *, normalise: bool = False) -> None:
        super().__init__(normalise=normalise)
        self._raw += b"\r\n"
        self._searched = 0
        self._started = False
        self._has_dots = False

    def feed(self, data: bytes | bytearray) -> bytes | None:
        """Add what came; None until the end mark is there, then what came behind it."""
        raw = self._raw
        raw += data
        # Few messages have lines that begin with a dot: one search for both does for the rest.
        end = raw.find(_DOT, self._searched)
        if end >= 0 and not raw.startswith(_END, end):
            self._has_dots = True
            end = raw.find(_END, end)
        if end < 0:
            self._searched = max(0, len(raw) - len(_END) + 1)
            return None
        rest = bytes(raw[end + len(_END) :])
        del raw[end + 2 :]
        return rest

    def take(self) -> bytes:
        """The content decoded so far, less what may be the beginning of an end mark. For large messages."""
        raw = self._raw
        keep = next((len(prefix) for prefix in _PREFIXES if raw.endswith(prefix)), 0)
        if self._normalise and keep == 0 and raw.endswith(b"\n"):
            keep = 1  # a dot that follows is stuffing
        return self._decode(len(raw) - keep)

    def finish(self) -> bytes:
        """The rest of the content, once `feed` has found the end."""
        return self._decode(len(self._raw))

    def _decode(self, cut: int) -> bytes:
        content = self._cut(cut)
        self._searched = 0
        if not content:
            return content
        if self._has_dots or self.has_bare:
            content = content.replace(_DOT, b"\r\n")
        if not self._started:
            self._started = True
            content = content[2:]
        self.size_octets += len(content)
        return content


class ChunkDecoder(_Decoder):
    """The octets of BDAT (RFC 3030): nothing is stuffed, nothing ends them. A CRLF may stand across two chunks.

    A message without a CRLF at its end gets one: it could go on by no DATA, and signatures don't cover it (RFC 6376
    §3.4.3).
    """

    __slots__ = ("_ends_in_line",)

    def __init__(self, *, normalise: bool = False) -> None:
        super().__init__(normalise=normalise)
        self._ends_in_line = False

    def feed(self, data: bytes | bytearray) -> bytes | None:
        """Add what came. None, as there is never an end in it."""
        self._raw += data
        return None

    def take(self) -> bytes:
        """The content so far, less a CR whose LF may follow. For large messages."""
        return self._decode(len(self._raw) - self._raw.endswith(b"\r"))

    def finish(self) -> bytes:
        """The rest of the content, once the last chunk was fed."""
        content = self._decode(len(self._raw))
        if self._ends_in_line:
            content += b"\r\n"
            self.size_octets += 2
        return content

    def _decode(self, cut: int) -> bytes:
        content = self._cut(cut)
        if content:
            self._ends_in_line = not content.endswith(b"\n")
        self.size_octets += len(content)
        return content


class SpillFile:
    """A large message on its way to disk; written in threads, so that no event loop waits for a disk."""

    __slots__ = ("_file", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None

    async def write(self, content: bytes) -> None:
        """Append. Raises OSError."""
        await asyncio.to_thread(self._write, content)

    def _write(self, content: bytes) -> None:
        if self._file is None:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._file = FileIO(descriptor, "w")
        rest = memoryview(content)
        while rest:
            rest = rest[self._file.write(rest) :]

    async def close(self) -> None:
        """All is handed to the operating system; syncing is for whoever takes the file over. Raises OSError."""
        if self._file is not None:
            await asyncio.to_thread(self._file.close)

    async def remove(self) -> None:
        """Close, and delete the file if it is still under its first name."""
        await asyncio.to_thread(self._remove)

    def _remove(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
