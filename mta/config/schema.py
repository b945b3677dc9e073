"""The configuration file, key by key. `conf/stampline.yaml` is the same with every key explained.

Relative paths are relative to the folder of the configuration file; the loader makes them absolute.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mta.config.authentication_schema import ArcKey, Authentication, Dns
from mta.config.directory_schema import DirectorySettings as DirectorySettings
from mta.config.types import Duration, Secret, Size, Strict
from mta.model.address import domain_key

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Network = IPv4Network | IPv6Network


class ListenerTls(Strict):
    mode: Literal["none", "offered", "required"] = "none"
    certificate: Path | None = None
    key: Path | None = None


class ListenerLimits(Strict):
    size: Size = 37_748_736
    recipients: Count = 1000
    connections: Count = 1000
    connections_per_client: Count = 50
    errors: Count = 20
    junk_commands: Count = 100
    idle: Duration = timedelta(minutes=5)
    data: Duration = timedelta(minutes=10)
    """The longest that one DATA may take, from its command to its final dot."""


class Listener(Strict):
    name: str
    address: str = "127.0.0.1"
    port: Port
    role: Literal["trusted", "inbound"]
    allowed_networks: tuple[Network, ...] = ()
    """Who may connect. Must be given for `trusted`; empty for `inbound` means everybody."""
    tls: ListenerTls = ListenerTls()
    limits: ListenerLimits = ListenerLimits()
    bare_line_ends: Literal["refuse", "normalise"] = "refuse"
    authentication: Authentication = Authentication()
    """SPF, DKIM, DMARC and ARC; for `inbound` only."""


class MessageLimits(Strict):
    header_octets: Size = 100_000
    header_fields: Count = 1000
    mime_depth: Count = 100
    mime_parts: Count = 1000
    received: Count = 50
    own_received: Count = 8
    """Of these, how many may be ours."""
    above: Literal["refuse", "pass-unstamped"] = "refuse"


class SpoolSettings(Strict):
    folder: Path
    reserve: Size = 100_000_000
    """Free space that is kept: below it, 452 4.3.1 at MAIL FROM."""
    inline_up_to: Size = 128_000
    """Bodies up to this size stand in the database, larger ones in files."""
    memory_per_worker: Size = 64_000_000
    """Bytes of messages that a worker holds in memory between 250 and delivery; above it they wait on disk."""


class HopTls(Strict):
    mode: Literal["none", "opportunistic", "required"] = "opportunistic"
    ca_file: Path | None = None
    verify_name: str | None = None
    """The name that the certificate must carry, where it isn't the host's."""


class Host(Strict):
    host: str
    port: Port = 25
    preference: int = 10
    """Lower is tried first; equals are tried in random order."""


class SmtpHop(Strict):
    name: str
    kind: Literal["smtp"] = "smtp"
    hosts: Annotated[tuple[Host, ...], Field(min_length=1)]
    tls: HopTls = HopTls()
    connections: Count = 20
    """Per worker."""
    keep_idle: Duration = timedelta(seconds=30)
    messages_per_connection: Count = 1000
    recipients_per_transaction: Count = 100
    connect_timeout: Duration = timedelta(seconds=30)
    reply_timeout: Duration = timedelta(minutes=5)


class MaildirHop(Strict):
    """Delivers into Maildirs: for demonstrations and archives."""

    name: str
    kind: Literal["maildir"]
    folder: Path
    """`{domain}` and `{local}` stand for the recipient's."""


def _kind(value: Any) -> Any:
    return value.get("kind", "smtp") if isinstance(value, dict) else getattr(value, "kind", None)


NextHop = Annotated[Annotated[SmtpHop, Tag("smtp")] | Annotated[MaildirHop, Tag("maildir")], Discriminator(_kind)]


class Routing(Strict):
    default: str
    domains: dict[str, str] = {}
    """Recipient domain (or `*.example.com`) → next hop."""


class Retry(Strict):
    schedule: Annotated[tuple[Duration, ...], Field(min_length=1)] = tuple(
        timedelta(minutes=m) for m in (1, 2, 5, 10, 20, 30, 60)
    )
    """Waits between attempts; the last one repeats."""
    expire_after: Duration = timedelta(days=2)
    hold_expires_after: Duration = timedelta(days=7)


class DkimKey(Strict):
    domain: str
    selector: str
    key: Secret
    headers: tuple[str, ...] = (
        "from", "to", "cc", "subject", "date", "message-id", "reply-to", "in-reply-to", "references",
        "mime-version", "content-type", "content-transfer-encoding",
    )  # fmt: skip


class Mark(Strict):
    """Our own mark, `X-Stampline-Processed`. The first key signs; all verify."""

    keys: Annotated[tuple[Secret, ...], Field(min_length=1, max_length=2)]
    valid_for: Duration = timedelta(days=5)


class QuoteSeparators(Strict):
    """What marks the quoted part of a reply, beside all that is known already; stamps go above it."""

    lines: tuple[str, ...] = ()
    """Whole lines as the reader sees them; case doesn't count."""
    patterns: tuple[str, ...] = ()
    """RE2 patterns for whole lines."""


class Organisation(Strict):
    name: str = "default"
    accepted_domains: Annotated[tuple[str, ...], Field(min_length=1)]
    rules: Path
    """A folder of `*.yaml` files, read in the order of their names."""
    templates: Path
    directory: DirectorySettings
    attributes: dict[str, str] = {}
    """What templates see as `organisation`."""
    dkim: tuple[DkimKey, ...] = ()
    arc: ArcKey | None = None
    """Seals what we received from outside and hand on."""
    mark: Mark
    quote_separators: QuoteSeparators = QuoteSeparators()
    splitting: Literal["on", "off"] = "on"
    """off: everybody gets the content that one recipient's rules decide; routing and rejecting stay per recipient."""


class Logs(Strict):
    folder: Path
    format: Literal["logfmt", "json"] = "logfmt"
    keep_days: Count = 30
    also: tuple[Literal["journald", "syslog", "stderr"], ...] = ()
    level: Literal["debug", "info", "warning", "error"] = "info"


class Control(Strict):
    socket: Path


class Configuration(Strict):
    hostname: str
    listeners: Annotated[tuple[Listener, ...], Field(min_length=1)]
    organisation: Organisation | None = None
    organisations: tuple[Organisation, ...] = ()
    """Instead of `organisation`, where one installation serves several."""
    next_hops: Annotated[tuple[NextHop, ...], Field(min_length=1)]
    routing: Routing
    spool: SpoolSettings
    logs: Logs
    control: Control
    dns: Dns = Dns()
    workers: Annotated[int, Field(ge=0, le=64)] = 0
    """Relay processes; 0 is one per core."""
    drain: Duration = timedelta(seconds=30)
    """How long a stopping worker may take to finish what it has in hand."""
    retry: Retry = Retry()
    message_limits: MessageLimits = MessageLimits()
    max_variants: Count = 50
    postmaster: str = "postmaster"
    """From of our DSNs; without a domain, the host name is added."""

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        if (self.organisation is None) == (not self.organisations):
            raise ValueError("needs organisation, or organisations where there are several | keep one of the two keys")
        return self

    @property
    def placed_organisations(self) -> tuple[tuple[tuple[str | int, ...], Organisation], ...]:
        """The organisations served, at least one, each with its place in the file."""
        if self.organisation is not None:
            return ((("organisation",), self.organisation),)
        return tuple((("organisations", index), each) for index, each in enumerate(self.organisations))

    @property
    def every_organisation(self) -> tuple[Organisation, ...]:
        """The organisations served, at least one."""
        return tuple(organisation for _, organisation in self.placed_organisations)

    @cached_property
    def authenticating(self) -> dict[str, Authentication]:
        """The listeners that authenticate mail, by name."""
        listeners = self.listeners
        return {each.name: each.authentication for each in listeners if each.authentication.mode != "off"}

    @cached_property
    def authserv_ids(self) -> frozenset[str]:
        """The names by which our own results go, in lower case."""
        return frozenset((listener.authentication.authserv_id or self.hostname).lower() for listener in self.listeners)

    @property
    def accepted_domains(self) -> frozenset[str]:
        """Those of all organisations, as domain keys."""
        return frozenset(
            domain_key(domain) for organisation in self.every_organisation for domain in organisation.accepted_domains
        )
