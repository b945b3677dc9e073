"""`stampline demo` on a copy of the sample configuration: it must show everything as it should be, and say so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.servers.wait import free_port

pytestmark = pytest.mark.timeout(240)
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the samples with free ports."""
    for name in ("conf", "rules", "templates"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    demo = tmp_path / "conf" / "demo.yaml"
    ports: defaultdict[str, int] = defaultdict(free_port)
    demo.write_text(re.sub(r"(\bport: *)(\d+)", lambda match: f"{match[1]}{ports[match[2]]}", demo.read_text()))
    return tmp_path


def _demo(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mta", "demo", "--config", str(folder / "conf" / "demo.yaml")]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=200, cwd=folder, env=environment
    )


def test_the_demonstration_shows_who_got_what_and_ends_well(folder: Path) -> None:
    done = _demo(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if "var/" in line and "@" in line]
    assert len(rows) >= 8
    for row in rows:
        assert (folder / row.split()[-1]).is_file(), row
    assert any("(hidden)" in row for row in rows)


def test_the_demonstration_fails_where_a_message_is_not_stamped(folder: Path) -> None:
    """A template without the telephone number is not what was promised."""
    for path in (folder / "templates").rglob("signature.*.j2"):
        path.write_text(path.read_text().replace("sender.telephoneNumber", "sender.displayName"))
    done = _demo(folder)
    assert done.returncode == 1
    assert "0 signatures" in done.stderr


def test_the_demonstration_does_not_empty_folders_of_others(folder: Path) -> None:
    demo = folder / "conf" / "demo.yaml"
    precious = folder / "precious"
    precious.mkdir()
    (precious / "file").touch()
    demo.write_text(re.sub(r"(spool:\s+folder:) \S+", rf"\1 {precious}", demo.read_text()))
    done = _demo(folder)
    assert done.returncode == 1
    assert "no configuration for demonstrations" in done.stderr
    assert (precious / "file").exists()
