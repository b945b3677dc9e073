"""Next hops by name, as administrators write them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mta.cli.command import CommandFailedError, ExitCode, printable
from mta.config.delivery_schema import MxHop
from mta.config.schema import Configuration
from mta.model.address import domain_key
from mta.model.next_hop import NextHopName
from mta.model.queue import QueueCount, QueueFilter


def configured_hop(configuration: Configuration, name: str) -> NextHopName:
    """The name in parts. Raises CommandFailedError for what nothing delivers to: a typing error would change nothing,
    and nobody would notice."""
    wanted = NextHopName.parse(name)
    hops = {hop.name: hop for hop in configuration.next_hops}
    if wanted.hop not in hops:
        text = f"there is no next hop {name!r}; the configuration has {_names(configuration)}"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
    if wanted.domain and not isinstance(hops[wanted.hop], MxHop):
        text = f"{wanted.hop} has no domains behind it, as one that delivers by MX has: write {wanted.hop}"
        raise CommandFailedError(text, ExitCode.BAD_CONFIGURATION)
    return NextHopName(wanted.hop, domain_key(wanted.domain), wanted.over_tls)


def tell_of_unknown_hop(configuration: Configuration, filters: Sequence[QueueFilter], count: QueueCount) -> None:
    """Where nothing matches a name that is in no configuration: it may be a typing error."""
    if count.messages:
        return
    known = {hop.name for hop in configuration.next_hops}
    unknown = {each.next_hop for each in filters if each.next_hop} - known
    for name in sorted(name for name in unknown if NextHopName.parse(name).hop not in known):
        print(printable(f"there is no next hop {name}; the configuration has {_names(configuration)}"), file=sys.stderr)


def _names(configuration: Configuration) -> str:
    return ", ".join(sorted(hop.name for hop in configuration.next_hops))
