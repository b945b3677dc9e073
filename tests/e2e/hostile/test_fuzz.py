"""A fuzzer that knows SMTP plays thousands of broken dialogues; what has to hold for each of them holds."""

from __future__ import annotations

import contextlib
import random
import re
import socket

import pytest

from tests.e2e.hostile.dialogues import RCPT, mutated
from tests.e2e.hostile.site import Site
from tests.servers.client import dot_stuffed
from tests.servers.load import simple_message

_REPLY = re.compile(rb"(?:[2345]\d\d-[ -~]*\r\n)*[2345]\d\d [ -~]*\r\n")
_QUEUED = re.compile(rb"^250 2\.0\.0 Ok: queued as (\S+)\r\n", re.MULTILINE)
_NO_COMMAND = re.compile(rb"data|bdat|quit|starttls|auth", re.IGNORECASE)
ROUNDS = 100
"""Dialogues between two looks at what has arrived."""


def _played(port: int, segments: list[bytes]) -> bytes:
    """All that is heard until the server closes."""
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):  # the server may close first; what it has said can be read all the same
            for segment in segments:
                client.sendall(segment)
            client.shutdown(socket.SHUT_WR)
        heard = b""
        with contextlib.suppress(OSError):
            while more := client.recv(65_536):
                heard += more
        return heard


def _problems(said: bytes, heard: bytes) -> list[str]:
    """What is wrong with the replies to it."""
    problems = []
    found, at = 0, 0
    while at < len(heard):
        match = _REPLY.match(heard, at)
        if match is None:
            return [f"not a reply: {heard[at : at + 100]!r}"]
        lines = match[0].splitlines(keepends=True)
        if max(map(len, lines)) > 512 or len({line[:3] for line in lines}) > 1:
            problems.append(f"a bad reply: {match[0]!r}")
        found, at = found + 1, match.end()
    if found > 2 + said.count(b"\n") or len(_QUEUED.findall(heard)) > said.upper().count(b"DATA") + said.count(b"LAST"):
        problems.append(f"more replies than commands: {heard!r}")
    return problems


def _fuzz(site: Site, chance: random.Random, dialogues: int) -> list[str]:
    worker, problems = site.worker, list[str]()
    for start in range(0, dialogues, ROUNDS):
        taken = 0
        listener = ("internet", "devices", "exchange")[start // ROUNDS % 3]
        for _ in range(ROUNDS):
            segments = mutated(chance)
            heard = _played(site.port(listener), segments)
            problems += [f"{segments!r}: {problem}" for problem in _problems(b"".join(segments), heard)]
            taken += len(_QUEUED.findall(heard))
        # Senders may have asked for reports.
        arrived = [each for each in site.arrived() if b"report-type=delivery-status" not in each.data]
        if len(arrived) != taken:
            problems.append(f"{taken} messages taken, {len(arrived)} arrived between {start} and {start + ROUNDS}")
        recipients = {path for each in arrived for path in each.rcpt_to}
        if listener == "internet":
            problems += [f"relayed to {path}" for path in recipients if not path.lower().endswith("@example.com")]
    problems += [str(event) for event in site.relay.events("internal-error")]
    assert site.worker == worker
    return problems


def test_broken_dialogues_break_nothing(site: Site) -> None:
    assert _fuzz(site, random.Random(1), 600) == []


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [2, 3])
def test_many_broken_dialogues_break_nothing(site: Site, seed: int) -> None:
    assert _fuzz(site, random.Random(seed), 10_000) == []


def test_after_rset_a_session_is_as_new(site: Site) -> None:
    """Whatever commands came before, unless they ended it."""
    chance = random.Random(4)
    good = b"RSET\r\n" + b"".join(RCPT) + b"DATA\r\n" + dot_stuffed(simple_message("after", to="john@example.com"))
    served = 0
    for _ in range(150):
        commands = _NO_COMMAND.split(b"".join(mutated(chance)))[0]
        heard = _played(site.port("exchange"), [b"EHLO x\r\n" + commands + b"\r\n" + good + b"QUIT\r\n"])
        codes = [line[:3] for line in heard.splitlines() if line[3:4] == b" "]
        if codes[-1] == b"221":
            assert codes[-6:] == [b"250", b"250", b"250", b"354", b"250", b"221"], commands
            served += 1
        else:
            assert codes[-1] in (b"421", b"554"), commands
    assert served > 100
    assert len(site.arrived()) == served
