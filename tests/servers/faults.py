"""Faults of the machine, caused for real: system calls that fail in a running process (strace injects them)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.wait import wait_until


def needs(program: str) -> None:
    """Skip where it is not installed; in CI that is a failure."""
    if shutil.which(program) is None:
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"{program} is not installed")


def _threads(pid: int) -> list[Path]:
    return [path / "status" for path in Path(f"/proc/{pid}/task").iterdir()]


def _is_traced(pid: int) -> bool:
    try:
        return all("TracerPid:\t0\n" not in path.read_text() for path in _threads(pid))
    except OSError:  # one of them has just ended
        return False


@contextmanager
def failing(pid: int, calls: str, what: str, *paths: Path) -> Iterator[None]:
    """While it lasts, these system calls (on these files only, if any are named) fail in the process.

    `what` is strace's, e.g. `error=EIO`, `error=ENOSPC:when=2+`, `delay_enter=2000000`.
    """
    needs("strace")
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", f"trace={calls}"]
    command += ["-e", f"inject={calls}:{what}", *(f"--trace-path={path}" for path in paths)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as strace:
        try:
            wait_until(lambda: strace.poll() is not None or _is_traced(pid), 60, "strace")
            if strace.poll() is not None:
                assert strace.stderr is not None
                (pytest.fail if "CI" in os.environ else pytest.skip)(f"can't trace: {strace.stderr.read()}")
            yield
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait(60)
