"""Configuration of what authenticates mail: DNS, inbound listeners' checks, the keys of the ARC seal."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from mta.config.types import Duration, Secret, Strict


def _server(value: str) -> str:
    """An address, with a port where it isn't 53: `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:5353`."""
    address, port = value, "53"
    if value.startswith("["):
        address, _, port = value[1:].partition("]:")
    elif value.count(":") == 1:
        address, _, port = value.partition(":")
    try:
        is_right = bool(ip_address(address)) and 0 < int(port) < 65536
    except ValueError:
        is_right = False
    if not is_right:
        raise ValueError(f"{value!r} is no DNS server | write its address, with :port where it isn't 53")
    return value


class Dns(Strict):
    servers: tuple[Annotated[str, AfterValidator(_server)], ...] = ()
    """Empty: the system's."""
    timeout: Duration = timedelta(seconds=5)
    """For all questions of one message together."""


class Authentication(Strict):
    """How a listener's mail is authenticated."""

    mode: Literal["off", "verify", "trust"] = "off"
    authserv_id: str = ""
    """By what name our results go; empty: the hostname."""
    authserv_ids: tuple[str, ...] = ()
    """Of the gateways whose results are believed; for trust."""

    @model_validator(mode="after")
    def _trusts_somebody(self) -> Self:
        if self.mode == "trust" and not self.authserv_ids:
            raise ValueError("trust needs authserv_ids | write the names by which the gateway signs its results")
        return self


class ArcKey(Strict):
    """The key of our ARC seal; its public half stands in DNS as a DKIM key does."""

    domain: str
    selector: str
    key: Secret
