"""The supervisor as a process, over workers that answer over TCP: what survives, what is restarted, what is told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mta.control.client import NotRunningError, ask
from tests.servers.processes import children, is_alive, state
from tests.servers.wait import free_port, wait_until

WAIT_S = 60.0


class Service:
    """One echo service in a folder of its own."""

    def __init__(self, folder: Path, socket_folder: Path, **config: object) -> None:
        self.folder = folder
        self.port = free_port()
        self.path = folder / "config.json"
        self.socket = socket_folder / "c"
        self.config: dict[str, object] = {"name": "v1", "port": self.port, "socket": str(self.socket), **config}
        self.process: subprocess.Popen[bytes] | None = None
        self.write()

    def write(self, **changes: object) -> None:
        self.config.update(changes)
        self.path.write_text(json.dumps(self.config))

    def start(self, **environment: str) -> None:
        command = [sys.executable, "-m", "tests.unit.supervise.echo_service", str(self.path)]
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | environment)

    def start_up(self, **environment: str) -> None:
        self.start(**environment)
        self.wait(lambda: self.status()["is_up"], "all workers are ready")

    def wait(self, condition: Callable[[], object], what: str) -> None:
        def met() -> object:
            assert self.process is not None
            if self.process.poll() is not None:
                raise RuntimeError(f"the service has ended:\n{(self.folder / 'output').read_text()}")
            try:
                return condition()
            except (NotRunningError, OSError):
                return None

        wait_until(met, WAIT_S, lambda: f"{what}; output:\n{(self.folder / 'output').read_text()}\n{self.log()}")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def exit_code(self) -> int:
        assert self.process is not None
        return self.process.wait(WAIT_S)

    def ask(self, **request: object) -> dict[str, Any]:
        return ask(self.socket, request, timeout_s=WAIT_S)

    def status(self) -> dict[str, Any]:
        return self.ask(do="status")

    def workers(self) -> list[int]:
        return [worker["pid"] for worker in self.status()["workers"] if worker["state"] == "ready"]

    def connect(self, question: str) -> socket.socket:
        end = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)
        end.sendall(question.encode() + b"\n")
        return end

    def answer(self, question: str = "status") -> dict[str, Any]:
        with self.connect(question) as end:
            return read_answer(end)

    def answers_of_all(self) -> dict[int, dict[str, Any]]:
        """One answer of each slot; the kernel spreads connections over them by chance."""
        found: dict[int, dict[str, Any]] = {}
        while len(found) < len(self.status()["workers"]):
            answer = self.answer()
            found[answer["slot"]] = answer
        return found

    def log(self) -> list[dict[str, Any]]:
        files = sorted((self.folder / "log").glob("supervisor_*.log"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def events(self, action: str) -> list[dict[str, Any]]:
        return [event for event in self.log() if event["action"] == action]

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            victims = children(self.pid)
            self.process.kill()
            self.process.wait()
            for pid in victims:
                if is_alive(pid):
                    os.kill(pid, signal.SIGKILL)


def read_answer(end: socket.socket) -> dict[str, Any]:
    with end.makefile("rb") as file:
        line = file.readline()
    if not line:
        raise ConnectionResetError("no answer")
    answer: dict[str, Any] = json.loads(line)
    return answer


Make = Callable[..., Service]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    services: list[Service] = []
    with tempfile.TemporaryDirectory() as short:  # a unix socket's path is 107 octets at most

        def new(**config: object) -> Service:
            services.append(Service(tmp_path, Path(short), **config))
            return services[-1]

        yield new
        for service in services:
            service.end()


def test_all_workers_serve_one_port_and_status_shows_them(make: Make) -> None:
    service = make(workers=3)
    service.start_up()
    answers = service.answers_of_all()
    assert {answer["pid"] for answer in answers.values()} == set(service.workers())
    status = service.status()
    assert status["snapshot"] == "v1"
    assert status["listeners"] == [{"name": "in", "address": "127.0.0.1", "port": service.port, "role": "inbound"}]
    assert [worker["snapshot"] for worker in status["workers"]] == ["v1"] * 3
    assert service.socket.stat().st_mode & 0o777 == 0o600


def test_a_dead_worker_is_replaced_and_waiting_connections_are_served(make: Make) -> None:
    service = make(workers=1)
    service.start_up()
    dead = service.workers()[0]
    os.kill(dead, signal.SIGSTOP)  # so that the connections wait in the backlog of its socket
    wait_until(lambda: state(dead) == "T", WAIT_S, "a stopped worker")
    waiting = [service.connect("status") for _ in range(5)]
    os.kill(dead, signal.SIGKILL)
    for end in waiting:
        with end:
            assert read_answer(end)["pid"] != dead
    died = service.events("worker-died")
    assert [(event["pid"], event["status"], event["restart_in_s"]) for event in died] == [(dead, "signal SIGKILL", 0.0)]


def test_one_that_keeps_dying_is_restarted_ever_later_and_the_others_serve(make: Make) -> None:
    service = make(workers=2)
    service.start_up()
    service.write(dies_at_start=0)
    os.kill(service.status()["workers"][0]["pid"], signal.SIGKILL)
    service.wait(lambda: len(service.events("worker-died")) >= 3, "three deaths")
    delays = [event["restart_in_s"] for event in service.events("worker-died")]
    assert delays == sorted(delays)
    assert delays[:3] == [0.0, 0.5, 1.0]
    assert all(event["slot"] == 0 for event in service.events("worker-died"))
    assert service.status()["workers"][1]["state"] == "ready"


def test_a_worker_that_hangs_is_killed_and_replaced(make: Make) -> None:
    service = make(workers=1, silent_max_s=7)
    service.start_up()
    hanging = service.workers()[0]
    with service.connect("hang"):
        service.wait(lambda: service.workers() not in ([], [hanging]), "another worker")
    stuck = service.events("worker-stuck")
    assert [event["pid"] for event in stuck] == [hanging]
    assert stuck[0]["silent_s"] >= 7
    assert service.events("worker-died")[0]["status"] in ("signal SIGABRT", "signal SIGKILL")


def test_sigterm_lets_workers_finish_and_ends_with_0(make: Make) -> None:
    service = make(workers=2)
    service.start_up()
    with service.connect("slow") as slow:
        assert slow.recv(100) == b"waiting\n"
        workers = service.workers()
        service.signal(signal.SIGTERM)
        assert read_answer(slow)["pid"] in workers
    assert service.exit_code() == 0
    assert not any(is_alive(pid) for pid in workers)
    assert not service.socket.exists()
    assert service.events("worker-died") == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", service.port))


def test_a_worker_that_does_not_finish_is_killed_after_the_drain(make: Make) -> None:
    service = make(workers=1, drain="1s", never_drains=True)
    service.start_up()
    worker = service.workers()[0]
    service.signal(signal.SIGTERM)
    assert service.exit_code() == 0
    assert not is_alive(worker)


def test_a_second_sigint_ends_at_once(make: Make) -> None:
    service = make(workers=1, drain="60s", never_drains=True)
    service.start_up()
    service.signal(signal.SIGINT)
    service.wait(lambda: service.status()["is_stopping"], "the drain")
    service.signal(signal.SIGINT)
    assert service.exit_code() == 0


def test_workers_end_by_themselves_when_the_supervisor_is_killed(make: Make) -> None:
    service = make(workers=2)
    service.start_up()
    workers = service.workers()
    with service.connect("slow") as slow:
        assert slow.recv(100) == b"waiting\n"
        service.signal(signal.SIGKILL)
        assert read_answer(slow)["pid"] in workers
    wait_until(lambda: not any(is_alive(pid) for pid in workers), WAIT_S, "the end of the workers")
    service.exit_code()
    service.start_up()  # what the killed one left behind is in nobody's way


def test_sigterm_to_a_worker_is_a_drain_and_another_takes_its_place(make: Make) -> None:
    service = make(workers=1)
    service.start_up()
    old = service.workers()[0]
    os.kill(old, signal.SIGTERM)
    service.wait(lambda: service.workers() not in ([], [old]), "another worker")
    assert service.events("worker-died")[0]["status"] == "exit 0"


@pytest.mark.parametrize("by", ["control", "signal"])
def test_a_reload_reaches_all_workers_before_it_is_told_to_be_done(make: Make, by: str) -> None:
    service = make(workers=2, commits_in_s=0.5)
    service.start_up()
    service.write(name="v2")
    if by == "control":
        assert service.ask(do="reload") == {"ok": True, "snapshot": "v2", "problems": []}
    else:
        service.signal(signal.SIGHUP)
        service.wait(lambda: service.events("reloaded"), "the reload")
    assert {answer["snapshot"] for answer in service.answers_of_all().values()} == {"v2"}
    service.wait(lambda: service.events("reloaded"), "its line in the log")
    assert service.events("reloaded")[0]["snapshot"] == "v2"
    assert service.events("worker-died") == []


def test_a_bad_configuration_is_refused_and_the_old_one_goes_on(make: Make) -> None:
    service = make(workers=2)
    service.start_up()
    service.write(name="v2", problem="no such key")
    answer = service.ask(do="reload")
    assert not answer["ok"]
    assert answer["snapshot"] == "v1"
    place = {"file": str(service.path), "line": 1, "column": 2}
    assert answer["problems"] == [{**place, "what": "no such key", "mend": "mend it"}]
    assert {a["snapshot"] for a in service.answers_of_all().values()} == {"v1"}
    assert service.events("reload-refused")[0]["kept"] == "v1"
    assert service.status()["last_reload"]["ok"] is False


def test_no_worker_takes_what_another_refuses(make: Make) -> None:
    service = make(workers=2)
    service.start_up()
    service.write(name="v2", worker_problem="worker")
    answer = service.ask(do="reload")
    assert [problem["what"] for problem in answer["problems"]] == ["only workers see this"]
    assert {a["snapshot"] for a in service.answers_of_all().values()} == {"v1"}


@pytest.mark.parametrize(("key", "value"), [("port", 1), ("workers", 5), ("socket", "/elsewhere")])
def test_what_only_a_restart_can_change_is_refused_as_a_whole(make: Make, key: str, value: object) -> None:
    service = make(workers=2)
    service.start_up()
    service.write(name="v2", **{key: value})
    answer = service.ask(do="reload")
    assert not answer["ok"]
    assert "can't be changed while running" in answer["problems"][0]["what"]
    assert service.status()["snapshot"] == "v1"


def test_a_worker_that_starts_after_a_refused_change_does_not_end_the_service(make: Make) -> None:
    service = make(workers=2)
    service.start_up()
    service.write(problem="broken file")
    first = service.status()["workers"][0]["pid"]
    os.kill(first, signal.SIGKILL)
    service.wait(lambda: "exit 2" in [e["status"] for e in service.events("worker-died")], "it refuses the broken file")
    assert service.status()["workers"][1]["state"] == "ready"
    del service.config["problem"]
    service.write(name="v2")
    assert service.ask(do="reload")["ok"]
    service.wait(lambda: len(service.workers()) == 2, "both workers")
    assert {a["snapshot"] for a in service.answers_of_all().values()} == {"v2"}


def test_all_workers_go_by_the_same_after_one_was_restarted_on_changed_files(make: Make) -> None:
    service = make(workers=2)
    service.start_up()
    service.write(name="v2")
    os.kill(service.workers()[0], signal.SIGKILL)
    service.wait(lambda: service.status()["snapshot"] == "v2", "the reload")
    service.wait(lambda: {a["snapshot"] for a in service.answers_of_all().values()} == {"v2"}, "all workers on v2")


def test_bypass_reaches_all_workers_survives_a_restart_and_ends_by_itself(make: Make) -> None:
    service = make(workers=2)
    service.start_up()
    assert service.ask(do="bypass") == {"ok": True, "bypass": {"on": False, "until": None}}
    service.ask(do="bypass", bypass={"on": True, "until": None})
    assert all(answer["bypass"] for answer in service.answers_of_all().values())
    service.signal(signal.SIGTERM)
    assert service.exit_code() == 0
    service.start_up()
    assert all(answer["bypass"] for answer in service.answers_of_all().values())
    soon = datetime.now(UTC) + timedelta(seconds=1)
    service.ask(do="bypass", bypass={"on": True, "until": soon.isoformat()})
    service.wait(lambda: not any(a["bypass"] for a in service.answers_of_all().values()), "the end of bypass")
    service.wait(lambda: service.events("bypass-off"), "its line in the log")
    assert service.status()["bypass"] == {"on": False, "until": None}


def test_wake_reaches_all_workers(make: Make) -> None:
    service = make(workers=2)
    service.start_up()
    service.ask(do="wake")
    service.wait(lambda: all(a["wakes"] == 1 for a in service.answers_of_all().values()), "all awake")


def test_a_second_supervisor_is_refused(make: Make) -> None:
    service = make(workers=1)
    service.start_up()
    second = subprocess.run(
        [sys.executable, "-m", "tests.unit.supervise.echo_service", str(service.path)],
        check=False, capture_output=True, text=True, timeout=WAIT_S,
    )  # fmt: skip
    assert second.returncode == 1
    assert "runs already" in second.stderr
    assert service.answer()["pid"] in service.workers()


def test_a_taken_port_is_no_silent_sharing(make: Make) -> None:
    service = make(workers=1)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", service.port))
        other.listen()
        service.start()
        assert service.exit_code() == 1
    assert f"port {service.port} is taken" in (service.folder / "output").read_text()


def test_workers_that_never_get_ready_end_the_start(make: Make) -> None:
    service = make(workers=2, dies_at_start=True)
    service.start()
    assert service.exit_code() == 1
    assert "no worker gets ready" in (service.folder / "output").read_text()


def test_a_supervisor_that_hangs_is_silent_and_harms_nobody_when_it_goes_on(make: Make) -> None:
    """The manager's watchdog then ends it. It may also have been asleep with the whole machine."""
    service = make(workers=1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = str(service.socket.parent / "n")
        manager.bind(address)
        manager.settimeout(WAIT_S)
        service.start_up(NOTIFY_SOCKET=address, WATCHDOG_USEC="2000000")
        workers = service.workers()
        while b"WATCHDOG=1" not in manager.recv(4096):
            pass
        service.signal(signal.SIGSTOP)
        wait_until(lambda: state(service.pid) == "T", WAIT_S, "a stopped supervisor")
        manager.setblocking(False)
        with suppress(BlockingIOError):
            while manager.recv(4096):
                pass
        manager.settimeout(2.5)  # more than the manager would wait
        with pytest.raises(TimeoutError):
            manager.recv(4096)
        assert service.answer()["pid"] in workers, "mail goes on without it"
        service.signal(signal.SIGCONT)
        manager.settimeout(WAIT_S)
        while b"WATCHDOG=1" not in manager.recv(4096):
            pass
        assert service.workers() == workers


def test_the_service_manager_is_told(make: Make, tmp_path: Path) -> None:
    service = make(workers=2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        address = str(service.socket.parent / "n")
        manager.bind(address)
        manager.settimeout(WAIT_S)
        heard: list[str] = []

        def hear(state: str) -> None:
            while not any(state in message for message in heard):
                heard.append(manager.recv(4096).decode())

        service.start_up(NOTIFY_SOCKET=address, WATCHDOG_USEC="2000000")
        hear("READY=1")
        assert len(service.workers()) == 2
        heard.clear()
        hear("WATCHDOG=1")
        service.write(name="v2")
        service.ask(do="reload")
        hear("RELOADING=1\nMONOTONIC_USEC=")
        hear("READY=1\nSTATUS=2 workers, snapshot v2")
        service.signal(signal.SIGTERM)
        hear("STOPPING=1")
        assert service.exit_code() == 0
