"""A real Dovecot."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from mta.adapters.mailbox import open_server
from mta.config.mailbox_schema import ImapMailboxes, ImapTls
from mta.config.types import Secret
from mta.ports.mailbox import SentItems
from tests.contract.mailboxes.harness import Fault, FilingPlace, Kept, Original, Place, Shown
from tests.contract.mailboxes.mime_eyes import shown
from tests.servers.dovecot import MASTER, MASTER_PASSWORD, missing, running_dovecot
from tests.servers.imap_between import Breaks, between
from tests.servers.scripted_imap import scripted_imap
from tests.servers.wait import free_port

_FOLDERS: dict[Place, str] = {"sent": "Sent", "deleted": "Trash", "recoverable": "Trash"}
_FILED: dict[FilingPlace, str] = {"inbox": "INBOX", "below": "INBOX.Tickets", "sent": "Sent", "deleted": "Trash"}
_MAILBOXES = 500


class ImapMailServer:
    """Fulfils `Harness`."""

    keeps = frozenset({Kept.KEYWORDS, Kept.CHANGE_KEYS})
    faults = frozenset({
        Fault.DENIED, Fault.FULL, Fault.SIGN_IN, Fault.UNTRUSTED, Fault.OTHER_NAME, Fault.UNAVAILABLE, Fault.DOWN,
        Fault.NONSENSE, Fault.OVERLOADED, Fault.LOST_ANSWER, Fault.SLOW_ANSWER,
    })  # fmt: skip

    def __init__(self) -> None:
        if reason := missing():
            (pytest.fail if "CI" in os.environ else pytest.skip)(reason)
        mailboxes = [f"user{number}@example.com" for number in range(_MAILBOXES)]
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="imap-")))
        self.dovecot = self._stack.enter_context(running_dovecot(mailboxes))
        self._unused = iter(mailboxes)
        (self._folder / "password").write_text(MASTER_PASSWORD)
        (self._folder / "wrong").write_text("wrong-password")
        trustme.CA().cert_pem.write_to_path(self._folder / "stranger.pem")

    def settings(self, *, password: str = "password", tls: ImapTls | None = None, **more: object) -> ImapMailboxes:
        values = {
            "kind": "imap", "name": "imap", "host": "127.0.0.1", "port": self.dovecot.imaps, "user": MASTER,
            "tls": tls or ImapTls(ca_file=self.dovecot.ca_file), "password": Secret(file=self._folder / password),
            "connections": 4, **more,
        }  # fmt: skip
        return ImapMailboxes.model_validate(values)

    def open(self) -> SentItems:
        return open_server(self.settings())

    def close(self) -> None:
        self._stack.close()

    def add_mailbox(self) -> str:
        return next(self._unused)

    def absent_mailbox(self) -> str:
        return "nobody@example.com"

    def put(self, mailbox: str, original: Original) -> None:
        self.put_in(mailbox, original, "sent")

    def categories(self, mailbox: str) -> list[tuple[FilingPlace, str, frozenset[str]]]:
        found = []
        with self.dovecot.session(mailbox) as session:
            for place, folder in _FILED.items():
                if session.select(folder, readonly=True)[0] != "OK":
                    continue
                for answer in session.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")[1]:
                    if isinstance(answer, tuple):
                        flags = re.search(rb"FLAGS \(([^)]*)\)", answer[0])
                        assert flags is not None
                        words = (flag for flag in flags[1].decode().split() if not flag.startswith("\\"))
                        found.append((place, shown(answer[1], ()).message_id, frozenset(words)))
        return sorted(found)

    def put_in(self, mailbox: str, original: Original, place: FilingPlace) -> None:
        marks = original.marks
        flags = {*marks.keywords, "\\Seen" if marks.is_read else "", "\\Draft" if original.is_draft else ""}
        flags.add("\\Flagged" if marks.follow_up.status == "flagged" else "")
        with self.dovecot.session(mailbox) as session:
            when = original.stored_at.strftime('"%d-%b-%Y %H:%M:%S +0000"')
            session.create(_FILED[place])
            kind, _ = session.append(_FILED[place], " ".join(sorted(flags - {""})), when, original.mime)
            assert kind == "OK"

    def shown(self, mailbox: str, place: Place = "sent") -> list[Shown]:
        found = []
        with self.dovecot.session(mailbox) as session:
            session.select(_FOLDERS[place])
            for answer in session.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")[1]:
                if isinstance(answer, tuple):
                    flags = re.search(rb"FLAGS \(([^)]*)\)", answer[0])
                    assert flags is not None
                    found.append(shown(answer[1], flags[1].decode().split()))
        return found

    def mark(self, mailbox: str, message_id: str, *, is_read: bool, is_flagged: bool) -> None:
        with self.dovecot.session(mailbox) as session:
            session.select("Sent")
            number = session.search(None, "HEADER", "Message-ID", message_id)[1][0].split()[0].decode()
            session.store(number, "+FLAGS" if is_read else "-FLAGS", "(\\Seen)")
            session.store(number, "+FLAGS" if is_flagged else "-FLAGS", "(\\Flagged)")

    def delete(self, mailbox: str, message_id: str) -> None:
        with self.dovecot.session(mailbox) as session:
            session.select("Sent")
            number = session.search(None, "HEADER", "Message-ID", message_id)[1][0].split()[0].decode()
            session.store(number, "+FLAGS", "(\\Deleted)")
            session.expunge()

    def fault(self, fault: Fault, mailbox: str) -> AbstractContextManager[SentItems]:
        match fault:
            case Fault.SIGN_IN:
                return self._with(self.settings(password="wrong"))
            case Fault.UNTRUSTED:
                return self._with(self.settings(tls=ImapTls(ca_file=self._folder / "stranger.pem")))
            case Fault.OTHER_NAME:
                tls = ImapTls(ca_file=self.dovecot.ca_file, verify_name="imap.example.com")
                return self._with(self.settings(tls=tls))
            case Fault.DOWN:
                return self._with(self.settings(port=free_port()))
            case Fault.NONSENSE:
                return self._scripted(b"220 mail.example.com ESMTP\r\n")
            case Fault.OVERLOADED:
                return self._scripted(b"* BYE Maximum number of connections from user+IP exceeded\r\n")
            case Fault.UNAVAILABLE:
                return self._scripted(b"* OK ready\r\n", b"$ NO [UNAVAILABLE] User database is away\r\n")
            case Fault.LOST_ANSWER | Fault.SLOW_ANSWER:
                return self._broken("close" if fault is Fault.LOST_ANSWER else "hang")
            case Fault.FULL:
                self.dovecot.change_mailbox(mailbox, quota_rule="*:storage=1B")
            case _:
                self.dovecot.deny(mailbox)
        return self._until_changed(mailbox, fault)

    @contextmanager
    def _with(self, settings: ImapMailboxes) -> Iterator[SentItems]:
        yield open_server(settings)

    @contextmanager
    def _until_changed(self, mailbox: str, fault: Fault) -> Iterator[SentItems]:
        yield self.open()
        if fault is Fault.FULL:
            self.dovecot.change_mailbox(mailbox)
        else:
            self.dovecot.deny(mailbox, is_denied=False)

    @contextmanager
    def _broken(self, how: Breaks) -> Iterator[SentItems]:
        with between(self.dovecot.imap) as middle:
            middle.breaks = how
            timeout = timedelta(seconds=2 if how == "hang" else 60)
            yield open_server(self.settings(port=middle.port, tls=ImapTls(mode="none"), timeout=timeout))

    @contextmanager
    def _scripted(self, greeting: bytes, refusal: bytes = b"") -> Iterator[SentItems]:
        answers = {b"AUTHENTICATE": refusal} if refusal else {}
        with scripted_imap(answers, greeting=greeting) as server:
            yield open_server(self.settings(port=server.port, tls=ImapTls(mode="none")))
