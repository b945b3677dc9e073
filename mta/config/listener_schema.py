"""Configuration of listeners: where mail comes in, who may hand it over, as whom, and how much of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from mta.config.authentication_schema import Authentication
from mta.config.types import Count, Duration, Network, Port, Rate, Size, Strict


class ListenerTls(Strict):
    mode: Literal["none", "offered", "required", "implicit"] = "none"
    """implicit: TLS from the first octet (RFC 8314), as on port 465."""
    certificate: Path | None = None
    key: Path | None = None
    client_ca_file: Path | None = None
    """PEM of the authorities whose client certificates count. None: the system's."""


class ListenerLimits(Strict):
    size: Size = 37_748_736
    recipients: Count = 1000
    connections: Count = 1000
    connections_per_client: Count = 50
    errors: Count = 20
    junk_commands: Count = 100
    failed_logins: Count = 5
    """Of one session, before it is closed."""
    idle: Duration = timedelta(minutes=5)
    data: Duration = timedelta(minutes=10)
    """The longest that one DATA may take, from its command to its final dot."""
    messages_per_client: Rate | None = None
    recipients_per_client: Rate | None = None
    messages_per_sender: Rate | None = None
    """By reverse-path."""


class Peer(Strict):
    """One kind of client that may relay: whoever shows all that is asked here. At least one thing is asked."""

    name: str
    """For log lines."""
    networks: tuple[Network, ...] = ()
    certificates: tuple[str, ...] = ()
    """Names (SAN, or the subject's common name where there is none) of which a verified certificate has one."""
    accounts: tuple[str, ...] = ()
    """Names that may sign in by SMTP AUTH; `*` is everybody in the accounts file."""
    senders: tuple[str, ...] = ()
    """Domains (`example.com`, `*.example.com`) and addresses that may stand in reverse-path and From. Empty: any."""
    messages: Rate | None = None
    """Beside the listener's limits."""

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not (self.networks or self.certificates or self.accounts):
            raise ValueError("asks for nothing, so it is everybody | give networks, certificates or accounts")
        return self


class ExchangeOnline(Strict):
    """By what our own tenant is told from all others, which share its addresses and its certificate."""

    tenant_id: str
    header: str = "X-MS-Exchange-CrossTenant-Id"


class RecipientVerification(Strict):
    """Whether recipients in our domains are asked for before their mail is taken; unknown ones get 550 5.1.1."""

    by: Literal["none", "directory", "next-hop"] = "none"
    keep_known: Duration = timedelta(hours=12)
    """How long a next hop's yes counts."""
    keep_unknown: Duration = timedelta(minutes=30)
    timeout: Duration = timedelta(seconds=10)
    """The longest wait for an answer; without one the recipient is accepted."""


class Listener(Strict):
    name: str
    address: str = "127.0.0.1"
    port: Port
    role: Literal["trusted", "inbound"]
    peer: Literal["other", "exchange", "exchange-online"] = "other"
    """Who stands behind it: from Exchange the header fields that Exchange trusts are passed on, else removed."""
    exchange_online: ExchangeOnline | None = None
    allowed_networks: tuple[Network, ...] = ()
    """Who may connect. Empty: everybody, which a `trusted` listener allows only where it has `clients`."""
    clients: tuple[Peer, ...] = ()
    """Who may relay; the first one that fits counts. Empty: everybody who may connect."""
    accounts_file: Path | None = None
    """Names and password hashes for SMTP AUTH, which is offered where this is given, under TLS only."""
    proxy_networks: tuple[Network, ...] = ()
    """Load balancers: whoever connects from here must begin with a PROXY header, v1 or v2."""
    tls: ListenerTls = ListenerTls()
    limits: ListenerLimits = ListenerLimits()
    bare_line_ends: Literal["refuse", "normalise"] = "refuse"
    authentication: Authentication = Authentication()
    """SPF, DKIM, DMARC and ARC; for `inbound` only."""
    verify_recipients: RecipientVerification = RecipientVerification()
