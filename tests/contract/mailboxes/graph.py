"""Exchange Online as the test server of Microsoft Graph has it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import trustme

from mta.adapters.mailbox import open_server
from mta.config.mailbox_schema import GraphMailboxes
from mta.ports.mailbox import SentItems
from tests.contract.mailboxes import mime_eyes
from tests.contract.mailboxes.harness import Fault, FilingPlace, Kept, Original, Place, Shown
from tests.contract.mailboxes.mime_eyes import words_of
from tests.peers.graph import AUDIENCE, GraphServer, PeerItem, graph_server
from tests.peers.https import Authority
from tests.peers.oauth import App, oauth_server

_FOLDERS: dict[Place, str] = {
    "sent": "sentitems", "deleted": "deleteditems", "recoverable": "recoverableitemsdeletions",
}  # fmt: skip
_OUTLOOKS = {
    "Importance": ("high", "Integer 0x0017", 2),
    "Sensitivity": ("Private", "Integer 0x0036", 2),
    "Disposition-Notification-To": ("jane@example.com", "Boolean 0x0029", True),
}
"""What Outlook, which knows these header fields, sets on the item."""
_FILED: dict[FilingPlace, str] = {
    "inbox": "inbox", "below": "inbox/Tickets", "sent": "sentitems", "deleted": "deleteditems",
}  # fmt: skip
_numbers = count(1)


class Graph:
    """Fulfils `Harness`."""

    kind = "graph"
    keeps = frozenset(set(Kept) - {Kept.KEYWORDS})
    faults = frozenset(Fault)

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="graph-")))
        self._authority = Authority(self._folder)
        self._oauth = self._stack.enter_context(oauth_server(self._authority))
        self._app = self._oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)})
        self.server: GraphServer = self._stack.enter_context(graph_server(self._oauth, self._authority))

    def open(self) -> SentItems:
        return self._opened()

    def close(self) -> None:
        self._stack.close()

    def add_mailbox(self) -> str:
        address = f"user{next(_numbers)}@example.com"
        self.server.add_mailbox(address)
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
        properties: dict[str, Any] = {
            "SystemTime 0x0E06": original.stored_at,
            "String 0x1035": mime_eyes.shown(original.mime, ()).message_id,
        }
        for name, (value, known, number) in _OUTLOOKS.items():
            if f"{name}: {value}".encode() in original.mime:
                properties[known] = number
        item = self.server.add_item(
            mailbox,
            original.mime,
            folder=_FILED[place],
            is_draft=original.is_draft,
            is_read=original.marks.is_read,
            categories=original.marks.categories,
            properties=properties,
        )
        if original.marks.follow_up.status == "flagged":
            self.server.change_item(item, flag="flagged")

    def shown(self, mailbox: str, place: Place = "sent") -> list[Shown]:
        return [_shown(item) for item in self.server.items(mailbox, _FOLDERS[place])]

    def mark(self, mailbox: str, message_id: str, *, is_read: bool, is_flagged: bool) -> None:
        flag = "flagged" if is_flagged else "notFlagged"
        self.server.change_item(self._id(mailbox, message_id), is_read=is_read, flag=flag)  # type: ignore[arg-type]

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
                other = self._oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)})
                server.restrict(other, ["boss@example.com"])
                settings["oauth"] = self._oauth_of(other)
            case Fault.FULL:
                server.change_mailbox(mailbox, quota_octets=1)
            case Fault.REFUSED:
                server.fail("code", operation="create", code="ErrorMessageSizeExceeded", status=413)
            case Fault.BUSY:
                server.fail("busy", times=-1, mailbox=mailbox, retry_after="7")
            case Fault.SIGN_IN:
                settings["oauth"] = self._oauth_of(self._app, "wrong-password")
            case Fault.UNTRUSTED:
                trustme.CA().cert_pem.write_to_path(str(self._folder / "other.pem"))
                settings["tls"] = {"ca_file": str(self._folder / "other.pem")}
            case Fault.OTHER_NAME:
                certificate = self._authority.ca.issue_cert("other.example.com")
                other_server = graph_server(self._oauth, self._authority, certificate=certificate)
                settings["url"] = stack.enter_context(other_server).url
            case Fault.UNAVAILABLE:
                server.change_mailbox(mailbox, unavailable="ErrorMailboxMoveInProgress")
            case Fault.OVERLOADED:
                server.fail("code", times=-1, mailbox=mailbox, code="ErrorTooManyObjectsOpened", status=500)
            case Fault.DOWN:
                settings["url"] = "https://localhost:9"
            case Fault.NONSENSE:  # somebody else answers; an answer of 2xx would leave open what was done
                server.fail("status", times=-1, mailbox=mailbox, status=302)
            case Fault.LOST_ANSWER:
                server.fail("drop", operation="create", mailbox=mailbox)
            case Fault.SLOW_ANSWER:
                server.fail("hang", operation="create", mailbox=mailbox)
                settings["timeout"] = "2s"
        with stack:
            yield self._opened(**settings)
        server.heal()
        server.change_mailbox(mailbox, quota_octets=None, unavailable="")

    def _opened(self, **settings: Any) -> SentItems:
        own = {
            "kind": "graph", "name": "online", "url": self.server.url, "oauth": self._oauth_of(self._app),
            "tls": {"ca_file": str(self._authority.file)},
        }  # fmt: skip
        return open_server(GraphMailboxes.model_validate(own | settings))

    def _oauth_of(self, app: App, secret: str = "") -> dict[str, Any]:
        file = self._folder / f"secret{next(_numbers)}"
        file.write_text(secret or app.secret)
        return {
            "tenant": self._oauth.tenant, "client_id": app.client_id, "client_secret": {"file": str(file)},
            "authority": self._oauth.authority_url, "scope": f"{AUDIENCE}/.default",
        }  # fmt: skip

    def _id(self, mailbox: str, message_id: str) -> str:
        return next(item.id for item in self.server.items(mailbox, "sentitems") if item.message_id == message_id)


def _shown(item: PeerItem) -> Shown:
    body, is_html = (item.text or "", False) if item.html is None else (item.html, True)
    return Shown(
        message_id=item.message_id,
        is_draft=item.is_draft,
        is_read=item.is_read,
        is_flagged=item.flag == "flagged",
        bcc=tuple(sorted(item.bcc)),
        words=words_of(body, is_html=is_html),
        files=tuple(
            sorted(
                ("", b"") if file.kind == "item" or file.content_type == "message/rfc822" else (file.name, file.data)
                for file in item.attachments
            )
        ),
    )
