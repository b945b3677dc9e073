"""A damaged queue: mail is refused until somebody acts, or a fresh queue is begun; what can be read comes back."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from mta.adapters.store.database import prepare
from tests.servers.client import Answer, SmtpClient, send
from tests.servers.load import simple_message
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.small_disk import small_disk
from tests.servers.wait import wait_until

RETRY = {"schedule": ["1s"], "expire_after": "2d"}
AT_REST = {"schedule": ["1h"], "expire_after": "2d"}
LARGE = ("x" * 70 + "\r\n") * 5000


class Busy:
    """A next hop's script: nobody gets anything as long as it is busy."""

    def __init__(self) -> None:
        self.is_busy = True

    def __call__(self, verb: str, argument: str) -> str | None:
        return "450 4.2.1 busy" if self.is_busy and verb == "RCPT" else None


def _send(relay: Relay, name: str, text: str = "hello\r\n") -> Answer:
    return send(relay.port, "jane@example.com", ["r@customer.example"], simple_message(name, text=text))


def _mail_from(relay: Relay) -> tuple[int, str]:
    with SmtpClient(relay.port) as client:
        answer = client.command(b"MAIL FROM:<jane@example.com>")
        return answer.code, answer.text[:5]


def _wait_until_taken(relay: Relay) -> None:
    wait_until(lambda: _mail_from(relay)[0] == 250, 60, "mail is taken again")


def _damage(spool: Path) -> None:
    """Half of the header is gone, and one page in three is no page."""
    with (spool / "spool.db").open("r+b") as file:
        file.write(bytes(60))
        size = file.seek(0, os.SEEK_END)
        for at in range(4096 * 20, size, 4096 * 3):
            file.seek(at)
            file.write(os.urandom(min(4096, size - at)))


def _names(sink: Sink) -> list[str]:
    return sorted(a.data.partition(b"Message-ID: <")[2].partition(b"@")[0].decode() for a in sink.arrived)


def test_mail_is_refused_until_the_queue_is_set_aside_and_what_can_be_read_comes_back(tmp_path: Path) -> None:
    script = Busy()
    with Sink(script) as sink, running_relay(tmp_path / "relay", sink.port, retry=RETRY) as relay:
        spool = relay.folder / "spool"
        for number in range(30):
            assert _send(relay, f"old{number}", LARGE if number % 10 == 0 else "hello\r\n").code == 250
        relay.stop()
        _damage(spool)
        relay.start()
        assert _mail_from(relay) == (451, "4.3.0")
        closed = relay.wait_for_event("spool-closed")
        assert "is damaged" in closed["error"]
        assert "stampline queue begin-anew" in closed["error"]
        listed = relay.cli("queue", "list", check=False)
        assert listed.returncode == 1
        assert "is damaged" in listed.stderr
        assert "CLOSED" in relay.cli_here("status").stdout
        assert "damaged-" in json.loads(relay.cli("queue", "begin-anew", "--json").stdout)["set_aside"]
        _wait_until_taken(relay)
        assert "whole" in relay.cli("queue", "begin-anew", check=False).stderr
        script.is_busy = False
        assert _send(relay, "new").code == 250
        done = json.loads(relay.cli("queue", "recover", "--json").stdout)
        assert len(done["brought_back"]) > 5
        assert relay.wait_for_event("queue-recovered")["count"] == len(done["brought_back"])
        sink.wait_for(1 + len(done["brought_back"]))
        again = relay.cli("queue", "recover", check=False)
        assert again.returncode == 1, "a second time would send again what was delivered since"
        for queue_id in done["brought_back"]:
            relay.wait_until_settled(queue_id)
    names = _names(sink)
    assert "new" in names
    assert len(set(names)) == len(names) == 1 + len(done["brought_back"])


def test_a_fresh_queue_is_begun_while_the_workers_run(tmp_path: Path) -> None:
    """One worker finds the damage when it is started anew; the other one sees that its files have gone."""
    script = Busy()
    with (
        Sink(script) as sink,
        running_relay(
            tmp_path / "relay", sink.port, retry=AT_REST, workers=2, spool={"when_damaged": "begin-anew"}
        ) as relay,
    ):
        old = {_send(relay, f"old{number}").queue_id for number in range(20)}
        wait_until(lambda: len(relay.events("deferred")) == len(old), 60, "a queue at rest")
        script.is_busy = False
        with closing(sqlite3.connect(relay.folder / "spool" / "spool.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (relay.folder / "spool" / "spool.db").write_bytes(os.urandom(50_000))
        relay.kill_worker(relay.worker_pids()[0])
        aside = Path(relay.wait_for_event("spool-set-aside")["folder"])
        assert (aside / "bodies").is_dir()
        new = set[str]()

        def taken() -> bool:
            answer = _send(relay, f"new{len(new)}")
            if answer.code == 250:
                new.add(answer.queue_id)
            return len(new) >= 20

        wait_until(taken, 60, "both workers take mail again")
        sink.wait_for(20)
        for queue_id in new:
            relay.wait_until_settled(queue_id)
        assert not new & old
        listed = relay.cli("queue", "recover", check=False)
    assert "can't be read: 0" in listed.stdout, "nothing at all was left in it"


def test_what_mends_itself_needs_no_restart(tmp_path: Path) -> None:
    """At the start the queue's disk is mounted read-only; then it shows that a newer version has used the queue."""
    folder = tmp_path / "relay"
    with Sink() as sink, small_disk(folder / "spool", 60_000_000):
        relay = Relay(folder, sink.port)
        version = _renumber(prepare(folder / "spool"), 99)
        _remount(folder / "spool", "ro")
        try:
            relay.start()
            assert _mail_from(relay) == (451, "4.3.0")
            assert "Read-only file system" in relay.events("spool-closed")[-1]["error"]
            _remount(folder / "spool", "rw")
            assert "has version 99" in relay.cli_here("queue", "list", check=False).stderr
            assert _mail_from(relay) == (451, "4.3.0")
            _renumber(folder / "spool", version)
            _wait_until_taken(relay)
            assert _send(relay, "last").code == 250
            sink.wait_for_message(b"<last@")
        finally:
            relay.clean_up()


def _renumber(spool: Path, version: int) -> int:
    """Give the database another version; returns the one that it had."""
    with closing(sqlite3.connect(spool / "spool.db")) as connection:
        (before,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {version}")
    return int(before)


def _remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)
