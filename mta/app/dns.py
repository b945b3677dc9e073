"""DNS by the configured servers, for the processes that ask it."""

from __future__ import annotations

from mta.config.schema import Configuration
from mta.ports.resolver import Resolver


def open_resolver(configuration: Configuration) -> Resolver:
    """Importing it takes a tenth of a second."""
    from mta.adapters.dns.resolver import DnsResolver

    return DnsResolver(configuration.dns.servers, timeout_s=configuration.dns.timeout.total_seconds())
