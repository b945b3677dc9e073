"""What tests hold of a running server: they arrange mailboxes and faults, act as users do, and read what is there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Literal

from tests.peers.ews.values import from_json, to_json

FaultKind = Literal[
    "code", "fault", "busy", "status", "html", "garbage", "empty", "truncated", "reset", "drop", "hang", "slow"
]
"""`code`: a response message of that code. `fault`: a SOAP fault of that code. `busy`: ErrorServerBusy with
`back_off_ms`. `status`: that HTTP status, with Retry-After if given. `html`, `garbage`, `empty`, `truncated`: 200 with
that instead of an answer. `reset`: the connection is reset before anything is done. `drop`: everything is done, and
the connection is reset instead of an answer. `hang`: done, but never answered. `slow`: answered `delay_s`
later, or after `heal`."""


class RefusedByControlError(Exception):
    """The server couldn't do what the test asked for."""


@dataclass(frozen=True, slots=True)
class PeerAttachment:
    id: str
    name: str
    content_type: str
    content_id: str
    is_inline: bool
    is_item: bool
    content: bytes


@dataclass(frozen=True, slots=True)
class PeerItem:
    """An item as the store has it."""

    id: str
    change_key: str
    folder: str
    """Distinguished name, or the path of a user's own folder."""
    item_class: str
    subject: str
    message_id: str
    is_draft: bool
    is_read: bool
    sent_at: datetime | None
    received_at: datetime | None
    html: str | None
    text: str | None
    to: list[str]
    cc: list[str]
    bcc: list[str]
    categories: list[str]
    flag: str
    """NotFlagged, Flagged or Complete."""
    size_octets: int
    attachments: list[PeerAttachment]
    properties: dict[str, Any]
    """By `0x1035`, `Common/0x8520`, `PublicStrings/Name`, or `GUID/name` (GUID in lower case)."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    number: int
    operation: str
    """`GetItem`; `?` where there was none."""
    account: str
    mailbox: str
    """The impersonated one, else the account's own."""
    status: int
    """Of HTTP; 0 where the connection was cut."""
    codes: list[str]
    """Response codes, one per response message, or the fault's."""
    valid: bool
    """Whether the request was valid by the schema."""
    octets: int
    at: float
    """Monotonic seconds at arrival."""
    ended_at: float
    """And when the answer began to be sent."""


@dataclass(frozen=True, slots=True)
class Counters:
    requests: int
    by_operation: dict[str, int]
    connections: int
    most_at_once: int
    """Requests being served at the same time, since the start or `forget`."""
    most_at_once_by_mailbox: dict[str, int]
    wrong_sign_ins: dict[str, int]
    invalid_responses: list[str]
    """Faults of this server itself: what the schema said."""


class EwsServer:
    """Handle of one server."""

    def __init__(self, url: str, control_port: int, ca_file: Path) -> None:
        self.url = url
        """`https://localhost:PORT/EWS/Exchange.asmx`"""
        self.ca_file = ca_file
        self.autodiscover_url = url.replace("/EWS/Exchange.asmx", "/autodiscover/autodiscover.svc")
        self._control_port = control_port

    # --- who is there ---

    def add_mailbox(
        self,
        address: str,
        *,
        name: str = "",
        aliases: Sequence[str] = (),
        quota_octets: int | None = None,
        keeps_deleted: bool = True,
        on_hold: bool = False,
        find_delay_s: float = 0,
        folder_names: Mapping[str, str] | None = None,
    ) -> None:
        """A user's mailbox. `keeps_deleted` is single item recovery; an infinite `find_delay_s` ends by `release`.

        `folder_names` are those of distinguished folders in another language.
        """
        self._call(
            "add_mailbox",
            address=address,
            name=name,
            aliases=list(aliases),
            quota_octets=quota_octets,
            keeps_deleted=keeps_deleted,
            on_hold=on_hold,
            find_delay_s=find_delay_s,
            folder_names=dict(folder_names or {}),
        )

    def change_mailbox(self, address: str, **settings: Any) -> None:
        """Settings of `add_mailbox`, and `unavailable`: a response code that each access gives, or ""."""
        self._call("change_mailbox", address=address, **settings)

    def remove_mailbox(self, address: str) -> None:
        """As if it had gone to another place."""
        self._call("remove_mailbox", address=address)

    def add_group(self, address: str, name: str = "") -> None:
        """A distribution list: an address without a mailbox."""
        self._call("add_group", address=address, name=name)

    def add_account(
        self,
        user: str,
        password: str = "",
        *,
        mailbox: str = "",
        impersonates: Sequence[str] = (),
        full_access: Sequence[str] = (),
        read_access: Sequence[str] = (),
        locks_after: int = 0,
    ) -> None:
        """Who may sign in: `user@example.com` or `DOMAIN\\user`; an app by its client id, with OAuth.

        The scopes are addresses, `*` standing for anything. `locks_after` so many wrong passwords it is locked.
        """
        self._call(
            "add_account",
            user=user,
            password=password,
            mailbox=mailbox,
            impersonates=list(impersonates),
            full_access=list(full_access),
            read_access=list(read_access),
            locks_after=locks_after,
        )

    def change_account(self, user: str, **settings: Any) -> None:
        """Settings of `add_account`, and `is_locked`, `may_impersonate_at_all`."""
        self._call("change_account", user=user, **settings)

    def is_locked(self, user: str) -> bool:
        return bool(self._call("is_locked", user=user))

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
        item_class: str = "",
        sent_at: datetime | None = None,
        received_at: datetime | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> str:
        """An item as Outlook would have put it there; gives its id. Seen by FindItem at once."""
        return str(
            self._call(
                "add_item",
                mailbox=mailbox,
                mime=mime,
                folder=folder,
                is_draft=is_draft,
                is_read=is_read,
                categories=list(categories),
                item_class=item_class,
                sent_at=sent_at,
                received_at=received_at,
                properties=dict(properties or {}),
            )
        )

    def copy_item(self, item: str, count: int) -> None:
        """So many more of it in its folder, each received a second after the one before."""
        self._call("copy_item", item=item, count=count)

    def change_item(
        self,
        item: str,
        *,
        subject: str | None = None,
        html: str | None = None,
        text: str | None = None,
        is_read: bool | None = None,
        categories: Sequence[str] | None = None,
        flag: Literal["NotFlagged", "Flagged", "Complete"] | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        """As its owner changes it: it has another change key afterwards."""
        self._call(
            "change_item",
            item=item,
            subject=subject,
            html=html,
            text=text,
            is_read=is_read,
            categories=None if categories is None else list(categories),
            flag=flag,
            properties=dict(properties or {}),
        )

    def move_item(self, item: str, folder: str) -> str:
        """Into a folder by its distinguished name, or by the path of one that is made; gives the new id."""
        return str(self._call("move_item", item=item, folder=folder))

    def add_folder(self, mailbox: str, path: str, folder_class: str = "IPF.Note") -> None:
        """`inbox/Tickets`: below a distinguished one, or the top; made with those above it."""
        self._call("add_folder", mailbox=mailbox, path=path, folder_class=folder_class)

    def remove_folder(self, mailbox: str, path: str) -> None:
        """With what is in it."""
        self._call("remove_folder", mailbox=mailbox, path=path)

    def delete_item(self, item: str) -> None:
        """For good, past every retention."""
        self._call("delete_item", item=item)

    # --- what is there ---

    def items(self, mailbox: str, folder: str = "") -> list[PeerItem]:
        """Items in the order in which they were made; all folders', recoverable items too, where none is named."""
        found = self._call("items", mailbox=mailbox, folder=folder)
        return [PeerItem(**(entry | {"attachments": _attachments(entry)})) for entry in found]

    def item(self, item: str) -> PeerItem | None:
        entry = self._call("item", item=item)
        return None if entry is None else PeerItem(**(entry | {"attachments": _attachments(entry)}))

    def folders(self, mailbox: str) -> list[str]:
        """Paths, as in `PeerItem.folder`."""
        return list(self._call("folders", mailbox=mailbox))

    def receipts(self, mailbox: str) -> list[tuple[str, str]]:
        """Read receipts that went out of it: Message-ID, and `read` or `not-read`."""
        return [(message_id, what) for message_id, what in self._call("receipts", mailbox=mailbox)]

    def release(self, mailbox: str) -> None:
        """FindItem sees everything of the mailbox now."""
        self._call("release", mailbox=mailbox)

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
        back_off_ms: int | None = None,
        delay_s: float = 0,
    ) -> None:
        """The next requests that fit (`after` so many that go well) go wrong that way; faults queue up.

        `times` -1 is until `heal`. `operation` may be several, separated by spaces.
        """
        self._call(
            "fail",
            kind=kind,
            times=times,
            after=after,
            operation=operation,
            mailbox=mailbox,
            code=code,
            status=status,
            retry_after=retry_after,
            back_off_ms=back_off_ms,
            delay_s=delay_s,
        )

    def heal(self) -> None:
        """No faults from now on."""
        self._call("heal")

    def limit(self, **limits: Any) -> None:
        """Change settings of the whole server.

        `per_budget` requests at a time for one mailbox or account (0: any number), `in_all`, `over_code` (what one too
        many is answered), `latency_s`, `largest_item` and `largest_request` octets, `largest_page` of searches,
        `stale_code` (of UpdateItem with an old key), `checks_key_of_delete`, `refuses_mime_of_others`, `offers` (of
        `basic`, `ntlm`, `bearer`), `redirects` of Autodiscover (from address or domain to address or URL).
        """
        self._call("limit", **limits)

    # --- what was seen ---

    def log(self) -> list[LoggedRequest]:
        return [LoggedRequest(**entry) for entry in self._call("log")]

    def counters(self) -> Counters:
        return Counters(**self._call("counters"))

    def forget(self) -> None:
        """Begin log and counters anew."""
        self._call("forget")

    def _call(self, command: str, **arguments: Any) -> Any:
        connection = HTTPConnection("127.0.0.1", self._control_port, timeout=60)
        try:
            connection.request("POST", f"/{command}", json.dumps(to_json(arguments)))
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            raise RefusedByControlError(f"{command}: {body}")
        return from_json(json.loads(body))


def _attachments(entry: Mapping[str, Any]) -> list[PeerAttachment]:
    return [PeerAttachment(**attachment) for attachment in entry["attachments"]]
