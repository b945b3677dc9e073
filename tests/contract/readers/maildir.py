"""Maildirs in a temporary folder."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from imapclient import imap_utf7

from mta.adapters.mailbox import open_reader
from mta.config.tracking_schema import MaildirMailbox
from mta.ports.mailbox_reader import MailboxReader
from tests.contract.readers.harness import Fault, Lying, Trait, message_id

_numbers = count(1)


class Maildirs:
    """Fulfils `Harness`."""

    traits = frozenset({Trait.SAME_BYTES, Trait.FOLDERS, Trait.UNPURGED})
    faults = frozenset({Fault.NO_FOLDER})

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="maildirs-")

    def add_mailbox(self) -> str:
        mailbox = f"desk{next(_numbers)}@example.com"
        for place in ("tmp", "new", "cur"):
            (self.path(mailbox) / place).mkdir(parents=True)
        return mailbox

    def open(self, mailbox: str, **settings: Any) -> MailboxReader:
        own = {"kind": "maildir", "name": "desk", "address": mailbox, "path": str(self.path(mailbox))}
        values = MaildirMailbox.model_validate({**own, **settings})
        return open_reader(values, set_aside_folder=Path(self._folder.name, "aside"))

    def deliver(self, mailbox: str, data: bytes) -> None:
        name = f"{int(time.time())}.M1P1Q{next(_numbers)}.mail"
        waiting = self.path(mailbox) / "tmp" / name
        waiting.write_bytes(data.replace(b"\r\n", b"\n"))
        waiting.rename(self.path(mailbox) / "new" / name)

    def lying(self, mailbox: str, folder: str = "") -> list[Lying]:
        files = [file for place in ("new", "cur") for file in self.path(mailbox, folder).glob(f"{place}/*")]
        return [Lying(message_id(file.read_bytes()), "S" in _letters(file)) for file in sorted(files, key=_order)]

    def take_away(self, mailbox: str, message_id_: str) -> None:
        for file in self.path(mailbox).glob("*/*"):
            if message_id(file.read_bytes()) == message_id_:
                file.unlink()

    def fault(self, fault: Fault, mailbox: str) -> AbstractContextManager[MailboxReader]:
        assert fault is Fault.NO_FOLDER
        return self._with(self.open(mailbox, folder="Absent"))

    def restart(self) -> None:
        """There is no server."""

    def close(self) -> None:
        self._folder.cleanup()

    def path(self, mailbox: str, folder: str = "") -> Path:
        name = "." + imap_utf7.encode(folder.replace("/", ".")).decode() if folder else ""
        return Path(self._folder.name, mailbox, name)

    @contextmanager
    def _with(self, reader: MailboxReader) -> Iterator[MailboxReader]:
        yield reader


def _letters(file: Path) -> str:
    return file.name.partition(":2,")[2]


def _order(file: Path) -> tuple[int, float]:
    return file.stat().st_mtime_ns, file.stat().st_ctime
