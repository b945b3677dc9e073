"""A domain controller with the contract's people, and spools, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.directories import LDIF
from tests.contract.erasure import open_erasure
from tests.contract.mailboxes.fixtures import harness, harnesses, mailbox, server
from tests.contract.sentitem_jobs import jobs, mail, open_jobs
from tests.contract.spools import clock, open_spool, spool
from tests.contract.tracking import arrivals, open_tracking, tracking
from tests.servers.samba import Samba, running_samba

__all__ = [
    "arrivals",
    "clock",
    "harness",
    "harnesses",
    "jobs",
    "mail",
    "mailbox",
    "open_erasure",
    "open_jobs",
    "open_spool",
    "open_tracking",
    "samba",
    "server",
    "spool",
    "tracking",
]


@pytest.fixture(scope="session")
def samba(samba_domain: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    with running_samba(samba_domain, tmp_path_factory.mktemp("dc") / "dc1") as server:
        server.add(LDIF)
        server.start()
        yield server
