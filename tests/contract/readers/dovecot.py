"""A real Dovecot, for IMAP and POP3."""

from __future__ import annotations

import os
import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from imapclient import imap_utf7

from mta.adapters.mailbox import open_reader
from mta.config.tracking_schema import ImapMailbox, Pop3Mailbox
from mta.ports.mailbox_reader import MailboxReader
from tests.contract.readers.harness import Fault, Lying, Trait, message_id
from tests.servers.dovecot import PASSWORD, Dovecot, missing, running_dovecot
from tests.servers.wait import free_port

_MAILBOXES = 200
_SEEN = re.compile(rb"FLAGS \([^)]*\\Seen")


class OnDovecot(ABC):
    """What IMAP and POP3 share."""

    @abstractmethod
    def open(self, mailbox: str, **settings: Any) -> MailboxReader: ...

    def __init__(self) -> None:
        if reason := missing():
            (pytest.fail if "CI" in os.environ else pytest.skip)(reason)
        mailboxes = [f"desk{number}@example.com" for number in range(_MAILBOXES)]
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="readers-")))
        self.dovecot: Dovecot = self._stack.enter_context(running_dovecot(mailboxes))
        self._unused = iter(mailboxes)
        (self.folder / "password").write_text(f"{PASSWORD}\n")
        (self.folder / "wrong").write_text("wrong-password")
        trustme.CA().cert_pem.write_to_path(self.folder / "stranger.pem")

    def close(self) -> None:
        self._stack.close()

    def add_mailbox(self) -> str:
        return next(self._unused)

    def deliver(self, mailbox: str, data: bytes) -> None:
        with self.dovecot.session(mailbox) as session:
            assert session.append("INBOX", "", "", data)[0] == "OK"

    def take_away(self, mailbox: str, message_id: str) -> None:
        with self.dovecot.session(mailbox) as session:
            session.select("INBOX")
            number = session.search(None, "HEADER", "Message-ID", message_id)[1][0].split()[0].decode()
            session.store(number, "+FLAGS", "(\\Deleted)")
            session.expunge()

    def restart(self) -> None:
        self.dovecot.restart()

    def fault(self, fault: Fault, mailbox: str) -> AbstractContextManager[MailboxReader]:
        return _with(self.open(mailbox, **_FAULTS[fault](self.folder)))

    def on_server(self, mailbox: str, folder: str) -> list[Lying]:
        name = imap_utf7.encode(folder.replace("/", ".")).decode() or "INBOX"
        with self.dovecot.session(mailbox) as session:
            session.select(f'"{name}"', readonly=True)
            answers = session.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")[1]
        return [
            Lying(message_id(each[1]), _SEEN.search(each[0]) is not None) for each in answers if isinstance(each, tuple)
        ]


class ImapMailboxes(OnDovecot):
    """Fulfils `Harness`."""

    traits = frozenset({Trait.SAME_BYTES, Trait.FOLDERS, Trait.UNPURGED, Trait.SERVER})
    faults = frozenset(Fault)

    def open(self, mailbox: str, **settings: Any) -> MailboxReader:
        own = {
            "kind": "imap", "name": "desk", "address": mailbox, "host": "127.0.0.1", "port": self.dovecot.imaps,
            "tls": {"ca_file": str(self.dovecot.ca_file)}, "password": {"file": str(self.folder / "password")},
        }  # fmt: skip
        return open_reader(ImapMailbox.model_validate({**own, **settings}), set_aside_folder=self.folder / "aside")

    def lying(self, mailbox: str, folder: str = "") -> list[Lying]:
        return self.on_server(mailbox, folder)


class Pop3Mailboxes(OnDovecot):
    """Fulfils `Harness`."""

    traits = frozenset({Trait.SAME_BYTES, Trait.SERVER})
    faults = frozenset(Fault) - {Fault.NO_FOLDER}

    def open(self, mailbox: str, **settings: Any) -> MailboxReader:
        own = {
            "kind": "pop3", "name": "desk", "address": mailbox, "host": "127.0.0.1", "port": self.dovecot.pop3s,
            "tls": {"ca_file": str(self.dovecot.ca_file)}, "password": {"file": str(self.folder / "password")},
        }  # fmt: skip
        return open_reader(Pop3Mailbox.model_validate({**own, **settings}), set_aside_folder=self.aside(mailbox))

    def lying(self, mailbox: str, folder: str = "") -> list[Lying]:
        if not folder:
            return self.on_server(mailbox, "")
        files = sorted(self.aside(mailbox).glob("new/*"), key=lambda file: file.stat().st_mtime_ns)
        return [Lying(message_id(file.read_bytes())) for file in files]

    def aside(self, mailbox: str) -> Path:
        """The Maildir for those set aside."""
        return self.folder / "aside" / mailbox


_FAULTS: dict[Fault, Any] = {
    Fault.PASSWORD: lambda folder: {"password": {"file": str(folder / "wrong")}},
    Fault.UNTRUSTED: lambda folder: {"tls": {"ca_file": str(folder / "stranger.pem")}},
    Fault.DOWN: lambda _: {"port": free_port()},
    Fault.NO_FOLDER: lambda _: {"folder": "Absent"},
}


@contextmanager
def _with(reader: MailboxReader) -> Iterator[MailboxReader]:
    yield reader
