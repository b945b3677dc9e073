"""A worker for tests of the supervisor: it answers one-line questions over TCP instead of relaying mail.

`status` answers one JSON line; `die` ends the process, `hang` blocks its event loop, `slow` answers when it drains.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from mta.config.problems import ConfigurationError, Problem
from mta.model.bypass import Bypass
from mta.supervise import WorkerChannel


def read_config(path: Path) -> dict[str, object]:
    """The tests' configuration: JSON. Raises ConfigurationError where it has a `problem`."""
    config: dict[str, object] = json.loads(path.read_text())
    if "problem" in config or config.get("worker_problem") == os.environ.get("ECHO_ROLE", "supervisor"):
        raise ConfigurationError([Problem(path, 1, 2, str(config.get("problem", "only workers see this")), "mend it")])
    return config


class EchoWorker:
    """What the supervisor asks for, and a TCP server."""

    def __init__(self, slot: int, config: Path, bypass: Bypass) -> None:
        self.slot = slot
        self.config = config
        self.bypass = bypass
        self.snapshot = self.prepared = str(read_config(config)["name"])
        self.wakes = 0
        self.answered = 0
        self.draining = asyncio.Event()
        self.sessions: set[asyncio.Task[None]] = set()

    async def prepare_reload(self) -> str:
        self.prepared = str(read_config(self.config)["name"])
        return self.prepared

    async def commit_reload(self) -> None:
        await asyncio.sleep(float(str(read_config(self.config).get("commits_in_s", 0))))
        self.snapshot = self.prepared

    async def set_bypass(self, bypass: Bypass) -> None:
        self.bypass = bypass

    async def wake(self) -> None:
        self.wakes += 1

    async def drain(self) -> None:
        self.draining.set()

    def report(self) -> Mapping[str, int]:
        return {"answered": self.answered}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.sessions.add(task)
        question = (await reader.readline()).strip()
        if question == b"die":
            os._exit(7)
        if question == b"hang":
            time.sleep(600)
        if question == b"slow":
            writer.write(b"waiting\n")
            await self.draining.wait()
        self.answered += 1
        status = {
            "pid": os.getpid(), "slot": self.slot, "bypass": self.bypass.on, "snapshot": self.snapshot,
            "wakes": self.wakes,
        }  # fmt: skip
        writer.write(json.dumps(status).encode() + b"\n")
        await writer.drain()
        writer.close()
        self.sessions.discard(task)


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slot", type=int)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--channel", type=int)
    parser.add_argument("--listen", action="append")
    parser.add_argument("--counts", type=int)
    arguments = parser.parse_args()
    try:
        channel = await WorkerChannel.open(arguments.channel)
        worker = EchoWorker(arguments.slot, arguments.config, channel.bypass)
    except ConfigurationError:
        return 2
    config = read_config(arguments.config)
    if config.get("dies_at_start") in (True, arguments.slot):
        return 9
    channel.start(worker)
    servers = [
        await asyncio.start_server(worker.serve, sock=socket.socket(fileno=int(text.partition(":")[0])))
        for text in arguments.listen
    ]
    await channel.ready(worker.snapshot)
    await worker.draining.wait()
    for server in servers:
        server.close()
    if worker.sessions and not config.get("never_drains"):
        await asyncio.wait(worker.sessions)
    if config.get("never_drains"):
        time.sleep(600)
    await channel.close()
    return 0


if __name__ == "__main__":
    os.environ["ECHO_ROLE"] = "worker"
    sys.exit(asyncio.run(main()))
