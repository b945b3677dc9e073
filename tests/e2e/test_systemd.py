"""The systemd unit, as systemd itself judges it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "stampline.service"
EXPOSURE_MAX = 20
"""Tenths; systemd calls up to 2.0 OK."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is here."""
    if shutil.which("systemd-analyze") is None:
        if "CI" in os.environ:
            pytest.fail("systemd-analyze is not installed")
        pytest.skip("systemd-analyze is not installed")
    text, count = re.subn(r"(?m)^(Exec\w+=)\S+", rf"\1{shutil.which('true')}", UNIT.read_text())
    assert count == 2
    copy = tmp_path / UNIT.name
    copy.write_text(text)
    return copy


@pytest.mark.server
def test_verify_has_nothing_to_say(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.server
def test_it_is_hardened(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(unit)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_does_what_the_supervisor_counts_on() -> None:
    settings = dict(re.findall(r"(?m)^(\w+)=(.*)$", UNIT.read_text()))
    assert settings["Type"] == "notify"
    assert settings["KillMode"] == "mixed"
    assert settings["RestartPreventExitStatus"] == "2"
    assert int(settings["TimeoutStopSec"]) > 30 + 5
    assert int(settings["WatchdogSec"]) >= 10
    assert settings["ExecStart"].split()[1:] == ["serve", "--config", "/etc/stampline/stampline.yaml"]
