"""Strangers and hostile input at the edge of the whole process: what is refused never reaches the next hop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.servers.client import SmtpClient, dot_stuffed, send
from tests.servers.load import simple_message
from tests.servers.relay import Relay, running_relay
from tests.servers.sink import Sink


@dataclass(frozen=True)
class Running:
    relay: Relay
    sink: Sink


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("edges") / "relay"
    with Sink() as sink, running_relay(folder, sink.port, message_limits={"received": 20}) as relay:
        yield Running(relay, sink)


def _nothing_but_a_probe_arrives(running: Running, name: str) -> None:
    """Send a good message; when it has come, whatever could have come before it has."""
    answer = send(running.relay.port, "jane@example.com", ["probe@customer.example"], simple_message(name))
    running.relay.wait_until_settled(answer.queue_id)
    wanted = f"<{name}@mail.example.com>".encode()
    assert [a for a in running.sink.arrived if wanted not in a.data] == []
    running.sink.arrived.clear()


@pytest.mark.parametrize(
    "recipient",
    [
        "victim@elsewhere.example", "victim%elsewhere.example@example.com@elsewhere.example",
        "@example.com:victim@elsewhere.example", "victim@elsewhere.example@example.net", '"victim@elsewhere.example',
        "victim@[192.0.2.1]", "victim@sub.example.com", "victim@example.com.", "elsewhere.example!victim",
    ],
)  # fmt: skip
@pytest.mark.parametrize("sender", ["", "jane@example.com", "s@stranger.example"])
def test_a_stranger_cannot_relay(running: Running, sender: str, recipient: str) -> None:
    with SmtpClient(running.relay.inbound_port, helo="stranger.example") as client:
        assert client.command(f"MAIL FROM:<{sender}>".encode()).code == 250
        answer = client.command(f"RCPT TO:<{recipient}>".encode())
        assert 500 <= answer.code < 600
        assert answer.text.startswith(("5.7.1", "5.1.", "5.5."))
        assert client.command(b"DATA").code in (503, 554)


def test_a_stranger_reaches_our_own_people(running: Running) -> None:
    content = simple_message("inbound", sender="s@stranger.example", to="jane@example.com")
    answer = send(running.relay.inbound_port, "s@stranger.example", ["jane@example.com"], content)
    running.relay.wait_until_settled(answer.queue_id)
    assert running.sink.wait_for_message(b"<inbound@").rcpt_to == ("jane@example.com",)
    running.sink.arrived.clear()


SMUGGLED = (
    b"MAIL FROM:<boss@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
)


@pytest.mark.parametrize("port", ["port", "inbound_port"])
@pytest.mark.parametrize(
    "false_end",
    [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n\x00.\r\n", b"\n\n.\r\n"],
)
def test_nothing_but_crlf_dot_crlf_ends_a_message(running: Running, port: str, false_end: bytes) -> None:
    head = b"From: <s@stranger.example>\r\nTo: <jane@example.com>\r\nSubject: outer\r\n\r\nfirst"
    with SmtpClient(getattr(running.relay, port)) as client:
        for line in (b"MAIL FROM:<s@stranger.example>", b"RCPT TO:<jane@example.com>", b"DATA"):
            client.command(line)
        client.write(head + false_end + SMUGGLED)
        answer = client.answer()
        if b"\x00" not in false_end:
            assert (answer.code, answer.text[:6]) == (550, "5.6.11")
        assert client.command(b"NOOP").code == 250, "one reply, and the session goes on in step"
    running.sink.arrived[:] = [a for a in running.sink.arrived if b"\x00" not in a.data]
    _nothing_but_a_probe_arrives(running, f"smuggle-{port}")


def test_content_is_passed_on_dot_for_dot(running: Running) -> None:
    content = simple_message("dots", text=".one\r\n..two\r\n.\r\n...three\r\n. four")
    with SmtpClient(running.relay.port) as client:
        for line in (b"MAIL FROM:<jane@example.com>", b"RCPT TO:<john@example.com>", b"DATA"):
            client.command(line)
        stuffed = dot_stuffed(content)
        for position in range(0, len(stuffed), 7):  # cut at every kind of place
            client.write(stuffed[position : position + 7])
        assert client.answer().code == 250
    assert running.sink.wait_for_message(b"<dots@").data.endswith(content)
    running.sink.arrived.clear()


def test_a_message_over_the_size_limit_is_refused_before_and_after_data(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("size") / "relay"
    with Sink() as sink:
        relay = Relay(folder, sink.port)
        relay.settings["listeners"][0]["limits"]["size"] = "100kB"
        relay.write_settings()
        try:
            relay.start()
            with SmtpClient(relay.port) as client:
                assert "SIZE 100000" in client.extensions
                assert client.command(b"MAIL FROM:<jane@example.com> SIZE=100001").text.startswith("5.3.4")
                big = simple_message("big", text="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 3000)
                answer = client.send("jane@example.com", ["john@example.com"], big)
                assert (answer.code, answer.text[:5]) == (552, "5.3.4")
                small = client.send("jane@example.com", ["john@example.com"], simple_message("small"))
                assert small.code == 250
            assert b"<small@" in sink.wait_for(1)[0].data
        finally:
            relay.clean_up()


def test_a_message_that_has_come_too_far_is_a_loop(running: Running) -> None:
    hops = "".join(f"Received: from h{n} by h{n + 1}; Sun, 22 Nov 2026 09:00:00 +0000\r\n" for n in range(21))
    answer = send(running.relay.port, "jane@example.com", ["john@example.com"], simple_message("loop", headers=hops))
    assert (answer.code, answer.text[:5]) == (554, "5.4.6")


def test_a_long_message_passes_whole(running: Running) -> None:
    """A few MB go by way of a file; what arrives is what was sent."""
    content = simple_message("long", text=("0123456789abcdef" * 4 + "\r\n") * 60_000)
    answer = send(running.relay.port, "jane@example.com", ["john@example.com"], content)
    running.relay.wait_until_settled(answer.queue_id)
    assert running.sink.wait_for_message(b"<long@").data.endswith(content)
    running.sink.arrived.clear()


def test_a_line_of_a_megabyte_passes_unchanged(running: Running) -> None:
    content = simple_message("line", text="x" * 1_000_000)
    answer = send(running.relay.port, "jane@example.com", ["john@example.com"], content)
    assert answer.code == 250
    assert running.sink.wait_for_message(b"<line@").data.endswith(content)
    running.sink.arrived.clear()
