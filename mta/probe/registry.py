"""The kinds of probe there are, in the order in which they are shown. A new kind is one more line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from mta.probe import (
    alerts,
    certificates,
    directories,
    dns_servers,
    domains,
    machine,
    mailbox_servers,
    monitored_mailboxes,
    next_hops,
    outgoing,
    published_keys,
)
from mta.probe.probe import Probe, Surroundings

MakeProbes = Callable[[Surroundings], Iterable[Probe]]

KINDS: Mapping[str, MakeProbes] = {
    "machine": machine.probes,
    "dns": dns_servers.probes,
    "next-hop": next_hops.probes,
    "directory": directories.probes,
    "key": published_keys.probes,
    "domain": domains.probes,
    "certificate": certificates.probes,
    "mailbox-server": mailbox_servers.probes,
    "monitored-mailbox": monitored_mailboxes.probes,
    "outgoing": outgoing.account_probes,
    "sink": outgoing.sink_probes,
    "alert": alerts.probes,
}


def every_probe(surroundings: Surroundings) -> list[tuple[str, Probe]]:
    """All probes for a configuration, each with its kind."""
    return [(kind, probe) for kind, make in KINDS.items() for probe in make(surroundings)]
