"""One scripted server for the tests of a module."""

from __future__ import annotations

import gc
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from mta.adapters.mailbox.graph import GraphSentItems
from tests.peers.oauth import OAuthServer
from tests.unit.adapters.mailbox.graph.scripted import Scripted, adapter, scripted_graph


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scripted, OAuthServer]]:
    with scripted_graph(tmp_path_factory.mktemp("graph")) as both:
        yield both


@pytest.fixture
def script(servers: tuple[Scripted, OAuthServer]) -> Scripted:
    servers[0].replies.clear()
    servers[0].requests.clear()
    return servers[0]


@pytest.fixture
def oauth(servers: tuple[Scripted, OAuthServer]) -> OAuthServer:
    return servers[1]


@pytest.fixture
def forgets_connections() -> Iterator[None]:
    """Of a connection that was being made when time was up, httpcore lets go without closing it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest_asyncio.fixture
async def graph(script: Scripted, oauth: OAuthServer, tmp_path: Path) -> AsyncIterator[GraphSentItems]:
    server = adapter(oauth, tmp_path, script.url)
    yield server
    await server.close()
