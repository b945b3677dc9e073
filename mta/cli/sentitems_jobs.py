"""The jobs as commands open them: beside a running relay or without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mta.cli.command import CommandFailedError
from mta.cli.queue_spool import check_access
from mta.config.schema import Configuration
from mta.ports.sentitem_jobs import SentItemJobs

Result = TypeVar("Result")


def with_jobs(configuration: Configuration, use: Callable[[SentItemJobs], Awaitable[Result]]) -> Result:
    """What `use` gives, on the opened store. Raises CommandFailedError where it can't be opened."""
    from mta.adapters.store.errors import StoreError
    from mta.app.spool import open_sent_item_jobs
    from mta.model.reply import MailError

    check_access(configuration.spool.folder)

    async def run() -> Result:
        jobs = await open_sent_item_jobs(configuration, works=False)
        try:
            return await use(jobs)
        finally:
            await jobs.close()

    try:
        return asyncio.run(run())
    except (StoreError, OSError) as exc:
        raise CommandFailedError(str(exc)) from exc
    except MailError as exc:
        raise CommandFailedError(f"the store refused ({exc}): it is busy, full or damaged, see the log") from exc
