"""Exchange as the test server of Exchange Web Services has it; and another server that speaks EWS."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Literal

import trustme

from mta.adapters.mailbox import open_server
from mta.config.mailbox_schema import EwsMailboxes
from mta.ports.mailbox import SentItems
from tests.contract.mailboxes.harness import Fault, FilingPlace, Kept, Original, Place, Shown
from tests.contract.mailboxes.mime_eyes import words_of
from tests.peers.ews import EwsServer, PeerItem, ews_server

_FOLDERS: dict[Place, str] = {
    "sent": "sentitems", "deleted": "deleteditems", "recoverable": "recoverableitemsdeletions",
}  # fmt: skip
_FILED: dict[FilingPlace, str] = {
    "inbox": "inbox", "below": "inbox/Tickets", "sent": "sentitems", "deleted": "deleteditems",
}  # fmt: skip
_numbers = count(1)


class Ews:
    """Fulfils `Harness`: Exchange, by Basic and impersonation."""

    kind: ClassVar[str] = "ews"
    keeps = frozenset(set(Kept) - {Kept.KEYWORDS})
    faults = frozenset(Fault)
    flavour: ClassVar[Literal["exchange", "other"]] = "exchange"
    settings: ClassVar[dict[str, Any]] = {"sign_in": "basic", "user": "svc@example.com"}

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ews-contract-")))
        self.server: EwsServer = self._stack.enter_context(ews_server(flavour=self.flavour))
        everybody = ["*@example.com"]
        self.server.add_account("svc@example.com", "secret", impersonates=everybody)
        self.server.add_account("EXAMPLE\\svc", "secret", full_access=everybody)
        self.server.add_account("few@example.com", "secret", impersonates=["boss@example.com"])
        for name, password in (("right", "secret"), ("wrong", "wrong-password")):
            (self._folder / name).write_text(password)

    def open(self) -> SentItems:
        return self._opened()

    def close(self) -> None:
        self._stack.close()

    def add_mailbox(self) -> str:
        address = f"user{next(_numbers)}@example.com"
        self.server.add_mailbox(address)
        self.server.add_folder(address, _FILED["below"])
        return address

    def absent_mailbox(self) -> str:
        return "nobody@example.com"

    def put(self, mailbox: str, original: Original) -> None:
        self.put_in(mailbox, original, "sent")

    def categories(self, mailbox: str) -> list[tuple[FilingPlace, str, frozenset[str]]]:
        return sorted(
            (place, item.message_id, frozenset(item.categories))
            for place, folder in _FILED.items()
            for item in self.server.items(mailbox, folder)
        )

    def put_in(self, mailbox: str, original: Original, place: FilingPlace) -> None:
        item = self.server.add_item(
            mailbox,
            original.mime,
            folder=_FILED[place],
            is_draft=original.is_draft,
            is_read=original.marks.is_read,
            categories=original.marks.categories,
            properties={"0x0E06": original.stored_at},
        )
        if original.marks.follow_up.status == "flagged":
            self.server.change_item(item, flag="Flagged")

    def shown(self, mailbox: str, place: Place = "sent") -> list[Shown]:
        return [_shown(item) for item in self.server.items(mailbox, _FOLDERS[place])]

    def mark(self, mailbox: str, message_id: str, *, is_read: bool, is_flagged: bool) -> None:
        flag: Literal["Flagged", "NotFlagged"] = "Flagged" if is_flagged else "NotFlagged"
        self.server.change_item(self._id(mailbox, message_id), is_read=is_read, flag=flag)

    def delete(self, mailbox: str, message_id: str) -> None:
        self.server.delete_item(self._id(mailbox, message_id))

    def fault(self, fault: Fault, mailbox: str) -> AbstractContextManager[SentItems]:
        return self._faulty(fault, mailbox)

    @contextmanager
    def _faulty(self, fault: Fault, mailbox: str) -> Iterator[SentItems]:
        server, stack = self.server, ExitStack()
        settings: dict[str, Any] = {}
        match fault:
            case Fault.DENIED:
                settings |= {"sign_in": "basic", "user": "few@example.com", "impersonate": True}
            case Fault.FULL:
                server.change_mailbox(mailbox, quota_octets=1)
            case Fault.REFUSED:
                server.fail("code", operation="CreateItem", code="ErrorMessageSizeExceeded")
            case Fault.BUSY:
                server.fail("busy", times=-1, back_off_ms=7000)
            case Fault.SIGN_IN:
                settings["password"] = {"file": str(self._folder / "wrong")}
            case Fault.UNTRUSTED:
                trustme.CA().cert_pem.write_to_path(str(self._folder / "other.pem"))
                settings["tls"] = {"ca_file": str(self._folder / "other.pem")}
            case Fault.OTHER_NAME:
                other = stack.enter_context(ews_server(certificate="other-name"))
                settings |= {"url": other.url, "tls": {"ca_file": str(other.ca_file)}}
            case Fault.UNAVAILABLE:
                server.change_mailbox(mailbox, unavailable="ErrorMailboxMoveInProgress")
            case Fault.OVERLOADED:
                server.fail("code", times=-1, code="ErrorTooManyObjectsOpened")
            case Fault.DOWN:
                settings["url"] = "https://localhost:9/EWS/Exchange.asmx"
            case Fault.NONSENSE:  # somebody else answers; 200 would leave open what was done
                server.fail("status", times=-1, status=302)
            case Fault.LOST_ANSWER:
                server.fail("drop", operation="CreateItem")
            case Fault.SLOW_ANSWER:
                server.fail("hang", operation="CreateItem")
                settings["timeout"] = "2s"
        with stack:
            yield self._opened(**settings)
        server.heal()
        server.change_mailbox(mailbox, quota_octets=None, unavailable="")

    def _opened(self, **settings: Any) -> SentItems:
        own = {
            "kind": "ews", "name": "exchange", "url": self.server.url,
            "password": {"file": str(self._folder / "right")}, "tls": {"ca_file": str(self.server.ca_file)},
        }  # fmt: skip
        return open_server(EwsMailboxes.model_validate(own | self.settings | settings))

    def _id(self, mailbox: str, message_id: str) -> str:
        return next(item.id for item in self.server.items(mailbox, "sentitems") if item.message_id == message_id)


class OtherEws(Ews):
    """Another server than Exchange, by NTLM and with full access to the mailboxes instead of impersonation."""

    kind = "ews-other"
    keeps = Ews.keeps - {Kept.CHANGE_KEYS}
    flavour = "other"
    settings: ClassVar[dict[str, Any]] = {"sign_in": "ntlm", "user": "EXAMPLE\\svc", "impersonate": False}


def _shown(item: PeerItem) -> Shown:
    body, is_html = (item.text or "", False) if item.html is None else (item.html, True)
    return Shown(
        message_id=item.message_id,
        is_draft=item.is_draft,
        is_read=item.is_read,
        is_flagged=item.flag == "Flagged",
        bcc=tuple(sorted(item.bcc)),
        words=words_of(body, is_html=is_html),
        files=tuple(sorted(("", b"") if each.is_item else (each.name, each.content) for each in item.attachments)),
    )
