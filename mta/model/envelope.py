"""What SMTP says about a message besides its bytes: the envelope, and the client that handed it over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

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

    @property
    def is_trusted(self) -> bool:
        return self.role is ListenerRole.TRUSTED


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
