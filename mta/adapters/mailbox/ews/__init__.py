"""Exchange Web Services: Sent Items of Exchange on-premises, and of Exchange Online until EWS ends there."""

from __future__ import annotations

from mta.adapters.mailbox.ews.sent_items import EwsSentItems

__all__ = ["EwsSentItems"]
