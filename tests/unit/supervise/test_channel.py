"""The worker's end of its line to the supervisor."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mta.config.problems import ConfigurationError, Problem
from mta.model.bypass import Bypass
from mta.supervise.channel import WorkerChannel, bypass_from_json, problem_from_json, problem_to_json

HELLO = {"do": "hello", "bypass": {"on": True, "until": "2026-11-22T10:00:00+00:00"}}
UNTIL = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


class Remembering:
    """A worker that writes down what it was asked; `failure` is what preparing raises."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.failure: Exception | None = None
        self.drained = asyncio.Event()

    async def prepare_reload(self) -> str:
        if self.failure is not None:
            raise self.failure
        return "v2"

    async def commit_reload(self) -> None:
        self.asked.append("commit")

    async def set_bypass(self, bypass: Bypass) -> None:
        self.asked.append(bypass)

    async def wake(self) -> None:
        self.asked.append("wake")
        raise RuntimeError("a defect in the worker")

    async def drain(self) -> None:
        self.drained.set()

    def report(self) -> Mapping[str, int]:
        return {"in_hand": 3}


class Supervisor:
    """The other end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, order: Mapping[str, Any]) -> None:
        self._writer.write(json.dumps(order).encode() + b"\n")

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next message of that kind."""
        while True:
            message: dict[str, Any] = json.loads(await asyncio.wait_for(self._reader.readline(), 60))
            if message["is"] == kind:
                return message

    def hang_up(self) -> None:
        self._writer.close()


@pytest.fixture
async def line() -> AsyncIterator[tuple[Supervisor, WorkerChannel, Remembering]]:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    supervisor = Supervisor(reader, writer)
    supervisor.say(HELLO)
    channel = await WorkerChannel.open(theirs.detach())
    worker = Remembering()
    channel.start(worker)
    yield supervisor, channel, worker
    await channel.close()
    supervisor.hang_up()


Line = tuple[Supervisor, WorkerChannel, Remembering]


async def test_it_knows_the_bypass_switch_from_the_start(line: Line) -> None:
    assert line[1].bypass == Bypass(on=True, until=UNTIL)


async def test_it_beats_with_its_report_and_says_when_it_is_ready(line: Line) -> None:
    supervisor, channel, _ = line
    assert (await supervisor.hear("alive"))["report"] == {"in_hand": 3}
    await channel.ready("v1")
    assert await supervisor.hear("ready") == {"is": "ready", "snapshot": "v1"}


async def test_orders_reach_the_worker_in_turn_even_after_one_failed(line: Line) -> None:
    supervisor, _, worker = line
    for order in ({"do": "wake"}, {"do": "commit"}, {"do": "bypass", "bypass": {"on": False, "until": None}}):
        supervisor.say(order)
    supervisor.say({"do": "drain"})
    await asyncio.wait_for(worker.drained.wait(), 60)
    assert worker.asked == ["wake", "commit", Bypass()]


async def test_what_was_ordered_before_is_carried_out_when_it_confirms(line: Line) -> None:
    supervisor, _, worker = line
    for order in ({"do": "wake"}, {"do": "commit"}, {"do": "confirm", "id": 3}):
        supervisor.say(order)
    assert await supervisor.hear("answered") == {"is": "answered", "id": 3, "answer": {}}
    assert worker.asked == ["wake", "commit"]


@pytest.mark.parametrize(
    ("failure", "what"),
    [
        (ConfigurationError([Problem(Path("/a.yaml"), 3, 5, "no such group", "write Sales")]), "no such group"),
        (ZeroDivisionError("a defect in the worker"), "a worker failed to load it: ZeroDivisionError"),
    ],
)
async def test_preparing_is_answered_whatever_happens(line: Line, failure: Exception, what: str) -> None:
    supervisor, _, worker = line
    supervisor.say({"do": "prepare", "id": 7})
    assert await supervisor.hear("prepared") == {"is": "prepared", "id": 7, "snapshot": "v2", "problems": []}
    worker.failure = failure
    supervisor.say({"do": "prepare", "id": 8})
    answer = await supervisor.hear("prepared")
    assert (answer["id"], answer["snapshot"]) == (8, "")
    assert [problem_from_json(problem).what for problem in answer["problems"]] == [what]


async def test_a_supervisor_that_is_gone_means_drain(line: Line) -> None:
    supervisor, _, worker = line
    supervisor.hang_up()
    await asyncio.wait_for(worker.drained.wait(), 60)


def test_problems_travel_whole() -> None:
    problem = Problem(Path("/a.yaml"), 3, 5, "no such group", "write Sales")
    assert problem_from_json(json.loads(json.dumps(problem_to_json(problem)))) == problem


@pytest.mark.parametrize("data", [{}, {"on": True, "until": "soon"}, {"on": True, "until": "2026-11-22T10:00:00"}])
def test_a_bypass_that_makes_no_sense_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        bypass_from_json(data)
