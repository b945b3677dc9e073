"""What all tests share: which of them can't run here, and why."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings

from mta.cli.chromium import find_chromium
from tests.servers import dovecot, exim, mail_dkim, opendkim, postfix, rspamd, samba
from tests.servers.dns import DnsServer, dns_server


def pytest_configure(config: pytest.Config) -> None:
    """Many connections at once need more than the usual 1,024 open files; and what holds for all property tests.

    Each run tries the same examples, however slow the machine is; `--hypothesis-seed=random` tries others.
    """
    settings.register_profile(
        "stampline",
        deadline=None,
        derandomize=config.getoption("--hypothesis-seed") is None,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
    )
    settings.load_profile("stampline")
    # Else each of the many processes of a run would compile the whole program anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 16384), hard), hard))


def _need(reason: str) -> None:
    """Not run where a server can't be started; a failure in CI."""
    if reason and "CI" in os.environ:
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.fixture
def needs_postfix() -> None:
    """For tests that start a Postfix."""
    _need(postfix.missing())


@pytest.fixture
def needs_exim() -> None:
    """For tests that start an Exim."""
    _need(exim.missing())


@pytest.fixture(scope="session")
def needs_dovecot() -> None:
    """For tests that start a Dovecot."""
    _need(dovecot.missing())


@pytest.fixture
def needs_mail_clients() -> None:
    """For tests that send by swaks, curl and smtp-source."""
    absent = [name for name in ("swaks", "curl", "smtp-source") if shutil.which(name) is None]
    _need(f"not installed: {', '.join(absent)}" if absent else "")


@pytest.fixture
def needs_opendkim() -> None:
    """For tests that verify with opendkim."""
    _need(opendkim.missing())


@pytest.fixture(scope="session")
def samba_domain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A provisioned Active Directory domain, for `running_samba`; made once, whatever the number of test processes."""
    _need(samba.missing())
    base = tmp_path_factory.getbasetemp()
    return samba.provisioned((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "samba")


@pytest.fixture
def needs_mail_dkim() -> None:
    """For tests that verify with Mail::DKIM."""
    _need(mail_dkim.missing())


@pytest.fixture(scope="session")
def rspamd_judge() -> Iterator[tuple[Callable[[bytes], set[str]], DnsServer]]:
    """An rspamd, which takes long to start, and the DNS server that it asks; tests add records of their own there."""
    _need(rspamd.missing())
    with (
        TemporaryDirectory(prefix="rspamd-") as folder,
        dns_server({}) as server,
        rspamd.rspamd(Path(folder), server.address) as judge,
    ):
        yield judge, server


@pytest.fixture
def chromium() -> str:
    """Path of a headless browser, for tests that make pictures."""
    path = find_chromium()
    _need("" if path else "no Chromium is installed")
    return path or ""
