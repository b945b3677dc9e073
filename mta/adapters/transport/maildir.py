"""Delivery into Maildirs, for demonstrations and archives: one file for each recipient.

A file is written and synced in `tmp`, renamed into `new`, and the folder synced, before the recipient counts as
delivered. So a crash at any point leaves no half message in `new`; between the rename and the spool's commit it can
lead to a second copy, as after the final dot in SMTP. The bytes keep their CRLF line ends, so that signatures verify.
This is final delivery: Return-Path and Delivered-To are put on top (RFC 5321 §4.4).
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import itertools
import os
import re
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mta.config.delivery_schema import MaildirHop
from mta.model.address import Address
from mta.model.delivery import Misfit, RecipientEntry, RecipientResult
from mta.model.envelope import Envelope
from mta.model.reply import STORAGE_FULL, Reply
from mta.ports.transport import Segments, Stopped

_THREADS = 4
_NAME_MAX = 150
_UNSAFE = re.compile(rb"[^a-z0-9._+=-]")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_deliveries = itertools.count(1)


def folder_name(text: str) -> str:
    """A part of an address as the name of a folder: lower-case letters, digits and `._+=-` stand for themselves.

    Anything else, and a dot in front, is written as `%` and two hex digits for each octet; names too long for a file
    system end in a hash. So no address leads out of its folder, and no two addresses share one.
    """
    octets = text.encode("utf-8", "surrogatepass")
    name = _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], octets).decode("ascii")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) > _NAME_MAX:
        name = f"{name[: _NAME_MAX - 34]}%~{hashlib.sha256(octets).hexdigest()[:32]}"
    return name or "%"


class MaildirTransport:
    """Fulfils `mta.ports.transport.Transport`; the deadline does not apply to a local disk."""

    def __init__(self, hop: MaildirHop, *, hostname: str) -> None:
        self._template = hop.folder
        self._host = hostname.replace("/", "\\057").replace(":", "\\072")
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="maildir")

    def is_blocked(self, domain: str) -> bool:
        return False

    def blocked(self) -> Collection[str]:
        return ()

    def stopped(self) -> Mapping[str, Stopped]:
        return {}

    async def close(self) -> None:
        """Nothing is kept. The threads end with the last use of this object, so deliveries under way finish."""

    async def deliver(
        self,
        envelope: Envelope,
        recipients: Sequence[RecipientEntry],
        content: Segments,
        *,
        deadline_s: float,
        overlook: Collection[Misfit] = (),
    ) -> list[RecipientResult]:
        loop = asyncio.get_running_loop()
        return list(
            await asyncio.gather(
                *(
                    loop.run_in_executor(self._threads, self._deliver_one, envelope, entry, content)
                    for entry in recipients
                )
            )
        )

    def _deliver_one(self, envelope: Envelope, entry: RecipientEntry, content: Segments) -> RecipientResult:
        folder = self.folder_of(entry.address)
        try:
            self._write(folder, _top(envelope, entry.address), content)
        except OSError as error:
            reply = STORAGE_FULL if error.errno in _FULL else _not_written(error)
        else:
            reply = Reply(250, "2.0.0", f"Delivered to {folder}".encode("ascii", "replace").decode())
        return RecipientResult(entry.index, entry.address, reply, in_mailbox=reply.is_success)

    def folder_of(self, address: Address) -> Path:
        """The recipient's Maildir."""
        local, _, _ = address.key.rpartition("@")
        values = {"{domain}": folder_name(address.domain_key), "{local}": folder_name(local)}
        return Path(*(_filled(part, values) for part in self._template.parts))

    def _write(self, folder: Path, top: bytes, content: Segments) -> None:
        for name in ("tmp", "new", "cur"):
            _make_folder(folder / name)
        now = time.time_ns()
        unique = f"{now // 10**9}.M{now // 1000 % 10**6}P{os.getpid()}Q{next(_deliveries)}.{self._host}"
        temporary, final = folder / "tmp" / unique, folder / "new" / unique
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor, not a path)
                file.write(top)
                for segment in content:
                    file.write(segment)
                file.flush()
                os.fsync(descriptor)
            temporary.rename(final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(folder / "new")


def _filled(part: str, values: dict[str, str]) -> str:
    """One part of the template; all at once, so that nothing in a value is taken for a placeholder."""
    return re.sub(r"\{(?:domain|local)\}", lambda match: values[match[0]], part)


def _top(envelope: Envelope, recipient: Address) -> bytes:
    reverse_path = _one_line(envelope.reverse_path) if envelope.reverse_path else ""
    return f"Return-Path: <{reverse_path}>\r\nDelivered-To: {_one_line(recipient)}\r\n".encode("utf-8", "replace")


def _one_line(address: Address) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", "?", str(address))


def _not_written(error: OSError) -> Reply:
    return Reply(451, "4.2.0", f"Can't write to the Maildir: {error.strerror or type(error).__name__}")


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it; each new entry is synced in its parent."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
