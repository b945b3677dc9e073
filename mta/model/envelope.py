"""What SMTP says about a message besides its bytes: the envelope, and the client that handed it over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, Flag

from mta.model.address import Address


class ListenerRole(Enum):
    """What a listener is for; decides who may relay there."""

    TRUSTED = "trusted"
    """Submission from our own servers (Exchange's send connector): may relay to anywhere."""
    INBOUND = "inbound"
    """Mail from strangers: accepted for our own domains only."""


@dataclass(frozen=True, slots=True)
class Client:
    """The SMTP client of one session."""

    ip: str
    port: int
    helo: str
    listener: str
    role: ListenerRole
    tls: str = ""
    """Protocol and cipher as for a Received header, e.g. "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" in clear text."""
    esmtp: bool = True
    authenticated_as: str = ""
    """The account that the client proved by SMTP AUTH or a certificate; "" where it proved none."""
    certificate: str = ""
    """The name in the client's verified certificate that our configuration knows; "" where there is none."""
    peer: str = "other"
    """What the listener says stands behind it: "other", "exchange" or "exchange-online"."""
    admitted_as: str = ""
    """The name of the item in the listener's `clients` that it fits; "" where the listener has none."""

    @property
    def is_trusted(self) -> bool:
        return self.role is ListenerRole.TRUSTED

    @property
    def is_exchange(self) -> bool:
        """Whether the header fields that only Exchange may set are believed and passed on."""
        return self.peer != "other"


class Notify(Flag):
    """What a sender wants to be told of a recipient (RFC 3461 §4.1)."""

    NEVER = 0
    SUCCESS = 1
    FAILURE = 2
    DELAY = 4


@dataclass(frozen=True, slots=True)
class DsnRequest:
    """One recipient's parameters of RFC 3461: what its sender asked for in RCPT."""

    notify: Notify | None = None
    """None: not said, which means failures, and delays where we care to."""
    orcpt: str = ""
    """Address type and xtext as received, `rfc822;jane+40example.com`; "" where not given."""


NOTHING_ASKED = DsnRequest()


@dataclass(frozen=True, slots=True)
class Envelope:
    """Reverse-path (None is the null reverse-path `<>`) and forward-paths in the order given, without repeats."""

    reverse_path: Address | None
    recipients: tuple[Address, ...]
    body_8bit: bool = False
    smtputf8: bool = False
    envid: str = ""
    ret: str = ""
    """RFC 3461 RET: "FULL", "HDRS" or ""; `envid` is xtext as received."""
    dsn: Mapping[str, DsnRequest] = field(default_factory=dict)
    """By the recipient's address key; only of those for whom anything was asked."""
