"""Mailbox servers: where mailboxes are, and how we sign in there."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag, model_validator

from mta.config.types import Duration, Port, Secret, Strict

Cloud = Literal["global", "us-government", "us-government-dod", "china"]
_ONLINE_HOSTS = (".office365.com", ".office.com", ".office365.us", ".outlook.cn")
"""Where Exchange Online's addresses end."""


class OAuth(Strict):
    """An app registration that signs in by itself (client credentials, RFC 6749 §4.4)."""

    tenant: str
    """Directory (tenant) ID, or a domain of it."""
    client_id: str
    """Application (client) ID."""
    client_secret: Secret | None = None
    certificate: Path | None = None
    """PEM; with its `key`, instead of a secret."""
    key: Path | None = None
    cloud: Cloud = "global"
    authority: str = ""
    """Where tokens come from, for an authority of your own: `https://login.example.com/tenant`."""
    scope: str = ""
    """What the token is for; empty is what the server needs."""

    @model_validator(mode="after")
    def _secret_or_certificate(self) -> Self:
        if (self.client_secret is None) == (self.certificate is None):
            raise ValueError("needs client_secret, or certificate and key | keep one of the two")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together | write both")
        return self


class Trust(Strict):
    """Whose certificates are believed."""

    ca_file: Path | None = None
    """None: the system's authorities."""
    verify: bool = True
    """false: anybody on the way can read and change everything, passwords too; each start says so in the log."""


class Serves(Strict):
    """Which mailboxes are here, where there are several mailbox servers; none of these: all that no other has."""

    target_domains: tuple[str, ...] = ()
    """Domains of the directory's `targetAddress`, as `tenant.mail.onmicrosoft.com`."""
    groups: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """Addresses; `*` stands for anything: `*@sales.example.com`."""


class MailboxServerSettings(Strict):
    """What all kinds share."""

    name: str
    serves: Serves = Serves()
    connections: Annotated[int, Field(ge=1, le=64)] = 8
    """At the same time, in all; one for each mailbox."""


class MaildirMailboxes(MailboxServerSettings):
    """Maildirs on this machine: for demonstrations, and for mail servers that keep such."""

    kind: Literal["maildir"]
    folder: Path
    """A mailbox; `{domain}` and `{local}` stand for its owner's."""
    sent_folder: str = ".Sent"
    """Below it; empty is the mailbox itself."""


class ImapTls(Trust):
    mode: Literal["implicit", "starttls", "none"] = "implicit"
    verify_name: str | None = None
    """The name that the certificate must carry, where it isn't the host's."""


class ImapMailboxes(MailboxServerSettings):
    kind: Literal["imap"]
    host: str
    port: Port | None = None
    """None is 993 with implicit TLS, else 143."""
    tls: ImapTls = ImapTls()
    sign_in: Literal["authzid", "master-user", "xoauth2"] = "authzid"
    """How one account opens everybody's mailbox: SASL PLAIN with an authorisation identity; as `mailbox*account`; with
    a token."""
    user: str = ""
    password: Secret | None = None
    separator: Annotated[str, Field(min_length=1)] = "*"
    """Between mailbox and account, for `master-user`."""
    oauth: OAuth | None = None
    mailbox_name: Literal["address", "local-part"] = "address"
    """How the server calls a mailbox."""
    sent_folder: str = ""
    """Empty: the one that the server calls \\Sent (RFC 6154)."""
    timeout: Duration = timedelta(seconds=60)


class EwsMailboxes(MailboxServerSettings):
    """Exchange Web Services: Exchange on-premises, and Exchange Online until it ends there."""

    kind: Literal["ews"]
    url: str = ""
    """`https://mail.example.com/EWS/Exchange.asmx`; empty: by Autodiscover."""
    autodiscover: str = ""
    """`https://autodiscover.example.com/autodiscover/autodiscover.svc`, where DNS doesn't tell."""
    sign_in: Literal["basic", "ntlm", "kerberos", "oauth"] = "ntlm"
    user: str = ""
    """`DOMAIN\\user` or `user@example.com`; empty with `kerberos`: the ticket of the service's key table."""
    password: Secret | None = None
    oauth: OAuth | None = None
    impersonate: bool = True
    """false: the account has full access to the mailboxes."""
    tls: Trust = Trust()
    timeout: Duration = timedelta(seconds=120)

    @property
    def is_exchange_online(self) -> bool:
        """Whether it is Microsoft's cloud, which ends this protocol."""
        host = (urlsplit(self.url).hostname or "").lower()
        return host.endswith(_ONLINE_HOSTS) if self.url else self.sign_in == "oauth" and not self.autodiscover


class GraphMailboxes(MailboxServerSettings):
    """Microsoft Graph: Exchange Online."""

    kind: Literal["graph"]
    oauth: OAuth
    url: str = ""
    """Empty: that of `oauth.cloud`."""
    tls: Trust = Trust()
    timeout: Duration = timedelta(seconds=60)


def kind_of(value: Any) -> Any:
    """Of a section, as it was read or made; by it the section's model is chosen."""
    return value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)


MailboxServer = Annotated[
    Annotated[MaildirMailboxes, Tag("maildir")]
    | Annotated[ImapMailboxes, Tag("imap")]
    | Annotated[EwsMailboxes, Tag("ews")]
    | Annotated[GraphMailboxes, Tag("graph")],
    Discriminator(kind_of),
]
