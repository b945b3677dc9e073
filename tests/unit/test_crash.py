"""Crash points kill where and when they are told to, and otherwise do nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

SCRIPT = """
from mta.crash import crash_point
for number in range(3):
    crash_point("elsewhere")
    crash_point("here")
    print(number, flush=True)
"""


def _run(setting: str | None) -> tuple[int, str]:
    environment = {key: value for key, value in os.environ.items() if key != "STAMPLINE_CRASH_AT"}
    if setting is not None:
        environment["STAMPLINE_CRASH_AT"] = setting
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


def test_without_the_variable_nothing_dies() -> None:
    assert _run(None) == (0, "0\n1\n2\n")


def test_the_named_point_kills_at_its_first_passage() -> None:
    assert _run("here") == (-signal.SIGKILL, "")


def test_the_named_point_kills_at_the_passage_that_is_asked_for() -> None:
    assert _run("here:3") == (-signal.SIGKILL, "0\n1\n")


def test_another_name_kills_nobody() -> None:
    assert _run("nowhere") == (0, "0\n1\n2\n")
