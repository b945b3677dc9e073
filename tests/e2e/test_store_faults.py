"""The queue's disk fails, its files are taken away or locked: nothing is acknowledged that isn't on disk."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from tests.servers.client import Answer, SmtpClient, send
from tests.servers.faults import failing
from tests.servers.load import simple_message
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.small_disk import fill, small_disk
from tests.servers.wait import wait_until

pytestmark = pytest.mark.server
LARGE = ("x" * 70 + "\r\n") * 5000
RETRY = {"schedule": ["1s"], "expire_after": "2d"}


class Neighbour:
    """A next hop's script: `busy@` is deferred as long as `busy` is set, `slow@` is answered once `go` is."""

    def __init__(self) -> None:
        self.busy = True
        self.go = threading.Event()

    def __call__(self, verb: str, argument: str) -> str | None:
        if verb == "." and argument.startswith("slow@"):
            assert self.go.wait(60)
        return "450 4.2.1 busy" if self.busy and verb == "RCPT" and argument.startswith("busy@") else None


@contextmanager
def _relay(folder: Path, **overrides: Any) -> Iterator[tuple[Relay, Sink]]:
    with Sink(Neighbour()) as sink, running_relay(folder, sink.port, retry=RETRY, **overrides) as relay:
        yield relay, sink


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Relay, Sink]]:
    """One relay for faults that pass: each test leaves it as it found it. Its bodies have a small disk of their own."""
    folder = tmp_path_factory.mktemp("faults") / "relay"
    with small_disk(folder / "spool" / "bodies", 4_000_000), _relay(folder) as both:
        yield both


def _mail_from(relay: Relay) -> Answer:
    with SmtpClient(relay.port) as client:
        return client.command(b"MAIL FROM:<jane@example.com>")


def _send(relay: Relay, name: str, *, to: str = "r@customer.example", text: str = "hello\r\n") -> Answer:
    return send(relay.port, "jane@example.com", [to], simple_message(name, text=text))


def _refuses(relay: Relay) -> bool:
    answer = _mail_from(relay)
    return (answer.code, answer.text[:5]) == (451, "4.3.0")


def _opens_again(relay: Relay, since: int) -> None:
    wait_until(
        lambda: len(relay.events("spool-opened")) > since and _mail_from(relay).code == 250, 60,
        lambda: f"spool-opened; {relay.output()}",
    )  # fmt: skip


def _queued(relay: Relay) -> set[str]:
    return {entry["queue_id"] for entry in json.loads(relay.cli_here("queue", "list", "--json").stdout)}


@pytest.mark.parametrize(
    ("calls", "error", "file", "says"),
    [
        ("fdatasync", "EIO", "spool.db-wal", "SQLITE_IOERR_FSYNC"),
        ("pwrite64", "EIO", "spool.db-wal", "SQLITE_IOERR_WRITE"),
        pytest.param("pwrite64", "EROFS", "spool.db-wal", "SQLITE_IOERR_WRITE", marks=pytest.mark.long),
        ("flock", "ENOLCK", "writer.lock", "No locks available"),
    ],
)
def test_what_fails_is_not_trusted_and_nothing_is_acknowledged(
    shared: tuple[Relay, Sink], calls: str, error: str, file: str, says: str
) -> None:
    relay, sink = shared
    name = f"{calls}-{error}"
    (worker,) = relay.worker_pids()
    opened, closed = len(relay.events("spool-opened")), len(relay.events("spool-closed"))
    waiting = _send(relay, f"waiting-{name}", to="busy@customer.example").queue_id
    with failing(worker, calls, f"error={error}", relay.folder / "spool" / file):
        assert _send(relay, f"lost-{name}").code == 451
        wait_until(lambda: _refuses(relay), 60, "451 at MAIL")
        wait_until(lambda: len(relay.events("spool-closed")) > closed, 60, "spool-closed")
        assert not [event for event in relay.events("accepted") if f"<lost-{name}@" in event["message_id"]]
    assert says in relay.events("spool-closed")[closed]["error"]
    _opens_again(relay, opened)
    assert _send(relay, f"after-{name}").code == 250
    sink.wait_for_message(f"<after-{name}@".encode())
    assert not [a for a in sink.arrived if f"<lost-{name}@".encode() in a.data]
    assert waiting in _queued(relay)
    assert relay.worker_pids() == [worker], "it went on"


def test_a_database_that_cannot_be_read_is_closed_until_it_can(shared: tuple[Relay, Sink]) -> None:
    relay, sink = shared
    (worker,) = relay.worker_pids()
    spool = relay.folder / "spool"
    opened, closed = len(relay.events("spool-opened")), len(relay.events("spool-closed"))
    waiting = _send(relay, "waiting-unread", to="busy@customer.example").queue_id
    with failing(worker, "pread64,read", "error=EIO", spool / "spool.db", spool / "spool.db-wal"):
        wait_until(lambda: _refuses(relay), 60, "451 at MAIL")
        wait_until(lambda: len(relay.events("spool-closed")) > closed + 1, 60, "a try to open it")
    assert not [event for event in relay.events("spool-closed")[closed + 1 :] if "is damaged" in event["error"]]
    _opens_again(relay, opened)
    assert waiting in _queued(relay)
    assert _send(relay, "after-unread").code == 250
    sink.wait_for_message(b"<after-unread@")
    assert relay.worker_pids() == [worker]


def test_what_was_sent_while_the_disk_fails_is_settled_later_and_not_sent_twice(shared: tuple[Relay, Sink]) -> None:
    relay, sink = shared
    (worker,) = relay.worker_pids()
    opened = len(relay.events("spool-opened"))
    assert isinstance(sink.script, Neighbour)
    queue_id = _send(relay, "sent-once", to="slow@customer.example").queue_id
    with failing(worker, "fdatasync", "error=EIO", relay.folder / "spool" / "spool.db-wal"):
        sink.script.go.set()
        relay.wait_for_event("settle-failed", queue_id=queue_id)
    _opens_again(relay, opened)
    relay.wait_until_settled(queue_id)
    assert len([a for a in sink.arrived if b"<sent-once@" in a.data]) == 1
    assert queue_id not in _queued(relay)


def test_a_body_file_that_cannot_be_synced_is_refused_and_removed(shared: tuple[Relay, Sink]) -> None:
    relay, sink = shared
    (worker,) = relay.worker_pids()
    with failing(worker, "fsync", "error=EIO"):
        answer = _send(relay, "unsynced", text=LARGE)
        assert (answer.code, answer.text[:5]) == (451, "4.3.0")
        assert _send(relay, "small-meanwhile").code == 250
    assert [path for path in (relay.folder / "spool" / "bodies").rglob("*") if path.is_file()] == []
    assert _send(relay, "synced", text=LARGE).code == 250
    sink.wait_for_message(b"<synced@")
    sink.wait_for_message(b"<small-meanwhile@")


def test_a_body_that_is_lost_cut_or_unreadable_is_told_and_holds_nothing_else_up(shared: tuple[Relay, Sink]) -> None:
    """A hole in a file on a full tmpfs is what a bad sector is: who reads it is killed by SIGBUS."""
    relay, sink = shared
    (worker,) = relay.worker_pids()
    bodies = relay.folder / "spool" / "bodies"
    names = ("gone", "cut", "unreadable")
    lost, files = list[str](), list[Path]()
    for name in names:
        lost.append(_send(relay, name, to="busy@customer.example", text=LARGE).queue_id)
        files += [path for path in bodies.rglob("*") if path.is_file() and path not in files]
    gone, cut, unreadable = files
    gone.unlink()
    os.truncate(cut, 1000)
    size = unreadable.stat().st_size
    os.truncate(unreadable, 0)
    os.truncate(unreadable, size)
    fill(bodies / "ballast")
    assert _send(relay, "whole").code == 250
    sink.wait_for_message(b"<whole@")
    told = [relay.wait_for_event("body-lost", queue_id=queue_id)["error"] for queue_id in lost]
    for error, says in zip(told, ("is missing", "has 1000 octets", "its disk fails"), strict=True):
        assert says in error
    assert set(lost) <= _queued(relay), "an administrator sees it"
    assert relay.worker_pids() == [worker]
    assert not [a for a in sink.arrived if any(f"<{name}@".encode() in a.data for name in names)]
    (bodies / "ballast").unlink()


def test_a_database_that_somebody_locks_is_waited_for_and_named(shared: tuple[Relay, Sink]) -> None:
    relay, sink = shared
    with closing(sqlite3.connect(relay.folder / "spool" / "spool.db", isolation_level=None)) as admin:
        admin.execute("BEGIN IMMEDIATE")
        answer = _send(relay, "locked-out")
        assert (answer.code, answer.text[:5]) == (451, "4.3.0")
        admin.execute("ROLLBACK")
    by_us = f"process {os.getpid()} "
    wait_until(lambda: [each for each in relay.events("spool-locked") if by_us in each["by"]], 60, "who it was")
    assert _send(relay, "let-in").code == 250
    sink.wait_for_message(b"<let-in@")


@pytest.mark.parametrize("name", ["spool.db-wal", "spool.db-shm"])
def test_a_file_beside_the_database_is_taken_away_and_no_mail_with_it(shared: tuple[Relay, Sink], name: str) -> None:
    relay, sink = shared
    opened, closed = len(relay.events("spool-opened")), len(relay.events("spool-closed"))
    waiting = _send(relay, f"waiting-{name}", to="busy@customer.example").queue_id
    (relay.folder / "spool" / name).unlink()
    # Where what waits was tried just now, the end of that has noticed it.
    assert _send(relay, f"refused-{name}").code == 451 or len(relay.events("spool-opened")) > opened
    wait_until(lambda: len(relay.events("spool-closed")) > closed, 60, "spool-closed")
    _opens_again(relay, opened)
    assert waiting in _queued(relay)
    assert _send(relay, f"taken-{name}").code == 250
    sink.wait_for_message(f"<taken-{name}@".encode())


def test_a_database_that_is_moved_away_comes_back(shared: tuple[Relay, Sink]) -> None:
    relay, sink = shared
    opened, closed = len(relay.events("spool-opened")), len(relay.events("spool-closed"))
    spool, elsewhere = relay.folder / "spool", relay.folder / "elsewhere"
    waiting = _send(relay, "waiting-moved", to="busy@customer.example").queue_id
    spool.rename(elsewhere)
    assert _send(relay, "refused-moved").code == 451
    wait_until(lambda: len(relay.events("spool-closed")) > closed + 1, 60, "a try to open it")
    assert _refuses(relay)
    wait_until(lambda: _is_moved_back(elsewhere, spool), 60, "the spool in its place")
    _opens_again(relay, opened)
    assert waiting in _queued(relay)
    assert _send(relay, "taken-moved").code == 250
    sink.wait_for_message(b"<taken-moved@")


def _is_moved_back(elsewhere: Path, spool: Path) -> bool:
    """Out of its way with what is made anew meanwhile, again and again."""
    if spool.exists():
        spool.rename(spool.with_name(f"made-anew-{token_hex(4)}"))
    try:
        elsewhere.rename(spool)
    except OSError:  # made anew just now
        return False
    return True


@pytest.mark.long
def test_a_disk_that_does_not_answer_holds_nobody_up_at_mail(shared: tuple[Relay, Sink]) -> None:
    relay, sink = shared
    (worker,) = relay.worker_pids()
    slow = failing(worker, "fdatasync", "delay_enter=17000000:when=1", relay.folder / "spool" / "spool.db-wal")
    with SmtpClient(relay.port) as client, slow:
        client.write(b"MAIL FROM:<jane@example.com>\r\nRCPT TO:<r@customer.example>\r\nDATA\r\n")
        assert [client.answer().code for _ in range(3)] == [250, 250, 354]
        client.write(simple_message("slowly") + b"\r\n.\r\n")
        relay.wait_for_event("spool-slow", 60)
        assert _refuses(relay)
        assert client.answer().code == 250
    relay.wait_for_event("spool-swift-again")
    assert _mail_from(relay).code == 250
    sink.wait_for_message(b"<slowly@")
