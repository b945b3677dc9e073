"""The configured spool, its Sent Items jobs, and what tracking keeps in it.

Apart from `app`, so that commands which only look at the queue don't load the whole relay.
"""

from __future__ import annotations

import sys

from mta.adapters.store.sentitems import SqliteSentItemJobs
from mta.adapters.store.sqlite import SqliteSpool
from mta.adapters.store.tracking import SqliteTrackingStore
from mta.config.schema import Configuration
from mta.ports.erasure import Erasure
from mta.ports.sentitem_jobs import SentItemJobs
from mta.ports.spool import Spool
from mta.ports.tracking_store import TrackingStore


async def open_spool(configuration: Configuration, *, slot: int | None) -> Spool:
    """The configured spool; `slot` is a worker's number, None for administrators' commands. Raises StoreError."""
    settings = configuration.spool
    # A file that root makes the service could not read, so what a command queues stands in the database.
    inline_up_to = settings.inline_up_to if slot is not None else sys.maxsize
    return await SqliteSpool.open(
        settings.folder,
        slot=slot,
        reserve=settings.reserve,
        inline_up_to=inline_up_to,
        hold_for=configuration.retry.hold_expires_after,
        patient=slot is not None,
        begin_anew=slot is not None and settings.when_damaged == "begin-anew",
    )


async def open_sent_item_jobs(configuration: Configuration, *, works: bool) -> SentItemJobs:
    """The jobs in the configured spool; `works`: for the process that works on them. Raises StoreError."""
    return await SqliteSentItemJobs.open(configuration.spool.folder, works=works, patient=works)


async def open_tracking_store(configuration: Configuration, *, works: bool) -> TrackingStore:
    """What tracking keeps in the configured spool; `works`: for the tracking process. Raises StoreError."""
    settings = configuration.spool
    return await SqliteTrackingStore.open(settings.folder, works=works, patient=works, reserve=settings.reserve)


async def open_erasure(configuration: Configuration) -> Erasure:
    """What erases people from the configured spool. Raises StoreError."""
    from mta.adapters.store.erasure import SqliteErasure  # no worker needs it

    return await SqliteErasure.open(configuration.spool.folder)
