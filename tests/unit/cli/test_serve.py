"""`stampline serve` and `stampline _worker` refuse what is wrong before they begin."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mta.cli import main


@pytest.mark.parametrize(
    ("text", "problem"),
    [("hostname: [\n", "stampline.yaml:"), ("hostname: relay.example.com\nhots: 1\n", "hots")],
)
def test_a_bad_configuration_is_2(tmp_path: Path, text: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "stampline.yaml"
    config.write_text(text)
    assert main(["serve", "--config", str(config)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("stampline: the configuration has ")
    assert problem in error


def test_a_missing_configuration_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--config", str(tmp_path / "missing.yaml")]) == 2
    assert "missing.yaml" in capsys.readouterr().err


def test_a_worker_on_a_bad_configuration_ends_with_2(tmp_path: Path) -> None:
    config = tmp_path / "stampline.yaml"
    config.write_text("hostname: [\n")
    end, theirs = socket.socketpair()
    end.sendall(json.dumps({"do": "hello", "bypass": {"on": False, "until": None}}).encode() + b"\n")
    with end, theirs:
        command = [sys.executable, "-m", "mta", "_worker", "--config", str(config), "--slot", "0"]
        command += ["--channel", str(theirs.fileno())]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, pass_fds=[theirs.fileno()], timeout=60
        )
    assert done.returncode == 2
    assert f"\n{config}:" in done.stderr
