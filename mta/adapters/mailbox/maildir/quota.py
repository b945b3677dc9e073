"""Quotas of Maildir++ (`maildirsize`): a limit on the first line, below it what came and went."""

from __future__ import annotations

import os
import re
from contextlib import suppress

from mta.adapters.mailbox.maildir.directories import Directory
from mta.ports.mailbox import QuotaError

_FILE = "maildirsize"
_FILE_MAX = 5120
"""Octets; then others count anew and write it from the beginning, as the specification has it."""
_LIMIT = re.compile(rb"(\d{1,18})([SC])")
_CHANGE = re.compile(rb"\s*(-?\d{1,18})\s+(-?\d{1,18})\s*\Z")
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Quota:
    """Of a mailbox; without that file there is none."""

    def __init__(self, root: Directory, data: bytes | None) -> None:
        self._root = root
        self._lines = None if data is None else data.split(b"\n")

    @classmethod
    def of(cls, root: Directory) -> Quota:
        try:
            descriptor = root.open(_FILE)
        except FileNotFoundError:
            return cls(root, None)
        with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
            return cls(root, file.read(2 * _FILE_MAX))

    def need(self, octets: int) -> None:
        """Raises QuotaError where a message of that size has no room."""
        if self._lines is None:
            return
        limits = {unit: int(number) for number, unit in _LIMIT.findall(self._lines[0])}
        changes = [match for line in self._lines[1:] if (match := _CHANGE.match(line))]
        used = {b"S": sum(int(each[1]) for each in changes), b"C": sum(int(each[2]) for each in changes)}
        for unit, more in ((b"S", octets), (b"C", 1)):
            if limits.get(unit) and used[unit] + more > limits[unit]:
                raise QuotaError("over-quota", "the mailbox is full by its maildirsize")

    def note(self, octets: int, messages: int) -> None:
        """What came or went; one short write at the end of the file, as all who use it do.

        Where that fails, the message has come or gone all the same, and others count anew in time.
        """
        if self._lines is None:
            return
        with suppress(OSError):
            descriptor = os.open(_FILE, _APPEND, dir_fd=self._root.descriptor)
            try:
                os.write(descriptor, b"%d %d\n" % (octets, messages))
            finally:
                os.close(descriptor)
