"""Killed after any request of a job: at no moment is there no copy of the message, and in the end there is one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.e2e.sentitems.mailboxes import (
    RULES,
    STAMP,
    TEMPLATES,
    counts,
    kill_process,
    message,
    process,
    sent_items,
    submit,
)
from tests.peers.ews import EwsServer, ews_server
from tests.peers.graph import AUDIENCE, GraphServer, graph_server
from tests.peers.https import Authority
from tests.peers.oauth import oauth_server
from tests.servers.dovecot import MASTER, MASTER_PASSWORD, Dovecot, running_dovecot
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import wait_until

pytestmark = pytest.mark.timeout(240)
PASSWORD = "correct horse battery staple"
USERS = [f"user{number}@example.com" for number in range(20)]
_numbers = count(1)


class Peer(Protocol):
    """A mailbox server that has USERS' mailboxes."""

    @property
    def settings(self) -> dict[str, Any]: ...

    def put(self, mailbox: str, content: bytes) -> None:
        """Into Sent Items."""
        ...

    def items(self, mailbox: str, message_id: str) -> list[bool]:
        """Of each of this Message-ID in Sent Items whether it is stamped."""
        ...


class Hanging(Peer, Protocol):
    """One that may do what it is asked and then say nothing."""

    def hang(self, mailbox: str, after: int) -> None:
        """At the request after so many."""
        ...

    def requests(self, mailbox: str) -> int:
        """So many were carried out since the last `forget`."""
        ...

    def forget(self) -> None: ...


@dataclass(frozen=True)
class OnEws:
    server: EwsServer
    settings: dict[str, Any]

    def put(self, mailbox: str, content: bytes) -> None:
        self.server.add_item(mailbox, content)

    def items(self, mailbox: str, message_id: str) -> list[bool]:
        items = self.server.items(mailbox, "sentitems")
        return [STAMP in f"{item.html}{item.text}" for item in items if item.message_id == message_id]

    def hang(self, mailbox: str, after: int) -> None:
        self.server.fail("hang", mailbox=mailbox, after=after)

    def requests(self, mailbox: str) -> int:
        return sum(1 for entry in self.server.log() if entry.mailbox == mailbox and entry.codes)

    def forget(self) -> None:
        self.server.forget()


@dataclass(frozen=True)
class OnGraph:
    server: GraphServer
    settings: dict[str, Any]
    hanging: set[str] = field(default_factory=set)

    def put(self, mailbox: str, content: bytes) -> None:
        self.server.add_item(mailbox, content)

    def items(self, mailbox: str, message_id: str) -> list[bool]:
        items = self.server.items(mailbox, "sentitems")
        return [STAMP in f"{item.html}{item.text}" for item in items if item.message_id == message_id]

    def hang(self, mailbox: str, after: int) -> None:
        self.server.fail("hang", mailbox=mailbox, after=after)
        self.hanging.add(mailbox)

    def requests(self, mailbox: str) -> int:
        """Those that hang stand in no log yet."""
        is_hanging = mailbox in self.hanging and self.server.faults_left() == 0
        return sum(1 for entry in self.server.log() if entry.mailbox == mailbox) + is_hanging

    def forget(self) -> None:
        self.server.forget()


@dataclass(frozen=True)
class OnDovecot:
    server: Dovecot
    settings: dict[str, Any]

    def put(self, mailbox: str, content: bytes) -> None:
        with self.server.session(mailbox) as session:
            session.append("Sent", "\\Seen", '"16-Nov-2026 10:00:03 +0000"', content)

    def items(self, mailbox: str, message_id: str) -> list[bool]:
        with self.server.session(mailbox) as session:
            session.select("Sent", readonly=True)
            answers = session.uid("FETCH", "1:*", "(BODY.PEEK[])")[1]
        return _stamped([answer[1] for answer in answers if isinstance(answer, tuple)], message_id)


@dataclass(frozen=True)
class InMaildirs:
    folder: Path

    @property
    def settings(self) -> dict[str, Any]:
        return {"name": "local", "kind": "maildir", "folder": f"{self.folder}/{{local}}"}

    def _sent(self, mailbox: str) -> Path:
        return self.folder / mailbox.partition("@")[0] / ".Sent"

    def make(self) -> None:
        for mailbox in USERS:
            for part in ("cur", "new", "tmp"):
                (self._sent(mailbox) / part).mkdir(parents=True)
                (self._sent(mailbox).parent / part).mkdir()

    def put(self, mailbox: str, content: bytes) -> None:
        fresh = self._sent(mailbox) / "tmp" / f"1700000000.M{next(_numbers)}P1.client:2,S"
        fresh.write_bytes(content)
        fresh.rename(self._sent(mailbox) / "cur" / fresh.name)

    def items(self, mailbox: str, message_id: str) -> list[bool]:
        found = []
        for path in sorted(self._sent(mailbox).glob("[cn]*/*")):
            try:
                found.append(path.read_bytes())
            except FileNotFoundError:  # renamed just now
                return self.items(mailbox, message_id)
        return _stamped(found, message_id)


def _stamped(contents: list[bytes], message_id: str) -> list[bool]:
    found = [message_from_bytes(content, policy=policy.default) for content in contents]
    return [STAMP in str(item.get_content()) for item in found if item["Message-ID"] == message_id]


# --- servers ----------------------------------------------------------------------------------------------------------


@contextmanager
def _on_ews(folder: Path) -> Iterator[OnEws]:
    with ews_server() as server:
        server.add_account("EXAMPLE\\stampline", PASSWORD, impersonates=["user*"])
        for mailbox in USERS:
            server.add_mailbox(mailbox)
        yield OnEws(server, {
            "name": "exchange", "kind": "ews", "url": server.url, "sign_in": "basic", "user": "EXAMPLE\\stampline",
            "password": {"file": _secret(folder, PASSWORD)}, "tls": {"ca_file": str(server.ca_file)},
            "connections": len(USERS),
        })  # fmt: skip


@contextmanager
def _on_graph(folder: Path) -> Iterator[OnGraph]:
    authority = Authority(folder)
    with oauth_server(authority) as oauth, graph_server(oauth, authority) as server:
        app = oauth.add_app(roles={AUDIENCE: ("Mail.ReadWrite",)})
        for mailbox in USERS:
            server.add_mailbox(mailbox)
        yield OnGraph(server, {
            "name": "online", "kind": "graph", "url": server.url, "tls": {"ca_file": str(authority.file)},
            "connections": len(USERS),
            "oauth": {
                "tenant": oauth.tenant, "client_id": app.client_id, "authority": oauth.authority_url,
                "client_secret": {"file": _secret(folder, app.secret)}, "scope": f"{AUDIENCE}/.default",
            },
        })  # fmt: skip


@contextmanager
def _on_dovecot(folder: Path) -> Iterator[OnDovecot]:
    with running_dovecot(USERS) as server:
        yield OnDovecot(server, {
            "name": "dovecot", "kind": "imap", "host": "127.0.0.1", "port": server.imap, "user": MASTER,
            "password": {"file": _secret(folder, MASTER_PASSWORD)},
            "tls": {"mode": "starttls", "ca_file": str(server.ca_file)},
        })  # fmt: skip


@contextmanager
def _in_maildirs(folder: Path) -> Iterator[InMaildirs]:
    mailboxes = InMaildirs(folder / "mailboxes")
    mailboxes.make()
    yield mailboxes


def _secret(folder: Path, value: str) -> str:
    (folder / "secret").write_text(value)
    (folder / "secret").chmod(0o600)
    return str(folder / "secret")


# --- watching ---------------------------------------------------------------------------------------------------------


class Watch:
    """Looks at messages all the time, while it is entered; tells afterwards whether one was ever missing."""

    def __init__(self, peer: Peer, names: Mapping[str, str]) -> None:
        self._peer, self._names = peer, names
        self._thread = threading.Thread(target=self._look)
        self._has_ended = threading.Event()
        self.looks = 0
        self.missed: set[str] = set()

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._has_ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._has_ended.is_set():
            self.missed |= {box for box, name in self._names.items() if not self._peer.items(box, name)}
            self.looks += 1


def _send(relay: Relay, peer: Peer, mailboxes: list[str]) -> dict[str, str]:
    """A message of each; gives the Message-IDs."""
    names = {mailbox: f"<{next(_numbers)}.killed@example.com>" for mailbox in mailboxes}
    for mailbox, name in names.items():
        peer.put(mailbox, message(name, mailbox))
    return names


def _submit(relay: Relay, names: Mapping[str, str]) -> None:
    for mailbox, name in names.items():
        submit(relay, message(name, mailbox), sender=mailbox)


def _until_all_are_stamped(relay: Relay, peer: Peer, names: Mapping[str, str]) -> None:
    """Jobs that wait are hastened, again and again: one that is being worked on can't be."""

    def are_stamped() -> bool:
        relay.cli_here("sentitems", "retry", "--all")
        return all(peer.items(mailbox, name) == [True] for mailbox, name in names.items())

    wait_until(are_stamped, 60, lambda: f"{[peer.items(*each) for each in names.items()]} {counts(relay)}")


def _kill_process(relay: Relay) -> None:
    kill_process(relay)


def _kill_all(relay: Relay) -> None:
    relay.kill()
    relay.start()


@pytest.mark.parametrize(
    ("on", "kill"),
    [
        pytest.param(_on_ews, _kill_process, id="ews"),
        pytest.param(_on_ews, _kill_all, id="ews-machine", marks=pytest.mark.long),
        pytest.param(_on_graph, _kill_process, id="graph", marks=pytest.mark.long),
    ],
)
def test_killed_after_each_request(tmp_path: Path, on: Callable[[Path], Any], kill: Callable[[Relay], None]) -> None:
    """One job hangs after its first request, another after its second one, and so on: all at the same moment."""
    with ExitStack() as stack:
        peer: Hanging = stack.enter_context(on(tmp_path))
        sink = stack.enter_context(Sink())
        relay = stack.enter_context(_relay(tmp_path, sink, peer))
        first, *others = USERS
        names = _send(relay, peer, [first])
        _submit(relay, names)
        ended = relay.wait_for_event("sent-item", mailbox=first)
        assert ended["state"] == "done", ended
        steps = dict(zip(others, range(peer.requests(first)), strict=False))
        assert 5 <= len(steps) < len(others)
        peer.forget()
        names = _send(relay, peer, list(steps))
        for mailbox, after in steps.items():
            peer.hang(mailbox, after)
        with Watch(peer, names) as watch:
            _submit(relay, names)
            wait_until(lambda: all(peer.requests(box) == after + 1 for box, after in steps.items()), 60, "all to hang")
            assert len({len(peer.items(mailbox, name)) for mailbox, name in names.items()}) == 2
            kill(relay)
            _until_all_are_stamped(relay, peer, names)
        assert watch.looks > 3
        assert watch.missed == set()
        assert not relay.events("internal-error")


@pytest.mark.parametrize(
    "on",
    [
        pytest.param(_in_maildirs, id="maildir", marks=pytest.mark.long),
        pytest.param(_on_dovecot, id="imap", marks=[pytest.mark.long, pytest.mark.server]),
    ],
)
def test_killed_again_and_again(request: pytest.FixtureRequest, tmp_path: Path, on: Callable[[Path], Any]) -> None:
    if on is _on_dovecot:
        request.getfixturevalue("needs_dovecot")
    with ExitStack() as stack:
        peer: Peer = stack.enter_context(on(tmp_path))
        sink = stack.enter_context(Sink())
        relay = stack.enter_context(_relay(tmp_path, sink, peer))
        names = _send(relay, peer, USERS)
        with Watch(peer, names) as watch:
            _submit(relay, names)
            for done in (2, 6):
                wait_until(partial(_has_tried, relay, done), 60, f"{done} attempts")
                wait_until(lambda: process(relay), 60, "the process")
                _kill_process(relay)
            _until_all_are_stamped(relay, peer, names)
        assert watch.looks > 3
        assert watch.missed == set()


def _has_tried(relay: Relay, attempts: int) -> bool:
    return len(relay.events("sent-item")) >= attempts


@contextmanager
def _relay(folder: Path, sink: Sink, peer: Peer) -> Iterator[Relay]:
    with running_relay(
        folder / "relay", sink.port, rules=RULES, templates=TEMPLATES, organisation=sent_items(peer.settings)
    ) as relay:
        wait_until(lambda: process(relay), 60, "the process")
        yield relay
