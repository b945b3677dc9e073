"""Configuration of delivery: next hops, which of them a recipient's mail takes, and when it is tried again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mta.config.types import Count, Duration, Port, Rate, Secret, Size, Strict


class HopTls(Strict):
    mode: Literal["none", "opportunistic", "required"] = "opportunistic"
    implicit: bool = False
    """TLS from the first octet (RFC 8314), as on port 465; with `required` only."""
    ca_file: Path | None = None
    verify_name: str | None = None
    """The name that the certificate must carry, where it isn't the host's."""
    fingerprints: tuple[str, ...] = ()
    """SHA-256 of certificates, in hexadecimal: the remote's must be one of them; authorities and names don't count."""
    certificate: Path | None = None
    key: Path | None = None
    """Our own certificate, where the remote asks for one, as Exchange Online's connectors do."""


class HopAuth(Strict):
    """SMTP AUTH (PLAIN or LOGIN), over TLS with a verified certificate only."""

    user: str
    password: Secret
    clear_text: bool = False
    """The password may cross the network for everybody to read."""


class Host(Strict):
    """A server by name or address, or those that a domain's MX records name."""

    host: str = ""
    mx: str = ""
    """A domain whose MX records are looked up, with their preferences."""
    port: Port = 25
    preference: int = 10
    """Lower is tried first; equals are tried in random order."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.host) == bool(self.mx):
            raise ValueError("needs a host, or a domain whose MX records name hosts | write {host: …} or {mx: …}")
        return self


class Retry(Strict):
    schedule: Annotated[tuple[Duration, ...], Field(min_length=1)] = tuple(
        timedelta(minutes=m) for m in (1, 2, 5, 10, 20, 30, 60)
    )
    """Waits between attempts; the last one repeats."""
    expire_after: Duration = timedelta(days=2)
    hold_expires_after: Duration = timedelta(days=7)
    warn_after: Duration = timedelta(hours=4)
    """When a sender is told that mail is late; 0s: never."""


class HopLimits(Strict):
    """What all SMTP next hops share."""

    name: str
    tls: HopTls = HopTls()
    auth: HopAuth | None = None
    connections: Count = 20
    """Per worker."""
    keep_idle: Duration = timedelta(seconds=30)
    messages_per_connection: Count = 1000
    recipients_per_transaction: Count = 100
    messages: Rate | None = None
    """How much it is given at most; per worker."""
    connect_timeout: Duration = timedelta(seconds=30)
    reply_timeout: Duration = timedelta(minutes=5)
    retry: Retry | None = None
    """Its own, instead of the general one."""


class SmtpHop(HopLimits):
    kind: Literal["smtp"] = "smtp"
    hosts: Annotated[tuple[Host, ...], Field(min_length=1)]

    @property
    def goes_by_mx(self) -> bool:
        """Whether DNS is asked for MX records."""
        return any(host.mx for host in self.hosts)


class MxHop(HopLimits):
    """Delivers to the servers of each recipient's domain by its MX records (RFC 5321 §5.1); all limits per domain."""

    kind: Literal["mx"]
    connections: Count = 5
    port: Port = 25
    private_addresses: bool = False
    """Whether a domain's servers may have addresses of private networks or of this machine."""

    @property
    def goes_by_mx(self) -> bool:
        return True


class MaildirHop(Strict):
    """Delivers into Maildirs: for demonstrations and archives."""

    name: str
    kind: Literal["maildir"]
    folder: Path
    """`{domain}` and `{local}` stand for the recipient's."""

    @property
    def goes_by_mx(self) -> bool:
        return False


def _kind(value: Any) -> Any:
    return value.get("kind", "smtp") if isinstance(value, dict) else getattr(value, "kind", None)


NextHop = Annotated[
    Annotated[SmtpHop, Tag("smtp")] | Annotated[MxHop, Tag("mx")] | Annotated[MaildirHop, Tag("maildir")],
    Discriminator(_kind),
]


class SizeRoute(Strict):
    over: Size
    next_hop: str


class Routing(Strict):
    default: str
    domains: dict[str, str] = {}
    """Recipient domain (or `*.example.com`) → next hop."""
    sizes: tuple[SizeRoute, ...] = ()
    """For recipients whom no domain names: the largest `over` that the received message exceeds counts."""
