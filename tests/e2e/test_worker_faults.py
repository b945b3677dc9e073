"""A worker runs out of descriptors or memory, or is stopped: nothing is lost, and it recovers or is replaced."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.servers.client import SmtpClient, send
from tests.servers.load import simple_message
from tests.servers.processes import tree_cpu_s
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink
from tests.servers.wait import greets, wait_until

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Relay, Sink]]:
    folder = tmp_path_factory.mktemp("worker-faults") / "relay"
    retry = {"schedule": ["1s"], "expire_after": "2d"}
    with Sink() as sink, running_relay(folder, sink.port, retry=retry) as relay:
        yield relay, sink


def _send(relay: Relay, name: str) -> int:
    return send(relay.port, "jane@example.com", ["r@customer.example"], simple_message(name)).code


@contextmanager
def _limit(pid: int, what: int, soft: int) -> Iterator[None]:
    """A resource limit of a running process, for a while."""
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (soft, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, what, before)


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_out_of_descriptors_it_refuses_stays_calm_and_recovers(shared: tuple[Relay, Sink]) -> None:
    relay, sink = shared
    (worker,) = relay.worker_pids()
    assert _send(relay, "before-descriptors") == 250
    sink.wait_for_message(b"<before-descriptors@")
    with SmtpClient(relay.port) as client, ExitStack() as ends:
        with _limit(worker, resource.RLIMIT_NOFILE, _descriptors(worker)):
            for _ in range(20):
                ends.enter_context(socket.create_connection(("127.0.0.1", relay.port), timeout=5))
            assert "LimitNOFILE" in relay.wait_for_event("accept-failed")["mend"]
            used = tree_cpu_s(worker)
            # Who is connected is served; only the way to the next hop needs a new descriptor.
            assert client.send("jane@example.com", ["r@customer.example"], simple_message("meanwhile")).code == 250
            with socket.create_connection(("127.0.0.1", relay.port), timeout=3) as waiting, pytest.raises(TimeoutError):
                waiting.recv(100)
            told = [event["time"] for event in relay.events("accept-failed")]
            assert len(told) == len({time[:16] for time in told}), "once a minute"
            assert tree_cpu_s(worker) - used < 1.5, "no busy loop"
        wait_until(lambda: greets(relay.port), 60, "a greeting")
    sink.wait_for_message(b"<meanwhile@")
    assert relay.events("failed") == []
    assert relay.worker_pids() == [worker]


def test_out_of_memory_nothing_acknowledged_is_lost(shared: tuple[Relay, Sink]) -> None:
    relay, sink = shared
    (worker,) = relay.worker_pids()
    acknowledged: list[str] = []
    pages = int(Path(f"/proc/{worker}/statm").read_text().split()[0])
    with _limit(worker, resource.RLIMIT_AS, pages * 4096 + 3_000_000):
        for number in range(6):
            name = f"memory{number}"
            try:
                text = ("x" * 70 + "\r\n") * 100_000
                answer = send(relay.port, "jane@example.com", ["r@customer.example"], simple_message(name, text=text))
            except OSError:
                continue  # it died, or can't take another connection
            assert answer.code in (250, 421, 451, 452), answer
            if answer.code == 250:
                acknowledged.append(name)
    wait_until(lambda: greets(relay.port), 60, "a worker that greets")
    wait_until(lambda: _sent(relay, "after-memory"), 60, "mail is taken")
    for name in (*acknowledged, "after-memory"):
        sink.wait_for_message(f"<{name}@".encode())


def _sent(relay: Relay, name: str) -> bool:
    try:
        return _send(relay, name) == 250
    except OSError:
        return False


@pytest.mark.long
@pytest.mark.timeout(120)
def test_a_worker_that_is_stopped_is_replaced_and_its_mail_goes_on(tmp_path: Path) -> None:
    """It holds the lease of a message whose next hop is slow to answer: its successor takes it over at once."""
    retry = {"schedule": ["1s"], "expire_after": "2d"}
    with Sink(silent=True) as silent, Sink() as sink:
        with running_relay(tmp_path / "relay", silent.port, retry=retry) as relay:
            for number in range(10):
                assert _send(relay, f"stopped{number}") == 250
            os.kill(relay.worker_pids()[0], signal.SIGSTOP)
            relay.settings["next_hops"][0]["hosts"][0]["port"] = sink.port
            relay.write_settings()
            stuck = relay.wait_for_event("worker-stuck", 60)
            relay.wait_for_event("worker-died", pid=stuck["pid"])
            sink.wait_for(10, 60)
        assert len({a.data.partition(b"Message-ID: <")[2][:12] for a in sink.arrived}) == 10
