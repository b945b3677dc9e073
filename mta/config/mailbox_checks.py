"""What the schema can't say about one mailbox server: addresses, ways to sign in, secrets in the clear, files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from mta.config.findings import Finding, bad_ca_file, bad_key_pair, is_this_machine, secret_value
from mta.config.mailbox_schema import (
    EwsMailboxes,
    GraphMailboxes,
    ImapMailboxes,
    MailboxServer,
    MaildirMailboxes,
    OAuth,
)
from mta.config.types import Secret
from mta.config.yaml_values import Loc


def mailbox_server(loc: Loc, server: MailboxServer) -> Iterator[Finding]:
    """Whether its settings make sense by themselves."""
    if not server.name.strip() or not server.name.isprintable() or " " in server.name:
        what = f"{server.name!r} can't be a mailbox server's name"
        yield Finding((*loc, "name"), what, "use letters, digits, dots and hyphens")
    if isinstance(server, MaildirMailboxes):
        yield from _maildir(loc, server)
        return
    if server.oauth is not None:
        yield from https_address((*loc, "oauth", "authority"), server.oauth.authority)
        for key in ("tenant", "client_id"):
            value = getattr(server.oauth, key)
            if not value or not value.isprintable() or "/" in value or " " in value:
                yield Finding((*loc, "oauth", key), f"{value!r} is no {key}", "copy it from the app registration")
    if server.tls.ca_file is not None and not server.tls.verify:
        yield Finding((*loc, "tls", "ca_file"), "with verify: false nobody looks at it", "remove verify: false")
    if isinstance(server, ImapMailboxes):
        yield from _imap(loc, server)
    elif isinstance(server, EwsMailboxes):
        yield from _ews(loc, server)
    else:
        yield from https_address((*loc, "url"), server.url)


def mailbox_server_surroundings(loc: Loc, server: MailboxServer) -> Iterator[Finding]:
    """Whether the files and secrets that it names are there and good."""
    if isinstance(server, MaildirMailboxes):
        return
    if server.tls.ca_file is not None:
        yield from bad_ca_file((*loc, "tls", "ca_file"), server.tls.ca_file)
    if not isinstance(server, GraphMailboxes) and server.password is not None:
        yield from required_secret((*loc, "password"), server.password)
    if server.oauth is not None:
        yield from oauth_surroundings((*loc, "oauth"), server.oauth)


def _maildir(loc: Loc, server: MaildirMailboxes) -> Iterator[Finding]:
    where = (*loc, "folder")
    try:
        known = str(server.folder).format(domain="example.com", local="jane")
    except (KeyError, IndexError, ValueError):
        yield Finding(where, f"{server.folder} has a placeholder that is not known", "use {domain} and {local} only")
        return
    if known == str(server.folder).format(domain="example.com", local="john"):
        yield Finding(where, "everybody's mailbox would be the same folder", "add {local}")
    sent = PurePosixPath(server.sent_folder)
    if sent.is_absolute() or ".." in sent.parts:
        yield Finding((*loc, "sent_folder"), f"{server.sent_folder!r} is not below the mailbox", "write .Sent")


def _imap(loc: Loc, server: ImapMailboxes) -> Iterator[Finding]:
    if server.port == 0:
        yield Finding((*loc, "port"), "no server listens on port 0", "write 993 or 143")
    if server.tls.mode == "none":
        for key in ("ca_file", "verify_name"):
            if getattr(server.tls, key) is not None:
                yield Finding((*loc, "tls", key), f"{key} means nothing without TLS", "choose implicit or starttls")
        if not is_this_machine(server.host):
            what = f"the password would go to {server.host} in clear text"
            yield Finding((*loc, "tls", "mode"), what, "write implicit or starttls")
    if server.sign_in == "xoauth2":
        yield from _by_token(loc, server)
    else:
        yield from _by_password(loc, server, server.sign_in)


def _ews(loc: Loc, server: EwsMailboxes) -> Iterator[Finding]:
    yield from https_address((*loc, "url"), server.url)
    yield from https_address((*loc, "autodiscover"), server.autodiscover)
    if server.url and server.autodiscover:
        yield Finding((*loc, "autodiscover"), "with a url nobody asks Autodiscover", "keep one of the two")
    if server.sign_in == "oauth":
        yield from _by_token(loc, server)
        if not server.url:
            what = "Autodiscover knows no apps that sign in by themselves"
            yield Finding(loc, what, "add 'url: https://HOST/EWS/Exchange.asmx'")
        if not server.impersonate:
            yield Finding((*loc, "impersonate"), "an app has no access but by impersonation", "remove it")
    elif server.sign_in == "kerberos" and not server.user and server.password is None:
        if server.oauth is not None:
            yield Finding((*loc, "oauth"), "with sign_in kerberos nobody uses it", "remove it")
    else:
        yield from _by_password(loc, server, server.sign_in)


def _by_token(loc: Loc, server: ImapMailboxes | EwsMailboxes) -> Iterator[Finding]:
    if server.oauth is None:
        yield Finding(
            loc, f"sign_in {server.sign_in} needs an app registration", "add oauth, with tenant and client_id"
        )
    if server.password is not None:
        yield Finding((*loc, "password"), f"sign_in {server.sign_in} uses no password", "remove it")


def _by_password(loc: Loc, server: ImapMailboxes | EwsMailboxes, how: str) -> Iterator[Finding]:
    if not server.user or server.password is None:
        yield Finding(loc, f"sign_in {how} needs user and password", "add 'user: NAME' and 'password: {file: PATH}'")
    if not server.user.isprintable():
        yield Finding((*loc, "user"), "there is no such user name", "write the account's name")
    if server.oauth is not None:
        yield Finding((*loc, "oauth"), f"with sign_in {how} nobody uses it", "remove it, or write sign_in for it")


def https_address(loc: Loc, url: str) -> Iterator[Finding]:
    """Whether it is an https address without user and password; an empty one is none."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        is_good = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        is_good = False
    if not is_good or not url.isprintable() or " " in url:
        yield Finding(loc, f"{url!r} is no https address", "write https://HOST/PATH")


def oauth_surroundings(loc: Loc, oauth: OAuth) -> Iterator[Finding]:
    """Whether its secret, or its certificate and key, are there."""
    if oauth.client_secret is not None:
        yield from required_secret((*loc, "client_secret"), oauth.client_secret)
    if oauth.certificate is not None:
        yield from bad_key_pair(loc, oauth.certificate, oauth.key)


def required_secret(loc: Loc, secret: Secret) -> Iterator[Finding]:
    """Whether it is there, and not empty."""
    value = secret_value(loc, secret)
    if isinstance(value, Finding):
        yield value
    elif not value:
        yield Finding(loc, "the secret is empty", "put the account's own there")
