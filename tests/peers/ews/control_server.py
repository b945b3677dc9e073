"""The server's side of `EwsServer`: each of its methods is a command here, by the same name."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.peers.ews import properties as p
from tests.peers.ews.access import Account
from tests.peers.ews.contents import body_of
from tests.peers.ews.errors import EwsError
from tests.peers.ews.faults import Fault
from tests.peers.ews.ids import change_key
from tests.peers.ews.items import Item
from tests.peers.ews.mailboxes import Folder, Mailbox
from tests.peers.ews.marks import FLAG_WORDS
from tests.peers.ews.mime_in import read_mime
from tests.peers.ews.properties import key_from
from tests.peers.ews.service import Service
from tests.peers.ews.sign_in import SignIn
from tests.peers.ews.values import from_json, to_json


class NoSuchThingError(Exception):
    """What a test named isn't here."""


class Control:
    """The commands."""

    def __init__(self, service: Service, sign_in: SignIn) -> None:
        self._service = service
        self._store = service.store
        self._sign_in = sign_in

    def __call__(self, command: str, arguments: dict[str, Any]) -> Any:
        operate: Callable[..., Any] | None = None if command.startswith("_") else getattr(self, command, None)
        if operate is None:
            raise NoSuchThingError(command)
        with self._store.lock:
            return operate(**arguments)

    # --- who is there ---

    def add_mailbox(self, address: str, name: str, aliases: Sequence[str], **settings: Any) -> None:
        self._store.add(Mailbox(address.lower(), name or address.partition("@")[0].title(), tuple(aliases), **settings))

    def change_mailbox(self, address: str, **settings: Any) -> None:
        _set(self._mailbox(address), settings)

    def remove_mailbox(self, address: str) -> None:
        self._store.remove(self._mailbox(address))

    def add_group(self, address: str, name: str) -> None:
        self._store.groups[address.lower()] = name or address

    def add_account(self, user: str, **settings: Any) -> None:
        account = Account(user)
        self._service.accounts.add(account)
        self.change_account(user, **settings)

    def change_account(self, user: str, **settings: Any) -> None:
        lists = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
        _set(self._account(user), lists)
        self._sign_in.write_users()

    def is_locked(self, user: str) -> bool:
        return self._account(user).is_locked

    # --- what users do ---

    def add_item(
        self,
        mailbox: str,
        mime: bytes,
        folder: str,
        is_draft: bool,
        is_read: bool,
        categories: Sequence[str],
        item_class: str,
        sent_at: datetime | None,
        received_at: datetime | None,
        properties: dict[str, Any],
    ) -> str:
        box = self._mailbox(mailbox)
        item = self._store.new_item(box, self._folder(box, folder))
        item.visible_at = 0
        read_mime(item, mime)
        item.is_draft, item.is_read = is_draft, is_read
        if categories:
            item.properties[p.CATEGORIES] = tuple(categories)
        if item_class:
            item.properties[p.CLASS] = item_class
        if sent_at is not None:
            item.properties |= {p.SUBMIT_TIME: sent_at, p.DELIVERY_TIME: sent_at}
        if received_at is not None:
            item.properties[p.DELIVERY_TIME] = received_at
        item.properties.setdefault(p.DELIVERY_TIME, item.properties.get(p.SUBMIT_TIME, datetime.now(UTC)))
        item.properties |= _stored(properties)
        item.complete(datetime.now(UTC))
        item.properties[p.MODIFIER] = box.name
        box.put(item)
        return item.id

    def copy_item(self, item: str, count: int) -> None:
        box, found = self._store.item(item)
        folder = box.folders[found.folder]
        for number in range(1, count + 1):
            twin = self._store.copy(found, box, folder)
            twin.properties[p.DELIVERY_TIME] = found.properties[p.DELIVERY_TIME] + timedelta(seconds=number)

    def change_item(
        self,
        item: str,
        subject: str | None,
        html: str | None,
        text: str | None,
        is_read: bool | None,
        categories: Sequence[str] | None,
        flag: str | None,
        properties: dict[str, Any],
    ) -> None:
        box, found = self._store.item(item)
        box.used -= found.size
        names = [str(key_from(name)) for name in properties]
        found.properties |= _stored(properties)
        if subject is not None:
            found.properties[p.SUBJECT] = subject
            found.split_subject()
            names.append(str(p.SUBJECT))
        if html is not None:
            found.html = html
            names.append(str(p.HTML))
        if text is not None:
            found.text = text
            names.append(str(p.HTML))
        if is_read is not None:
            found.is_read = is_read
            names.append("0x0e69")
        if categories is not None:
            found.properties[p.CATEGORIES] = tuple(categories)
            names.append(str(p.CATEGORIES))
        if flag is not None:
            found.properties[p.FLAG_STATUS] = {word: number for number, word in FLAG_WORDS.items()}[flag]
            names.append(str(p.FLAG_STATUS))
        box.used += found.size
        self._store.changed(box, found, names)

    def move_item(self, item: str, folder: str) -> str:
        box, found = self._store.item(item)
        return self._store.move(box, found, box, box.make_folder(folder)).id

    def add_folder(self, mailbox: str, path: str, folder_class: str) -> None:
        self._mailbox(mailbox).make_folder(path).folder_class = folder_class

    def remove_folder(self, mailbox: str, path: str) -> None:
        box = self._mailbox(mailbox)
        del box.folders[self._folder(box, path).id]

    def delete_item(self, item: str) -> None:
        box, found = self._store.item(item)
        box.take(found)

    # --- what is there ---

    def items(self, mailbox: str, folder: str) -> list[dict[str, Any]]:
        box = self._mailbox(mailbox)
        folders = [self._folder(box, folder)] if folder else list(box.folders.values())
        return [_shown(box, item) for place in folders for item in place.items.values()]

    def item(self, item: str) -> dict[str, Any] | None:
        try:
            return _shown(*self._store.item(item))
        except EwsError:
            return None

    def folders(self, mailbox: str) -> list[str]:
        box = self._mailbox(mailbox)
        return [box.path_of(folder) for folder in box.folders.values() if not box.is_recoverable(folder)]

    def receipts(self, mailbox: str) -> list[tuple[str, str]]:
        return list(self._mailbox(mailbox).receipts)

    def release(self, mailbox: str) -> None:
        box = self._mailbox(mailbox)
        for folder in box.folders.values():
            for item in folder.items.values():
                item.visible_at = 0

    # --- what goes wrong, and what was seen ---

    def fail(self, **fault: Any) -> None:
        self._service.faults.add(Fault(**fault))

    def heal(self) -> None:
        self._service.faults.clear()

    def limit(self, **limits: Any) -> None:
        _set(self._service.settings, {n: tuple(v) if isinstance(v, list) else v for n, v in limits.items()})

    def log(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in list(self._service.log)]

    def counters(self) -> dict[str, Any]:
        return self._service.counters()

    def forget(self) -> None:
        self._service.forget()

    def _mailbox(self, address: str) -> Mailbox:
        found = self._store.addresses.get(address.lower())
        if found is None:
            raise NoSuchThingError(address)
        return found

    def _account(self, user: str) -> Account:
        found = self._service.accounts.named(user)
        if found is None:
            raise NoSuchThingError(user)
        return found

    @staticmethod
    def _folder(box: Mailbox, name: str) -> Folder:
        found = box.folder_named(name)
        if found is None:
            raise NoSuchThingError(name)
        return found


def _set(target: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if not hasattr(target, name):
            raise NoSuchThingError(name)
        setattr(target, name, value)


def _stored(properties: dict[str, Any]) -> dict[p.Key, Any]:
    return {key_from(name): tuple(value) if isinstance(value, list) else value for name, value in properties.items()}


def _shown(box: Mailbox, item: Item) -> dict[str, Any]:
    folder = box.folders[item.folder]
    people = {kind: [who.address for who in item.people(kind)] for kind in ("to", "cc", "bcc")}
    return {
        "id": item.id,
        "change_key": change_key("item", item.change),
        "folder": box.path_of(folder),
        "item_class": item.item_class,
        "subject": item.subject,
        "message_id": str(item.properties.get(p.MESSAGE_ID, "")),
        "is_draft": item.is_draft,
        "is_read": item.is_read,
        "sent_at": item.properties.get(p.SUBMIT_TIME),
        "received_at": item.properties.get(p.DELIVERY_TIME),
        "html": item.html,
        "text": body_of(item, "Text")[1],
        **people,
        "categories": list(item.properties.get(p.CATEGORIES, ())),
        "flag": FLAG_WORDS[int(item.properties.get(p.FLAG_STATUS, 0))],
        "size_octets": item.size,
        "attachments": [_shown_attachment(attachment) for attachment in item.attachments],
        "properties": {str(key): value for key, value in item.properties.items() if key != p.HTML},
    }


def _shown_attachment(attachment: Any) -> dict[str, Any]:
    names = ("id", "name", "content_type", "content_id", "is_inline", "is_item", "content")
    return {name: getattr(attachment, name) for name in names}


def control_server(control: Control) -> ThreadingHTTPServer:
    """On a loopback port of its own, without TLS and sign-in: tests alone know it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                status, answer = 200, json.dumps(to_json(control(self.path.lstrip("/"), from_json(json.loads(body)))))
            except (NoSuchThingError, EwsError) as error:
                status, answer = 400, f"{type(error).__name__}: {error}"
            except Exception:  # noqa: BLE001 - the edge: the test shall see what is wrong
                status, answer = 500, traceback.format_exc()
            data = answer.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server
