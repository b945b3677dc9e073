"""Where log lines go: one file per component and day, journald, syslog, standard error.

None of them ever raises or waits: a line that can't be written is counted, and once writing works again the sink says
how many were lost. Mail goes on meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import socket
import sys
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

from mta.config.schema import Logs
from mta.events import Level, Sink, format_event
from mta.file_identity import identity

JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
SYSLOG_SOCKET = Path("/dev/log")
LOOK_AGAIN_S = 5.0
"""How often a file sink looks whether its file still stands where it should."""

_PRIORITIES: dict[Level, int] = {"debug": 7, "info": 6, "warning": 4, "error": 3}
_FACILITY_MAIL = 2
_FILE_MODE = 0o640


class _CountingSink(ABC):
    """What all sinks share: count what is lost, and say so when writing works again."""

    def __init__(self, *, as_json: bool) -> None:
        self.lost = 0
        """Lines lost since the last one that was written."""
        self._as_json = as_json
        self._lock = threading.Lock()

    def write(self, level: Level, action: str, line: str, day: str) -> None:
        """Write one line, after a line that tells of the lost ones if there are any."""
        try:
            with self._lock:  # no thread may write to a descriptor that another is about to close
                self._write(level, action, line, day)
        except OSError:
            self.lost += 1

    def _write(self, level: Level, action: str, line: str, day: str) -> None:
        if self.lost:
            report, _ = format_event("error", "log-lines-lost", {"lines": self.lost}, as_json=self._as_json)
            self._put("error", "log-lines-lost", report, day)
            self.lost = 0
        self._put(level, action, line, day)

    @abstractmethod
    def _put(self, level: Level, action: str, line: str, day: str) -> None:
        """Write one line. Raises OSError if it could not be written whole."""


class FileSink(_CountingSink):
    """`<component>_<day>.log` in a folder, mode 0640; several processes may append to the same file."""

    def __init__(self, folder: Path, component: str, *, keep_days: int, as_json: bool) -> None:
        super().__init__(as_json=as_json)
        self._folder = folder
        self._component = component
        self._keep_days = keep_days
        self._day = ""
        self._fd = -1
        self._identity = (0, 0)
        self._look_again_at = 0.0
        self._is_torn = False
        """Whether the file ends in the first half of a line, because the disk ran full in the midst of it."""

    def path(self, day: str) -> Path:
        """The file of one day, YYYY-MM-DD."""
        return self._folder / f"{self._component}_{day}.log"

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _put(self, level: Level, action: str, line: str, day: str) -> None:
        if day != self._day or self._fd < 0 or time.monotonic() >= self._look_again_at:
            self._open(day)
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        if self._is_torn:
            data = b"\n" + data
        # One write on an O_APPEND descriptor: lines of several processes never mix.
        written = os.write(self._fd, data)
        self._is_torn = written < len(data)
        if self._is_torn:
            raise OSError("half a line was written")

    def _open(self, day: str) -> None:
        """See to it that the day's file is open and stands in the folder: somebody may have moved it away."""
        self._look_again_at = time.monotonic() + LOOK_AGAIN_S
        path = self.path(day)
        if day == self._day and self._fd >= 0 and identity(path) == self._identity:
            return
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
        if os.geteuid() == 0:  # a command run by root must not leave the service a file that it can't append to
            owner = self._folder.stat()
            os.fchown(self._fd, owner.st_uid, owner.st_gid)
        state = os.fstat(self._fd)
        self._identity = (state.st_dev, state.st_ino)
        self._is_torn = False
        if day != self._day:
            self._day = day
            self._delete_old(day)

    def _delete_old(self, day: str) -> None:
        oldest = (date.fromisoformat(day) - timedelta(days=self._keep_days - 1)).isoformat()
        _delete_before(oldest, self._folder, re.escape(self._component))


def forget_old_logs(folder: Path, beginning: str, *, keep_days: int) -> None:
    """Delete old files of all components with this beginning: nobody may write to them any more, and see to it."""
    oldest = (date.today() - timedelta(days=keep_days - 1)).isoformat()  # noqa: DTZ011 - the files' days are local
    with suppress(OSError):
        _delete_before(oldest, folder, re.escape(beginning) + "[a-z0-9-]*")


def _delete_before(oldest: str, folder: Path, component: str) -> None:
    ours = re.compile(rf"{component}_(\d{{4}}-\d\d-\d\d)\.log\Z")
    for entry in folder.iterdir():
        match = ours.match(entry.name)
        if match and match[1] < oldest:
            with suppress(OSError):  # another worker may have been faster
                entry.unlink()


class _SocketSink(_CountingSink):
    """A datagram socket that is connected when there is something to write, and never waited for."""

    def __init__(self, path: Path, *, as_json: bool) -> None:
        super().__init__(as_json=as_json)
        self._path = path
        self._socket: socket.socket | None = None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            new = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            try:
                new.connect(str(self._path))
            except OSError:
                new.close()
                raise
            self._socket = new
        return self._socket

    def close(self) -> None:
        """Close the socket; a later write connects again."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _send(self, data: bytes) -> None:
        try:
            self._connected().send(data)
        except (ConnectionError, FileNotFoundError):
            self.close()  # the daemon was started anew: its socket is another one
            self._connected().send(data)


class JournaldSink(_SocketSink):
    """journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): priority and action are fields of their own."""

    def __init__(self, component: str, *, as_json: bool, path: Path = JOURNAL_SOCKET) -> None:
        super().__init__(path, as_json=as_json)
        self._identifier = f"SYSLOG_IDENTIFIER=stampline-{component}\n".encode()

    def _put(self, level: Level, action: str, line: str, day: str) -> None:
        message = line.replace("\n", "\\n").encode("utf-8", "backslashreplace")
        fields = f"PRIORITY={_PRIORITIES[level]}\nSTAMPLINE_ACTION={action}\n".encode()
        data = self._identifier + fields + b"MESSAGE=" + message + b"\n"
        try:
            self._send(data)
        except OSError as exc:
            if exc.errno != errno.EMSGSIZE:
                raise
            self._send_as_file(data)

    def _send_as_file(self, data: bytes) -> None:
        """Hand over what is too large for a datagram as a sealed memory file, as the protocol wants it."""
        fd = os.memfd_create("stampline-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with os.fdopen(fd, "wb", buffering=0) as file:
            file.write(data)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
            socket.send_fds(self._connected(), [b""], [fd])


class SyslogSink(_SocketSink):
    """The local syslog daemon, in the form of RFC 3164 that /dev/log expects; facility `mail`, long lines are cut."""

    LINE_MAX = 8000

    def __init__(self, component: str, *, as_json: bool, path: Path = SYSLOG_SOCKET) -> None:
        super().__init__(path, as_json=as_json)
        self._tag = f"stampline-{component}[{os.getpid()}]: "

    def _put(self, level: Level, action: str, line: str, day: str) -> None:
        now = time.localtime()
        month = "JanFebMarAprMayJunJulAugSepOctNovDec"[now.tm_mon * 3 - 3 : now.tm_mon * 3]
        when = f"{month} {now.tm_mday:2d} {now.tm_hour:02d}:{now.tm_min:02d}:{now.tm_sec:02d}"
        text = f"<{_FACILITY_MAIL * 8 + _PRIORITIES[level]}>{when} {self._tag}{line}"
        self._send(text.encode("utf-8", "backslashreplace")[: self.LINE_MAX])


class StderrSink(_CountingSink):
    """Standard error. A reader that does not read costs lines, never time."""

    def __init__(self, *, as_json: bool, fd: int | None = None) -> None:
        super().__init__(as_json=as_json)
        self._fd = sys.stderr.fileno() if fd is None else fd
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)

    def _put(self, level: Level, action: str, line: str, day: str) -> None:
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        # A pipe that polls writable takes PIPE_BUF octets without blocking; a longer line goes in several goes.
        for start in range(0, len(data), select.PIPE_BUF):
            if not self._poll.poll(0):
                raise BlockingIOError(errno.EAGAIN, "the reader of standard error is slow")
            os.write(self._fd, data[start : start + select.PIPE_BUF])


def sinks_from(logs: Logs, component: str) -> list[Sink]:
    """The sinks that the configuration asks for; `component` names the files, e.g. "relay"."""
    as_json = logs.format == "json"
    sinks: list[Sink] = [FileSink(logs.folder, component, keep_days=logs.keep_days, as_json=as_json)]
    for kind in dict.fromkeys(logs.also):
        match kind:
            case "journald":
                sinks.append(JournaldSink(component, as_json=as_json))
            case "syslog":
                sinks.append(SyslogSink(component, as_json=as_json))
            case "stderr":
                sinks.append(StderrSink(as_json=as_json))
    return sinks
