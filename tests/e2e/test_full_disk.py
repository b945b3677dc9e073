"""The spool's disk is full: senders are told to come back, and can, as soon as there is room."""

from __future__ import annotations

from pathlib import Path

from tests.servers.client import SmtpClient, send
from tests.servers.load import simple_message
from tests.servers.relay import Relay
from tests.servers.sink import Sink
from tests.servers.small_disk import small_disk
from tests.servers.wait import wait_until

MEGABYTE = 1_000_000


def _relay(folder: Path, port: int, reserve: str) -> Relay:
    relay = Relay(folder, port, spool={"reserve": reserve})
    relay.settings["listeners"][0]["limits"]["size"] = "100MB"
    relay.write_settings()
    return relay


def test_below_the_reserve_mail_from_answers_452_until_there_is_room(tmp_path: Path) -> None:
    folder = tmp_path / "relay"
    with Sink() as sink, small_disk(folder / "spool", 40 * MEGABYTE):
        relay = _relay(folder, sink.port, "20MB")
        try:
            relay.start()
            assert send(relay.port, "jane@example.com", ["john@example.com"], simple_message("before")).code == 250
            ballast = folder / "spool" / "ballast"
            ballast.write_bytes(bytes(25 * MEGABYTE))

            def mail_from() -> tuple[int, str]:
                with SmtpClient(relay.port) as client:
                    answer = client.command(b"MAIL FROM:<jane@example.com>")
                    return answer.code, answer.text[:5]

            wait_until(lambda: mail_from() == (452, "4.3.1"), 60, "452 4.3.1")
            relay.wait_for_event("spool-full")
            ballast.unlink()
            wait_until(lambda: mail_from()[0] == 250, 60, "room again")
            assert send(relay.port, "jane@example.com", ["john@example.com"], simple_message("after")).code == 250
            sink.wait_for_message(b"<after@")
        finally:
            relay.clean_up()
    assert [a.data.count(b"<before@") for a in sink.arrived] == [1, 0]


def test_a_disk_that_fills_up_during_data_gives_452_and_loses_nothing(tmp_path: Path) -> None:
    """The reserve is tiny and the message larger than what is left, so the check at MAIL FROM can't catch it."""
    folder = tmp_path / "relay"
    with Sink() as sink, small_disk(folder / "spool", 12 * MEGABYTE):
        relay = _relay(folder, sink.port, "1kB")
        try:
            relay.start()
            assert send(relay.port, "jane@example.com", ["john@example.com"], simple_message("first")).code == 250
            large = simple_message("large", text=("x" * 70 + "\r\n") * 250_000)  # 18 MB
            answer = send(relay.port, "jane@example.com", ["john@example.com"], large)
            assert (answer.code, answer.text[:5]) == (452, "4.3.1")
            assert send(relay.port, "jane@example.com", ["john@example.com"], simple_message("second")).code == 250
            sink.wait_for_message(b"<second@")
            relay.wait_until_settled()
            left = [path.name for path in (folder / "spool").rglob("*") if path.stat().st_size > 5 * MEGABYTE]
            assert left == [], "the half-written body is gone"
        finally:
            relay.clean_up()
    assert len(sink.arrived) == 2
