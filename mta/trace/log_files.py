"""Log files, and the lines of them that hold some text: gigabytes in bounded memory, and fast.

Lines are searched as bytes and only those found are looked at closer.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, cast

import re2

CHUNK = 4 << 20
LINE_MAX = 1 << 20
"""Octets; longer lines are none of ours, and are passed over."""
_NAME = re.compile(r"([a-z][a-z0-9-]*)_(\d{4}-\d\d-\d\d)\.log(\.gz)?\Z")


@dataclass(frozen=True, slots=True)
class LogFile:
    """The lines of one component and day, perhaps compressed by an administrator."""

    path: Path
    component: str
    day: date

    @property
    def octets(self) -> int:
        """As it lies on disk; 0 where it has gone."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


def log_files(folder: Path, since: date | None = None) -> list[LogFile]:
    """The log files in a folder from that day on, oldest first. Raises OSError where it can't be listed."""
    found: list[LogFile] = []
    for path in folder.iterdir():
        match = _NAME.match(path.name)
        if match is None:
            continue
        try:
            day = date.fromisoformat(match[2])
        except ValueError:
            continue
        if since is None or day >= since:
            found.append(LogFile(path, match[1], day))
    return sorted(found, key=lambda file: (file.day, file.component, file.path.name))


@dataclass(slots=True)
class Scanned:
    """What a search has looked at."""

    octets: int = 0
    """As they lie on disk."""
    bad_lines: int = 0
    """Lines that hold what is looked for and can't be read, because they are torn or none of ours."""
    unreadable: list[str] = field(default_factory=list)
    """Files that could not be read, or not to their end, and why."""


Progress = Callable[[int], None]
"""Called now and then with the octets looked at since the last time."""


class Pattern:
    """Texts to look for, in any form in which a line may hold them: as they are, or escaped as in JSON."""

    def __init__(self, texts: Iterable[str], *, any_case: bool = False) -> None:
        forms: set[bytes] = set()
        for text in texts:
            for form in (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
                forms.add(form.encode("utf-8", "surrogatepass"))
        alternatives = b"|".join(_escaped(form) for form in sorted(forms))
        self._expression = re2.compile((b"(?i)" if any_case else b"") + alternatives, _options())

    def lines(self, chunk: bytes) -> Iterator[bytes]:
        """The lines of a chunk that hold one of the texts, in order; the chunk ends with a line's end."""
        position = 0
        while (match := self._expression.search(chunk, position)) is not None:
            start = chunk.rfind(b"\n", 0, match.start()) + 1
            end = chunk.find(b"\n", match.end())
            end = len(chunk) if end < 0 else end
            yield chunk[start:end]
            position = end + 1
            if position >= len(chunk):
                return


def _escaped(form: bytes) -> bytes:
    return b"".join(bytes([octet]) if chr(octet).isalnum() and octet < 128 else b"\\x%02x" % octet for octet in form)


def _options() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_nl = False
    options.log_errors = False
    return options


def matching_lines(file: LogFile, pattern: Pattern, scanned: Scanned, progress: Progress) -> Iterator[bytes]:
    """The lines of a file that hold what is looked for. What can't be read is noted in `scanned`."""
    try:
        with file.path.open("rb") as raw:
            plain = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if file.path.suffix == ".gz" else raw
            done = 0
            for chunk in _whole_lines(plain):
                yield from pattern.lines(chunk)
                at = raw.tell()
                progress(at - done)
                scanned.octets += at - done
                done = at
    except (OSError, EOFError, zlib.error) as exc:
        scanned.unreadable.append(f"{file.path}: {getattr(exc, 'strerror', None) or exc}")


def _whole_lines(file: IO[bytes]) -> Iterator[bytes]:
    """The file in chunks that end where a line does; what has no end within LINE_MAX is left out."""
    rest = b""
    while chunk := file.read(CHUNK):
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield rest + chunk[:cut]
            rest = chunk[cut:]
        else:
            rest += chunk
        if len(rest) > LINE_MAX:
            rest = b""
            while (piece := file.readline(LINE_MAX)) and not piece.endswith(b"\n"):
                pass
    if rest:
        yield rest
