"""Exchange as the test server of Exchange Web Services has it; and another server that speaks EWS."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Literal

import trustme

from mta.adapters.mailbox import open_reader
from mta.config.tracking_schema import EwsMailbox
from mta.ports.mailbox_reader import MailboxReader
from tests.contract.readers.harness import Fault, Lying, Trait
from tests.peers.ews import EwsServer, ews_server

_BEGINNING = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
_numbers = count(1)


class Ews:
    """Fulfils `Harness`: Exchange, by Basic and impersonation."""

    traits = frozenset({Trait.FOLDERS})
    faults = frozenset(Fault)
    flavour: ClassVar[Literal["exchange", "other"]] = "exchange"
    settings: ClassVar[dict[str, Any]] = {"sign_in": "basic", "user": "svc@example.com", "impersonate": True}

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ews-readers-")))
        self.server: EwsServer = self._stack.enter_context(ews_server(flavour=self.flavour))
        everybody = ["*@example.com"]
        self.server.add_account("svc@example.com", "secret", impersonates=everybody)
        self.server.add_account("EXAMPLE\\svc", "secret", full_access=everybody)
        for name, password in (("right", "secret"), ("wrong", "wrong-password")):
            (self._folder / name).write_text(password)
        trustme.CA().cert_pem.write_to_path(str(self._folder / "other.pem"))

    def add_mailbox(self) -> str:
        address = f"desk{next(_numbers)}@example.com"
        self.server.add_mailbox(address)
        return address

    def open(self, mailbox: str, **settings: Any) -> MailboxReader:
        own = {
            "kind": "ews", "name": "desk", "address": mailbox, "url": self.server.url,
            "password": {"file": str(self._folder / "right")}, "tls": {"ca_file": str(self.server.ca_file)},
        }  # fmt: skip
        values = EwsMailbox.model_validate(own | self.settings | self.of(mailbox) | settings)
        return open_reader(values, set_aside_folder=self._folder / "aside")

    def of(self, mailbox: str) -> dict[str, Any]:
        """Settings that name the mailbox."""
        return {}

    def deliver(self, mailbox: str, data: bytes) -> None:
        moment = _BEGINNING + timedelta(seconds=next(_numbers))
        self.server.add_item(mailbox, data, folder="inbox", is_read=False, received_at=moment)

    def lying(self, mailbox: str, folder: str = "") -> list[Lying]:
        found = [each for each in self.server.items(mailbox) if each.folder == (folder or "inbox")]
        found.sort(key=lambda each: str(each.received_at))
        return [Lying(each.message_id, each.is_read) for each in found]

    def take_away(self, mailbox: str, message_id: str) -> None:
        for each in self.server.items(mailbox, "inbox"):
            if each.message_id == message_id:
                self.server.delete_item(each.id)

    def fault(self, fault: Fault, mailbox: str) -> AbstractContextManager[MailboxReader]:
        settings: dict[Fault, dict[str, Any]] = {
            Fault.PASSWORD: {"password": {"file": str(self._folder / "wrong")}},
            Fault.UNTRUSTED: {"tls": {"ca_file": str(self._folder / "other.pem")}},
            Fault.DOWN: {"url": "https://localhost:9/EWS/Exchange.asmx"},
            Fault.NO_FOLDER: {"folder": "Inbox/Absent"},
        }
        return self._with(self.open(mailbox, **settings[fault]))

    def restart(self) -> None:
        """It is not restarted."""

    def close(self) -> None:
        self._stack.close()

    @contextmanager
    def _with(self, reader: MailboxReader) -> Iterator[MailboxReader]:
        yield reader


class OtherEws(Ews):
    """Another server than Exchange, by NTLM, at a shared mailbox."""

    flavour = "other"
    settings: ClassVar[dict[str, Any]] = {"sign_in": "ntlm", "user": "EXAMPLE\\svc"}

    def of(self, mailbox: str) -> dict[str, Any]:
        return {"address": "svc@example.com", "shared_mailbox": mailbox}
