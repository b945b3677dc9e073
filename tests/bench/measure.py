"""One round: a load sent to one side, measured at its sink."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.shared_tools import load_tool, tool_path
from tests.servers.client import SmtpClient
from tests.servers.processes import tree_cpu_s
from tests.servers.wait import free_port, greets, wait_until

ARRIVAL_S = 90.0


@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    arguments: tuple[str, ...]
    kind: str
    messages: int


@dataclass(frozen=True, slots=True)
class Round:
    """Figures of one round; `per_s` counts arrivals at the sink, p50 and p99 are of the 250 to the end of data."""

    per_s: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float


class BenchSink:
    """The sink of one side, in a process of its own."""

    def __init__(self, samples: Path, every: int, port: int | None = None) -> None:
        """It writes every so many messages to `samples`; without a port it takes a free one."""
        samples.mkdir(parents=True)
        self.samples = samples
        self.port = free_port() if port is None else port
        command = [sys.executable, "-m", "tests.bench.sink", str(self.port), str(samples), str(every)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        wait_until(lambda: greets(self.port), 20, "the sink's greeting")

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def reset(self) -> None:
        self._say("reset")

    def report(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        self._say("report")
        report: dict[str, Any] = json.loads(self._process.stdout.readline())
        return report

    def wait_for(self, messages: int, timeout_s: float = ARRIVAL_S) -> float:
        """When the last of so many messages came (monotonic). Raises TimeoutError."""

        def arrived() -> bool:
            return int(self.report()["messages"]) >= messages

        wait_until(arrived, timeout_s, lambda: f"{messages} messages at the sink; {self.report()}")
        return float(self.report()["last"])

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=20)


@dataclass(frozen=True, slots=True)
class Side:
    """One contestant: where it listens, the root of its processes, its sink, and which of them hold messages."""

    name: str
    port: int
    pid: int
    sink: BenchSink
    workers: Callable[[], list[int]]


def run_round(side: Side, workload: Workload, connections: int, *, timeout_s: float = 180) -> Round:
    """Send the whole load and wait until all of it has arrived. Raises RuntimeError if any was refused."""
    side.sink.reset()
    cpu_before = tree_cpu_s(side.pid)
    command = [sys.executable, str(tool_path("smtp_load")), "--port", str(side.port), "-c", str(connections)]
    command += ["-n", str(workload.messages), "--kind", workload.kind, *workload.arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout_s)
    load = json.loads(done.stdout)
    if load["accepted"] != workload.messages:
        raise RuntimeError(f"{side.name} took {load['accepted']} of {workload.messages}: {load['first_error']}")
    last = side.sink.wait_for(workload.messages, max(ARRIVAL_S, timeout_s))
    return Round(
        per_s=workload.messages / (last - load["began_monotonic"]),
        cpu_ms=(tree_cpu_s(side.pid) - cpu_before) / workload.messages * 1000,
        p50_ms=load["latency_ms_p50"],
        p99_ms=load["latency_ms_p99"],
    )


def lone_latencies_ms(side: Side, workload: Workload, count: int) -> list[float]:
    """Time from MAIL FROM to arrival at the sink, for messages sent one after the other, sorted."""
    tool = load_tool("smtp_load")
    found = []
    with SmtpClient(side.port) as client:
        for number in range(count):
            head, tail = tool.build_message(
                workload.kind, 10240, 50_000, 2, 15_000, "sender@example.com", ["rcpt@example.net"], number % 16 + 1
            )
            content = head + b"Message-ID: <lone-%d@load.example.com>\r\n" % number + tail
            side.sink.reset()
            began = time.monotonic()
            answer = client.send("sender@example.com", ["rcpt@example.net"], content)
            if answer.code != 250:
                raise RuntimeError(f"{side.name} refused a lone message: {answer}")
            found.append((side.sink.wait_for(1) - began) * 1000)
    return sorted(found)
