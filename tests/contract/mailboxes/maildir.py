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
from tests.contract.mailboxes.harness import Fault, FilingPlace, Kept, Original, Place, Shown
from tests.contract.mailboxes.mime_eyes import shown

_LETTERS = {"S": "\\Seen", "F": "\\Flagged", "D": "\\Draft", "R": "\\Answered", "P": "$Forwarded"}
_FOLDERS: dict[Place, str] = {"sent": ".Sent", "deleted": ".Trash", "recoverable": ".Trash"}
_FILED: dict[FilingPlace, str] = {"inbox": "", "below": ".Tickets", "sent": ".Sent", "deleted": ".Trash"}
_KEYWORDS = {"a": "Blue", "b": "Transferred"}
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
        for folder in _FILED.values():
            for place in ("tmp", "new", "cur"):
                Path(self._folder.name, name, folder, place).mkdir(parents=True)
            known = "".join(f"{ord(letter) - ord('a')} {word}\n" for letter, word in _KEYWORDS.items())
            Path(self._folder.name, name, folder, "dovecot-keywords").write_text(known)
        return f"{name}@example.com"

    def absent_mailbox(self) -> str:
        return "nobody@example.com"

    def put(self, mailbox: str, original: Original) -> None:
        self.put_in(mailbox, original, "sent")

    def categories(self, mailbox: str) -> list[tuple[FilingPlace, str, frozenset[str]]]:
        return sorted(
            (
                place,
                shown(_read(file), ()).message_id,
                frozenset(_KEYWORDS[letter] for letter in file.name.partition(":2,")[2] if letter in _KEYWORDS),
            )
            for place, folder in _FILED.items()
            for file in Path(self._folder.name, mailbox.partition("@")[0], folder).glob("cur/*")
        )

    def put_in(self, mailbox: str, original: Original, place: FilingPlace) -> None:
        marks = original.marks
        flags = {*marks.keywords, "\\Seen" if marks.is_read else "", "\\Draft" if original.is_draft else ""}
        flags.add("\\Flagged" if marks.follow_up.status == "flagged" else "")
        known = {**_LETTERS, **_KEYWORDS}
        letters = "".join(sorted(letter for letter, flag in known.items() if flag in flags))
        moment = original.stored_at.timestamp()
        file = (
            Path(self._folder.name, mailbox.partition("@")[0], _FILED[place], "cur")
            / f"{int(moment)}.M1P1Q{next(_numbers)}.host:2,{letters}"
        )
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
