"""Other systems that are told of records: webhooks, and plug-ins of the organisation's own."""

from __future__ import annotations

from mta.config.tracking_schema import Sink, WebhookSink
from mta.ports.record_sink import RecordSink


def open_sink(settings: Sink) -> RecordSink:
    """The sink; asks nobody yet.

    Raises OSError or KeyError where a secret or file can't be read.
    """
    if isinstance(settings, WebhookSink):
        from mta.adapters.records.webhook import Webhook

        return Webhook(settings)
    from mta.adapters.records.plugins import PluggedSink

    return PluggedSink(settings)
