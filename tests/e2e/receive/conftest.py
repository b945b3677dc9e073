"""Every test of this folder runs on asyncio's own loop and on uvloop, which differ most where clients misbehave.

For TLS there are the server's context and a client's that trusts it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
import uvloop

from mta.relay.receive import server_context


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loops, by the names that show in the tests' ids."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def certificate_files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The server's certificate and key, in files as an administrator has them."""
    folder = tmp_path_factory.mktemp("certificate")
    leaf = authority.issue_cert("mx.example.com")
    for blob in leaf.cert_chain_pems:
        with (folder / "cert.pem").open("ab") as file:
            file.write(blob.bytes())
    (folder / "key.pem").write_bytes(leaf.private_key_pem.bytes())
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="session")
def context(certificate_files: tuple[Path, Path]) -> ssl.SSLContext:
    """The server's, from those files."""
    return server_context(*certificate_files)


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A client's."""
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return client
