"""What tests hold of a running server: they arrange mailboxes and faults, act as users do, and read what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import trustme

from tests.peers.graph.access import Access
from tests.peers.graph.bodies import stored_html
from tests.peers.graph.faults import Fault, FaultKind
from tests.peers.graph.mime import mime_of, read_mime
from tests.peers.graph.properties import (
    DELIVERY_TIME,
    FLAG_STATUS,
    ITEM_CLASS,
    MESSAGE_FLAGS,
    MESSAGE_ID,
    READ,
    SUBJECT,
    SUBMIT_TIME,
    UNSENT,
    Value,
    property_id,
)
from tests.peers.graph.reading import FLAG_STATUSES
from tests.peers.graph.service import LoggedRequest, Service
from tests.peers.graph.store import Attachment, Item, Mailbox, Person, SentMail
from tests.peers.https import Authority, HttpsServer
from tests.peers.oauth import App, OAuthServer

Flag = Literal["notFlagged", "flagged", "complete"]


@dataclass(frozen=True, slots=True)
class PeerItem:
    """An item as the store has it."""

    id: str
    """The immutable one."""
    change_key: str
    folder: str
    """Well-known name, or the path of a user's own; what permanentDelete removed is in `recoverableitemspurges`."""
    item_class: str
    subject: str
    message_id: str
    is_draft: bool
    is_read: bool
    sent_at: datetime | None
    received_at: datetime | None
    html: str | None
    text: str | None
    author: Person | None
    sender: Person | None
    to: list[str]
    cc: list[str]
    bcc: list[str]
    reply_to: list[str]
    categories: list[str]
    flag: str
    size_octets: int
    attachments: list[Attachment]
    properties: dict[str, Value]
    """By `0x1035`, `GUID/0x8520` or `GUID/Name`, the GUID in lower case."""
    mime: bytes


@dataclass(frozen=True, slots=True)
class Counters:
    requests: int
    by_operation: dict[str, int]
    connections: int
    most_at_once: int
    """Requests being served at the same time, since the start or `forget`."""
    most_at_once_by_mailbox: dict[str, int]
    open_uploads: int


class GraphServer:
    """Handle of one server; every method may be called at any time."""

    def __init__(self, oauth: OAuthServer, authority: Authority, *, port: int, certificate: trustme.LeafCert | None):
        self.ca_file: Path = authority.file
        self._service = Service(Access(oauth.public_keys, oauth.tenant))
        self._https = HttpsServer(self._service.answer, authority.ca, port=port, certificate=certificate)

    @property
    def url(self) -> str:
        """`https://localhost:PORT`, as `url` of our configuration; v1.0 is below it."""
        return self._https.url

    # --- who is there ---

    def add_mailbox(
        self,
        address: str,
        *,
        name: str = "",
        aliases: Sequence[str] = (),
        quota_octets: int | None = None,
        find_delay_s: float = 0,
        folder_names: Mapping[str, str] | None = None,
    ) -> None:
        """A user's; `address` is the user principal name. With an infinite `find_delay_s` lists wait for `release`.

        `folder_names` are those of well-known folders in another language.
        """
        with self._service.lock:
            shown = name or address.partition("@")[0]
            mailbox = Mailbox(
                address, shown, tuple(aliases), quota_octets, find_delay_s, folder_names=dict(folder_names or {})
            )
            self._service.mailboxes[address.lower()] = mailbox

    def change_mailbox(self, address: str, **settings: Any) -> None:
        """Settings of `add_mailbox`, and `unavailable`: a code that each access gives, or ""."""
        with self._service.lock:
            for name, value in settings.items():
                setattr(self._box(address), name, value)

    def allow_send_as(self, mailbox: str, addresses: Sequence[str]) -> None:
        """Mail from this mailbox may be from these, too."""
        with self._service.lock:
            self._box(mailbox).send_as = tuple(address.lower() for address in addresses)

    def remove_mailbox(self, address: str) -> None:
        with self._service.lock:
            del self._service.mailboxes[address.lower()]

    def grant(self, app: App, addresses: Sequence[str], *, permission: str = "Mail.ReadWrite") -> None:
        """RBAC for Applications: a right within a scope, `*` standing for anything."""
        with self._service.lock:
            self._service.access.grants.setdefault(app.client_id, []).append((permission, tuple(addresses)))

    def restrict(self, app: App, addresses: Sequence[str]) -> None:
        """An application access policy: what the token's roles allow holds there only."""
        with self._service.lock:
            self._service.access.policies[app.client_id] = tuple(addresses)

    def refuse_tokens(self, *, refuses: bool = True) -> None:
        """Tokens that verify are refused all the same: revoked, or by a policy."""
        self._service.access.refuses_tokens = refuses

    # --- what users do ---

    def add_item(
        self,
        mailbox: str,
        mime: bytes,
        *,
        folder: str = "sentitems",
        is_draft: bool = False,
        is_read: bool = True,
        categories: Sequence[str] = (),
        item_class: str = "IPM.Note",
        sent_at: datetime | None = None,
        received_at: datetime | None = None,
        properties: Mapping[str, Value] | None = None,
    ) -> str:
        """An item as Outlook would have put it there; gives its id. Listed at once. `properties` by Graph's ids."""
        with self._service.lock:
            box = self._box(mailbox)
            item = Item(box, box.add_folder(folder))
            read_mime(item, mime)
            if item.body_type == "html":
                item.body = stored_html(item.body)
            if sent_at is not None:
                item.properties[SUBMIT_TIME] = sent_at.astimezone(UTC)
            if SUBMIT_TIME in item.properties:
                item.properties[DELIVERY_TIME] = item.properties[SUBMIT_TIME]
            if received_at is not None:
                item.properties[DELIVERY_TIME] = received_at.astimezone(UTC)
            item.properties[ITEM_CLASS] = item_class
            item.properties[MESSAGE_FLAGS] = (READ if is_read else 0) | (UNSENT if is_draft else 0)
            item.categories = list(categories)
            _put(item, properties)
            box.add(item)
            item.listed_from = 0.0
            return item.immutable_id

    def copy_item(self, item: str, count: int) -> None:
        """So many more of it in its folder, each received a second after the one before."""
        with self._service.lock:
            found = self._item(item)
            received_at = _moment(found, DELIVERY_TIME)
            assert received_at is not None
            for number in range(1, count + 1):
                twin = found.mailbox.copy(found, found.folder)
                twin.properties[DELIVERY_TIME] = received_at + timedelta(seconds=number)
                twin.listed_from = 0.0

    def change_item(
        self,
        item: str,
        *,
        subject: str | None = None,
        html: str | None = None,
        text: str | None = None,
        is_read: bool | None = None,
        categories: Sequence[str] | None = None,
        flag: Flag | None = None,
        properties: Mapping[str, Value] | None = None,
    ) -> None:
        """As its owner changes it: it has another change key afterwards."""
        with self._service.lock:
            found = self._item(item)
            if subject is not None:
                found.properties[SUBJECT] = subject
            if html is not None:
                found.body_type, found.body = "html", stored_html(html)
            if text is not None:
                found.body_type, found.body = "text", text
            if is_read is not None:
                found.set_read(is_read)
            if categories is not None:
                found.categories = list(categories)
            if flag is not None:
                found.properties[FLAG_STATUS] = FLAG_STATUSES[flag]
            _put(found, properties)
            found.touch()

    def move_item(self, item: str, folder: str) -> str:
        """Into a well-known folder, or one of that name below the top; its id stays."""
        with self._service.lock:
            found = self._item(item)
            found.mailbox.move(found, found.mailbox.add_folder(folder))
            return found.immutable_id

    def delete_item(self, item: str) -> None:
        """For good, past every retention."""
        with self._service.lock:
            found = self._item(item)
            del found.mailbox.items[found.key]

    # --- what is there ---

    def items(self, mailbox: str, folder: str = "") -> list[PeerItem]:
        """Items in the order in which they were made; all folders', recoverable items too, where none is named."""
        with self._service.lock:
            return [_seen(item) for item in self._box(mailbox).items.values() if folder in ("", item.folder.name)]

    def item(self, item: str) -> PeerItem | None:
        """By id of either kind."""
        with self._service.lock:
            return next((_seen(one) for one in self._all() if item in (one.immutable_id, one.id)), None)

    def add_folder(self, mailbox: str, path: str) -> None:
        """`inbox/Tickets`: below a well-known one, or the top; made with those above it."""
        with self._service.lock:
            self._box(mailbox).add_folder(path)

    def remove_folder(self, mailbox: str, path: str) -> None:
        """With what is in it."""
        with self._service.lock:
            box = self._box(mailbox)
            gone = box.folders.pop(path)
            for item in [item for item in box.items.values() if item.folder is gone]:
                del box.items[item.key]

    def folders(self, mailbox: str) -> list[str]:
        """Names as in `PeerItem.folder`."""
        with self._service.lock:
            return [name for name in self._box(mailbox).folders if not name.startswith("recoverable")]

    def receipts(self, mailbox: str) -> list[tuple[str, str]]:
        """Read receipts that went out of it: Message-ID, and `read` or `not-read`."""
        with self._service.lock:
            return list(self._box(mailbox).receipts)

    def sent(self) -> list[SentMail]:
        """What sendMail has sent, of all mailboxes."""
        with self._service.lock:
            return [mail for box in self._service.mailboxes.values() for mail in box.sent]

    def release(self, mailbox: str) -> None:
        """Lists show everything of the mailbox now."""
        with self._service.lock:
            for item in self._box(mailbox).items.values():
                item.listed_from = 0.0

    # --- what goes wrong ---

    def fail(
        self,
        kind: FaultKind,
        *,
        times: int = 1,
        after: int = 0,
        operation: str = "",
        mailbox: str = "",
        code: str = "",
        status: int = 503,
        retry_after: str = "",
        delay_s: float = 0,
    ) -> None:
        """The next requests that fit (`after` so many that go well) go wrong that way; faults queue up.

        `times` -1 is until `heal`. `operation` may be several, separated by spaces: those of `routes.py`.
        """
        with self._service.lock:
            self._service.faults.append(
                Fault(kind, times, after, operation, mailbox, code, status, retry_after, delay_s)
            )

    def heal(self) -> None:
        """No faults from now on."""
        with self._service.lock:
            self._service.faults.clear()

    def faults_left(self) -> int:
        """How many of those that were ordered haven't struck yet."""
        with self._service.lock:
            return sum(fault.times for fault in self._service.faults if fault.times > 0)

    def limit(self, **limits: Any) -> None:
        """Set what `settings.Settings` has."""
        with self._service.lock:
            for name, value in limits.items():
                assert hasattr(self._service.settings, name), name
                setattr(self._service.settings, name, value)

    def expire_uploads(self) -> None:
        """The upload sessions that are open end now."""
        with self._service.lock:
            for session in self._service.uploads.sessions.values():
                session.expires_at = datetime.now(UTC)

    # --- what was seen ---

    def log(self) -> list[LoggedRequest]:
        with self._service.lock:
            return list(self._service.log)

    def counters(self) -> Counters:
        with self._service.lock:
            by_operation: dict[str, int] = {}
            for entry in self._service.log:
                by_operation[entry.operation] = by_operation.get(entry.operation, 0) + 1
            throttle, uploads = self._service.throttle, self._service.uploads
            return Counters(
                len(self._service.log), by_operation, self._https.connections, throttle.most,
                throttle.most_by_mailbox(), len(uploads.sessions),
            )  # fmt: skip

    def forget(self) -> None:
        """Begin log and counters anew."""
        with self._service.lock:
            self._service.log.clear()
            self._service.throttle.forget()

    def _box(self, address: str) -> Mailbox:
        return self._service.mailboxes[address.lower()]

    def _all(self) -> Iterator[Item]:
        for box in self._service.mailboxes.values():
            yield from box.items.values()

    def _item(self, item: str) -> Item:
        return next(one for one in self._all() if item in (one.immutable_id, one.id))


def _put(item: Item, properties: Mapping[str, Value] | None) -> None:
    for text, value in (properties or {}).items():
        item.properties[property_id(text).key] = value


def _moment(item: Item, key: str) -> datetime | None:
    value = item.properties.get(key)
    return value if isinstance(value, datetime) else None


def _seen(item: Item) -> PeerItem:
    status = item.properties.get(FLAG_STATUS, 0)
    return PeerItem(
        id=item.immutable_id,
        change_key=item.change_key,
        folder=item.folder.name,
        item_class=str(item.properties[ITEM_CLASS]),
        subject=str(item.properties[SUBJECT]),
        message_id=str(item.properties[MESSAGE_ID]),
        is_draft=item.is_draft,
        is_read=item.is_read,
        sent_at=_moment(item, SUBMIT_TIME),
        received_at=_moment(item, DELIVERY_TIME),
        html=item.body if item.body_type == "html" else None,
        text=item.text,
        author=item.author,
        sender=item.sender,
        to=[one.address for one in item.to],
        cc=[one.address for one in item.cc],
        bcc=[one.address for one in item.bcc],
        reply_to=[one.address for one in item.reply_to],
        categories=list(item.categories),
        flag=next(name for name, number in FLAG_STATUSES.items() if number == status),
        size_octets=item.size,
        attachments=list(item.attachments),
        properties={key.replace("{", "").replace("}", ""): value for key, value in item.properties.items()},
        mime=mime_of(item),
    )


@contextmanager
def graph_server(
    oauth: OAuthServer, authority: Authority, *, port: int = 0, certificate: trustme.LeafCert | None = None
) -> Iterator[GraphServer]:
    """A running server that believes the tokens of `oauth`, with no mailbox yet.

    Its certificate is from `authority`, unless another one is given. Afterwards fails if it failed inside.
    """
    server = GraphServer(oauth, authority, port=port, certificate=certificate)
    with server._https:
        server._service.base = server.url
        yield server
    assert not server._service.failures, f"the test server itself failed: {server._service.failures[:3]}"
