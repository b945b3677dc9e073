"""Configuration of what authenticates mail: DNS, inbound listeners' checks, the keys of the ARC seal."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from mta.config.types import Duration, Secret, Strict


def address_and_port(server: str) -> tuple[str, int]:
    """`192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53` or `[2001:db8::53]:5353`. Raises ValueError for anything else."""
    address, port = server, "53"
    if server.startswith("["):
        address, _, port = server[1:].partition("]:")
    elif server.count(":") == 1:
        address, _, port = server.partition(":")
    try:
        is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
        parsed = str(ip_address(address)) if is_port else ""
    except ValueError:
        parsed = ""
    if not parsed:
        raise ValueError(f"{server!r} is no DNS server | write its address, with :port where it isn't 53")
    return parsed, int(port)


def _server(value: str) -> str:
    address_and_port(value)
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
