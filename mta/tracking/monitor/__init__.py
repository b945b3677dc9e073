"""Monitored mailboxes: when each is polled, what one poll does, and what happens where a server doesn't let us in.

In: the configuration's mailboxes, each with its organisation's desk. Out: messages that the store has taken, and that
lie on the server where `after` says. A message is fetched, taken by the store in one transaction, and only then moved,
deleted or marked: whatever dies between, it is fetched again and not taken twice.
"""

from mta.tracking.monitor.assignment import Assignment as Assignment
from mta.tracking.monitor.monitors import Monitors as Monitors
