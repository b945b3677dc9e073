"""A disk that is soon full: a tmpfs. Mounting needs root; without it tests are not run, which in CI is a failure."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


def fill(ballast: Path) -> None:
    """Write the file until its disk is full to the last octet."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(512)):
            pass


@contextmanager
def small_disk(folder: Path, octets: int) -> Iterator[None]:
    """A file system of that size, mounted on the folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={octets}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"can't mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
