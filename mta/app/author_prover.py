"""Who finds out by DNS whether a message's author wrote it, for the processes that correlate."""

from __future__ import annotations

import asyncio

from mta.app.dns import open_resolver
from mta.config.schema import Configuration
from mta.message.parse import Message
from mta.model.authentication import AuthorProof
from mta.ports.author_prover import AuthorProver
from mta.ports.clock import SystemClock


class ProverOnDemand:
    """Opened when the first message asks: most never do, and it takes a tenth of a second and ten megabytes."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._opening = asyncio.Lock()
        self._opened: AuthorProver | None = None

    async def prove(self, message: Message) -> AuthorProof:
        async with self._opening:
            if self._opened is None:
                self._opened = await asyncio.to_thread(_open, self._configuration)
        return await self._opened.prove(message)

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()


def _open(configuration: Configuration) -> AuthorProver:
    from mta.authenticate.author import DkimProver

    timeout_s = configuration.dns.timeout.total_seconds()
    return DkimProver(open_resolver(configuration), SystemClock(), timeout_s=timeout_s)
