"""Maildirs in a temporary folder."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

from mta.adapters.mailbox import open_server
from mta.config.mailbox_schema import MaildirMailboxes
from mta.ports.mailbox import SentItems
from tests.contract.mailboxes.harness import Fault, Kept, Original, Place, Shown
from tests.contract.mailboxes.mime_eyes import shown

_LETTERS = {"S": "\\Seen", "F": "\\Flagged", "D": "\\Draft", "R": "\\Answered", "P": "$Forwarded"}
_FOLDERS: dict[Place, str] = {"sent": ".Sent", "deleted": ".Trash", "recoverable": ".Trash"}
_numbers = count(1)


class Maildirs:
    """Fulfils `Harness`."""

    keeps = frozenset({Kept.KEYWORDS, Kept.CHANGE_KEYS, Kept.ABSENCE})
    faults = frozenset({Fault.DENIED, Fault.FULL})

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="maildirs-")
        self._settings = MaildirMailboxes(kind="maildir", name="maildirs", folder=Path(self._folder.name, "{local}"))

    def open(self) -> SentItems:
        return open_server(self._settings)

    def close(self) -> None:
        self._folder.cleanup()

    def add_mailbox(self) -> str:
        name = f"user{next(_numbers)}"
        for folder in ("", ".Sent"):
            for place in ("tmp", "new", "cur"):
                Path(self._folder.name, name, folder, place).mkdir(parents=True)
        return f"{name}@example.com"

    def absent_mailbox(self) -> str:
        return "nobody@example.com"

    def put(self, mailbox: str, original: Original) -> None:
        marks = original.marks
        flags = {*marks.keywords, "\\Seen" if marks.is_read else "", "\\Draft" if original.is_draft else ""}
        flags.add("\\Flagged" if marks.follow_up.status == "flagged" else "")
        letters = "".join(sorted(letter for letter, flag in _LETTERS.items() if flag in flags))
        moment = original.stored_at.timestamp()
        file = self.path(mailbox) / "cur" / f"{int(moment)}.M1P1Q{next(_numbers)}.host:2,{letters}"
        file.write_bytes(original.mime.replace(b"\r\n", b"\n"))
        os.utime(file, (moment, moment))

    def shown(self, mailbox: str, place: Place = "sent") -> list[Shown]:
        files = [*self.path(mailbox, place).glob("cur/*"), *self.path(mailbox, place).glob("new/*")]
        return [shown(_read(file), _flags(file)) for file in sorted(files, key=lambda file: _order(file.name))]

    def mark(self, mailbox: str, message_id: str, *, is_read: bool, is_flagged: bool) -> None:
        file = self.file(mailbox, message_id)
        kept = set(file.name.partition(":2,")[2]) - {"S", "F"}
        letters = "".join(sorted(kept | ({"S"} if is_read else set()) | ({"F"} if is_flagged else set())))
        file.rename(file.with_name(f"{file.name.partition(':')[0]}:2,{letters}"))

    def delete(self, mailbox: str, message_id: str) -> None:
        self.file(mailbox, message_id).unlink()

    def fault(self, fault: Fault, mailbox: str) -> AbstractContextManager[SentItems]:
        return self._linked(mailbox) if fault is Fault.DENIED else self._full(mailbox)

    def path(self, mailbox: str, place: Place = "sent") -> Path:
        return Path(self._folder.name, mailbox.partition("@")[0], _FOLDERS[place])

    def file(self, mailbox: str, message_id: str) -> Path:
        """The oldest with that Message-ID."""
        files = sorted(self.path(mailbox).glob("cur/*"), key=lambda file: _order(file.name))
        return next(file for file in files if shown(file.read_bytes(), ()).message_id == message_id)

    @contextmanager
    def _linked(self, mailbox: str) -> Iterator[SentItems]:
        """The user has put a symbolic link in the place of his folder."""
        path = self.path(mailbox)
        elsewhere = path.with_name("elsewhere")
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
        yield self.open()
        path.unlink()
        elsewhere.rename(path)

    @contextmanager
    def _full(self, mailbox: str) -> Iterator[SentItems]:
        file = self.path(mailbox).parent / "maildirsize"
        file.write_text("1000S,1000C\n900 3\n90 1\n")
        yield self.open()
        file.unlink()


def _read(file: Path) -> bytes:
    return file.read_bytes().replace(b"\n", b"\r\n")


def _flags(file: Path) -> set[str]:
    return {_LETTERS[letter] for letter in file.name.partition(":2,")[2] if letter in _LETTERS}


def _order(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name.partition(":")[0])]
