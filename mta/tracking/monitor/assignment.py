"""A monitored mailbox, and what its messages are judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mta.config.tracking_schema import MonitoredMailbox

if TYPE_CHECKING:
    from mta.tracking.desk import Desk


@dataclass(frozen=True, slots=True)
class Assignment:
    """A poll ends by the one that it began with."""

    settings: MonitoredMailbox
    desk: Desk
