"""Whether what authenticates mail fits the rest of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from mta.config.findings import Finding
from mta.config.schema import Configuration
from mta.config.yaml_values import Loc


def authentication_consistency(configuration: Configuration) -> Iterator[Finding]:
    """Looks at listeners' `authentication` and organisations' `arc`; at nothing outside the configuration."""
    for index, listener in enumerate(configuration.listeners):
        loc: Loc = ("listeners", index, "authentication")
        mode = listener.authentication.mode
        if mode != "off" and listener.role == "trusted":
            yield Finding(
                loc,
                f"trusted listener {listener.name!r} has your own servers' mail: nothing to authenticate",
                "keep it for inbound listeners",
            )
        elif mode == "trust" and not listener.allowed_networks:
            yield Finding(
                loc,
                f"listener {listener.name!r} takes mail from everybody: whoever writes the gateway's field is believed",
                "list the gateway's addresses as allowed_networks of the listener",
            )
        for name in (listener.authentication.authserv_id, *listener.authentication.authserv_ids):
            yield from _name(loc, name)
    authenticates = any(listener.authentication.mode != "off" for listener in configuration.listeners)
    for place, organisation in configuration.placed_organisations:
        if organisation.arc is None:
            continue
        if not authenticates:
            yield Finding(
                (*place, "arc"),
                "no listener authenticates mail, so there is nothing that a seal could say",
                "set authentication: {mode: verify} at your inbound listener",
            )


def _name(loc: Loc, name: str) -> Iterator[Finding]:
    if name and not (name.isascii() and name.replace("-", "").replace(".", "").replace("_", "").isalnum()):
        yield Finding(
            loc, f"{name!r} is no authserv-id", "write a name as it stands in the field, such as mx.example.com"
        )
