"""What root's commands make in the service's folders belongs to the service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """\
import os, sys
from pathlib import Path
from mta.cli.queue_spool import become_the_service
become_the_service(Path(sys.argv[1]))
print(os.geteuid(), os.getegid(), os.getgroups())
"""
_SERVICE = 65534


def becomes(folder: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(folder)], check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_goes_on_as_the_user_of_the_spool(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    os.chown(spool, _SERVICE, _SERVICE)
    assert becomes(spool) == f"{_SERVICE} {_SERVICE} [{_SERVICE}]"
    os.chown(spool, 4_000_000, 4_000_000)  # a user without a name
    assert becomes(spool) == "4000000 4000000 []"


def test_whoever_owns_the_spool_or_finds_none_stays_who_he_is(tmp_path: Path) -> None:
    me = f"{os.geteuid()} {os.getegid()} "
    assert becomes(tmp_path).startswith(me)
    assert becomes(tmp_path / "not yet").startswith(me)
