"""What the service needs around it is taken away while it runs: mail goes on, and so does the administrator's work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.client import send
from tests.servers.load import simple_message
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.small_disk import small_disk
from tests.servers.wait import wait_until


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Relay, Sink]]:
    folder = tmp_path_factory.mktemp("unplugged") / "relay"
    with Sink() as sink, small_disk(folder / "log", 300_000), running_relay(folder, sink.port) as relay:
        yield relay, sink


def _goes(relay: Relay, sink: Sink, name: str) -> None:
    assert send(relay.port, "jane@example.com", ["r@customer.example"], simple_message(name)).code == 250
    sink.wait_for_message(f"<{name}@".encode())


def _logs(relay: Relay) -> list[Path]:
    """The workers' log; a file for each day."""
    return list((relay.folder / "log").glob("relay_*.log"))


def test_a_full_log_disk_loses_lines_and_no_mail(shared: tuple[Relay, Sink]) -> None:
    relay, sink = shared
    ballast = relay.folder / "log" / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 512):
                pass
        except OSError:
            assert ballast.stat().st_size > 100_000
    for number in range(20):
        _goes(relay, sink, f"unlogged{number}")
    ballast.unlink()
    _goes(relay, sink, "logged")
    wait_until(lambda: any("log-lines-lost" in path.read_text() for path in _logs(relay)), 60, "word of the lost lines")
    for path in _logs(relay):
        path.write_text("")  # half a line is in it


def test_a_log_file_that_is_taken_away_is_made_anew(shared: tuple[Relay, Sink]) -> None:
    relay, sink = shared
    for path in _logs(relay):
        path.rename(path.with_suffix(".old"))

    def made() -> bool:
        _goes(relay, sink, "made-anew")
        return bool(_logs(relay))

    wait_until(made, 60, "a new log file")


def test_a_configuration_that_cannot_be_read_is_refused_and_the_old_one_goes_on(shared: tuple[Relay, Sink]) -> None:
    relay, sink = shared
    away = relay.folder / "away"
    (relay.folder / "rules").rename(away)
    refused = relay.cli_here("reload", check=False)
    assert refused.returncode != 0
    assert "there is no folder" in refused.stdout + refused.stderr
    _goes(relay, sink, "old-rules")
    away.rename(relay.folder / "rules")
    relay.cli_here("reload")
    _goes(relay, sink, "rules-again")


def test_a_control_socket_that_is_taken_away_comes_back(shared: tuple[Relay, Sink]) -> None:
    relay, sink = shared
    socket = Path(str(relay.settings["control"]["socket"]))
    socket.unlink()
    _goes(relay, sink, "without-socket")
    wait_until(socket.exists, 60, "the control socket")
    assert "up since" in relay.cli_here("status").stdout
    shutil.rmtree(socket.parent)
    wait_until(socket.exists, 60, "the control socket and its folder")
    assert "up since" in relay.cli_here("status").stdout
