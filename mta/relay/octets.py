"""A message's bytes at hand: where they stand."""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path

from mta.message.edit import Buffer
from mta.model.delivery import Body

_POPULATE_READ = 22
"""MADV_POPULATE_READ (madvise(2), Linux 5.14), which Python has no name for."""


class BodyLostError(OSError):
    """A message's file is missing, not as long as it was, or unreadable; the text says which and how."""


def buffer_of(body: Body) -> Buffer:
    """The received bytes, mapped where they stand in a file. Raises BodyLostError; another OSError may pass."""
    if body.data is not None:
        return body.data
    assert body.path is not None
    try:
        file = body.path.open("rb")
    except FileNotFoundError as exc:
        raise BodyLostError(f"{body.path} is missing") from exc
    with file:
        size = os.fstat(file.fileno()).st_size
        if size != body.size_octets:
            raise BodyLostError(f"{body.path} has {size} octets, received were {body.size_octets}")
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    _read_ahead(data, body.path)
    return data


def _read_ahead(data: mmap.mmap, path: Path) -> None:
    """Have the whole file read now: where the disk can't, whoever looks at the bytes later is killed by SIGBUS.

    One bad sector would kill every worker that takes the message up, one after the other. Raises BodyLostError.
    """
    try:
        data.madvise(_POPULATE_READ)
    except OSError as exc:
        if exc.errno == errno.EFAULT:  # an older kernel says EINVAL, and there is nothing better
            data.close()
            raise BodyLostError(f"{path} can't be read: its disk fails") from exc
