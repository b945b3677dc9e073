"""The control socket, both sides."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mta.control.client import NotRunningError, ask
from mta.control.server import AlreadyRunningError, ControlServer


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:  # short, for a unix socket's path
        yield Path(folder) / "run" / "c"


async def _echo(request: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"ok": True, "asked": dict(request)}


async def test_a_request_is_answered(path: Path) -> None:
    server = ControlServer(path, _echo)
    server.lock()
    await server.start()
    try:
        assert path.stat().st_mode & 0o777 == 0o600
        answer = await asyncio.to_thread(ask, path, {"do": "status", "text": "ü\n"})
        assert answer == {"ok": True, "asked": {"do": "status", "text": "ü\n"}}
    finally:
        await server.close()
    assert not path.exists()


@pytest.mark.parametrize("line", [b"\n", b"[]\n", b"nonsense\n", b"\xff\n", b'"x"\n'])
async def test_what_is_no_request_is_refused(path: Path, line: bytes) -> None:
    server = ControlServer(path, _echo)
    server.lock()
    await server.start()
    try:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line)
        assert b'"ok": false' in await reader.readline()
        writer.close()
    finally:
        await server.close()


async def test_an_endless_request_is_cut(path: Path) -> None:
    server = ControlServer(path, _echo)
    server.lock()
    await server.start()
    try:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x" * 200_000)
        assert await reader.read() == b""
        writer.close()
    finally:
        await server.close()


async def test_only_one_may_serve_and_a_left_socket_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    first, second = ControlServer(path, _echo), ControlServer(path, _echo)
    first.lock()
    await first.start()
    with pytest.raises(AlreadyRunningError, match="runs already"):
        second.lock()
    await second.close()
    assert (await asyncio.to_thread(ask, path, {}))["ok"]
    await first.close()
    third = ControlServer(path, _echo)
    third.lock()
    await third.close()


def test_nobody_there(path: Path) -> None:
    with pytest.raises(NotRunningError, match=str(path)):
        ask(path, {"do": "status"})
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with pytest.raises(NotRunningError):
        ask(path, {"do": "status"})
