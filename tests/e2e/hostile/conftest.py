"""One relay for all attacks that it has to survive unharmed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.hostile.site import Site, running_site


@pytest.fixture(scope="session")
def whole_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("hostile")) as site:
        site.arrived()  # files that are opened once are open then
        yield site


@pytest.fixture
def site(whole_site: Site) -> Site:
    """Nothing of an earlier attack counts."""
    whole_site.forget()
    return whole_site
