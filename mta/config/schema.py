"""The configuration file, key by key. `conf/stampline.yaml` is the same with every key explained.

Relative paths are relative to the folder of the configuration file; the loader makes them absolute.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mta.config.alert_schema import Alerts
from mta.config.authentication_schema import ArcKey, Authentication, Dns
from mta.config.delivery_schema import NextHop, Retry, Routing
from mta.config.directory_schema import DirectorySettings as DirectorySettings
from mta.config.listener_schema import Listener, RecipientVerification
from mta.config.mailbox_schema import MailboxServer
from mta.config.sentitems_schema import SentItemsSettings
from mta.config.tracking_schema import TrackingSettings, WriteBack
from mta.config.types import Count, Duration, Secret, Size, Strict
from mta.model.address import domain_key


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
    when_damaged: Literal["refuse", "begin-anew"] = "refuse"
    """A damaged database: mail is refused with 451 until it is mended, or it is set aside and a fresh one begun."""


class DkimKey(Strict):
    domain: str
    selector: str
    key: Secret
    """RSA or Ed25519."""
    headers: tuple[str, ...] = (
        "from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references",
        "mime-version", "content-type", "content-transfer-encoding", "list-id", "list-help", "list-unsubscribe",
        "list-unsubscribe-post", "list-subscribe", "list-post", "list-owner", "list-archive", "resent-from",
        "resent-sender", "resent-to", "resent-cc", "resent-date", "resent-message-id",
    )  # fmt: skip
    """Signed where they stand; none but list-* and resent-* can be added to what stands."""
    oversign: tuple[str, ...] = ("from", "reply-to", "to", "cc", "subject")
    """None of these can be added where it doesn't stand, either."""
    expires_after: Duration | None = None
    """How long after its acceptance here a message's signature holds. None: for ever."""
    signs: Literal["first", "always"] = "first"
    """always: beside the domain's first key, e.g. an Ed25519 key beside an RSA one (RFC 8463)."""


class Mark(Strict):
    """Our own mark, `X-Stampline-Processed`. The first key signs; all verify."""

    keys: Annotated[tuple[Secret, ...], Field(min_length=1, max_length=2)]
    valid_for: Duration = timedelta(days=5)
    token: Secret | None = None
    """A secret word that stands in `X-Stampline-Token` on what next hops get, direct delivery (`mx`) excepted."""


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
    existing_signatures: Literal["keep", "remove"] = "keep"
    """DKIM signatures of our own domains that come with mail that we sign ourselves."""
    splitting: Literal["on", "off"] = "on"
    """off: everybody gets the content that one recipient's rules decide; routing and rejecting stay per recipient."""
    sent_items: SentItemsSettings | None = None
    """Senders find in their Sent Items what was really sent. None: they find what they wrote."""
    tracking: TrackingSettings | None = None
    """Conversations get ids and become records. None: there is no tracking."""

    @property
    def write_back(self) -> WriteBack | None:
        """What is marked on the copies of filed messages."""
        return self.tracking.write_back if self.tracking is not None else None

    @property
    def mailbox_servers(self) -> tuple[MailboxServer, ...]:
        """Where its mailboxes are; none where nothing is written to them."""
        if self.sent_items is not None:
            return self.sent_items.servers
        return self.write_back.servers if self.write_back is not None else ()


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
    alerts: Alerts = Alerts()
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

    @property
    def mailbox_servers(self) -> tuple[tuple[Organisation, MailboxServer], ...]:
        """Those of all organisations; none where nothing is written to mailboxes."""
        return tuple(
            (organisation, server)
            for organisation in self.every_organisation
            for server in organisation.mailbox_servers
        )

    @cached_property
    def authenticating(self) -> dict[str, Authentication]:
        """The listeners that authenticate mail, by name."""
        listeners = self.listeners
        return {each.name: each.authentication for each in listeners if each.authentication.mode != "off"}

    @cached_property
    def verifying_recipients(self) -> dict[str, RecipientVerification]:
        """The listeners that look recipients up, by name."""
        return {
            each.name: each.verify_recipients
            for each in self.listeners
            if each.role == "inbound" and each.verify_recipients.by != "none"
        }

    @cached_property
    def judging_headers(self) -> dict[str, Listener]:
        """The listeners for which a message's header decides whether it may pass, by name."""
        return {
            each.name: each
            for each in self.listeners
            if each.peer == "exchange-online" or any(peer.senders for peer in each.clients)
        }

    @cached_property
    def authserv_ids(self) -> frozenset[str]:
        """The names by which our own results go, in lower case."""
        return frozenset((listener.authentication.authserv_id or self.hostname).lower() for listener in self.listeners)

    @property
    def postmaster_address(self) -> str:
        """From of what we write ourselves."""
        return self.postmaster if "@" in self.postmaster else f"{self.postmaster}@{self.hostname}"

    @property
    def accepted_domains(self) -> frozenset[str]:
        """Those of all organisations, as domain keys."""
        return frozenset(
            domain_key(domain) for organisation in self.every_organisation for domain in organisation.accepted_domains
        )
