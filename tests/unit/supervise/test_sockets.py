"""Listening sockets of several slots on one port."""

from __future__ import annotations

import socket

import pytest

from mta.config.listener_schema import Listener
from mta.supervise import sockets
from mta.supervise.sockets import PortTakenError, SlotSockets, free_ports

LISTENERS = (
    Listener(name="in", port=0, role="inbound"),
    Listener(name="six", address="::1", port=0, role="inbound"),
)


def _end(fd: int) -> socket.socket:
    return socket.socket(fileno=socket.dup(fd))


def test_each_slot_has_its_own_socket_on_the_same_port() -> None:
    ports = free_ports(LISTENERS)
    slots = [SlotSockets(LISTENERS, ports) for _ in range(3)]
    fds = [slot.fds() for slot in slots]
    assert len({fd for each in fds for fd in each.values()}) == 6
    for each in fds:
        for name, fd in each.items():
            with _end(fd) as end:
                assert end.getsockname()[1] == ports[name]
    assert [slot.fds() for slot in slots] == fds
    for slot in slots:
        slot.close()


def test_nobody_listens_before_the_worker_does() -> None:
    ports = free_ports(LISTENERS[:1])
    slot = SlotSockets(LISTENERS[:1], ports)
    with _end(slot.fds()["in"]) as end:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports["in"]))
        end.listen()
        socket.create_connection(("127.0.0.1", ports["in"])).close()
    slot.close()


def test_what_waits_survives_its_worker_but_not_its_slot() -> None:
    ports = free_ports(LISTENERS[:1])
    slot = SlotSockets(LISTENERS[:1], ports)
    with _end(slot.fds()["in"]) as worker:
        worker.listen()
    with socket.create_connection(("127.0.0.1", ports["in"])) as waiting, _end(slot.fds()["in"]) as next_worker:
        accepted, _ = next_worker.accept()
        with accepted:
            accepted.sendall(b"220")
        assert waiting.recv(10) == b"220"
    slot.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports["in"]))


def test_a_port_that_another_program_shares_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "TAKEN_WAIT_S", 0.1)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"127.0.0.1 port {port} is taken"):
            free_ports([Listener(name="in", port=port, role="inbound")])


def test_an_address_that_is_not_ours_is_an_error() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        free_ports([Listener(name="in", address="192.0.2.1", port=0, role="inbound")])
