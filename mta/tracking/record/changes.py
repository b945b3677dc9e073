"""Everything that follows from one message: entry, participants, changes of records, tasks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from mta.model.tracking import Intake
from mta.ports.tracking_store import TrackingStore
from mta.tracking.correlate.correlation import Correlation
from mta.tracking.incoming import Incoming

if TYPE_CHECKING:
    from mta.tracking.desk import Desk


async def changes_for(
    incoming: Incoming, correlation: Correlation, desk: Desk, store: TrackingStore, now: datetime
) -> Intake:
    """What the business rules make of a message that filters let through, or that is a report."""
    raise NotImplementedError(incoming, correlation, desk, store, now)
