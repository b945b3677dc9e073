"""Digests: reports by mail of what stands in records, at their times."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mta.ports.tracking_store import TrackingStore

if TYPE_CHECKING:
    from mta.tracking.desk import Desk


async def digests_due(desk: Desk, store: TrackingStore, now: datetime) -> int:
    """Make the mails of the digests whose time has come since they were made last; how many digests there were."""
    raise NotImplementedError(desk, store, now)
