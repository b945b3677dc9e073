"""Time-triggered rules: what time does to records."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mta.ports.tracking_store import TrackingStore

if TYPE_CHECKING:
    from mta.tracking.desk import Desk


async def overdue_work(desk: Desk, store: TrackingStore, now: datetime) -> int:
    """Carry out the time-triggered rules for the records that they are for now; for how many it was done."""
    raise NotImplementedError(desk, store, now)
