"""What is wrong between us and a mailbox server, as a line that says how to mend it."""

from __future__ import annotations

import ssl

from mta.config.mailbox_schema import EwsMailboxes, GraphMailboxes, ImapMailboxes, MailboxServer
from mta.ports import mailbox as port
from mta.ports.mailbox import MailboxError
from mta.probe.probe import Line, failed

_MENDS: tuple[tuple[type[MailboxError], str], ...] = (
    (port.TlsFailedError, "name the certificate's authority as tls: ca_file, or renew the server's certificate"),
    (port.EndpointBusyError, "the server limits us, or is starting: see its throttling policy, or lower `connections`"),
    (port.EndpointOverloadedError, "lower `connections`, or raise the account's limit in the throttling policy"),
    (port.EndpointDownError, "see whether the server runs, and whether a firewall or proxy stands between"),
    (port.MailboxUnavailableError, "the mailbox is being moved or its database is away: try again later"),
    (port.QuotaError, "the mailbox is full: make room or raise its quota"),
    (port.OutcomeUnknownError, "see what breaks the connection off: the server, a proxy between, or `timeout`"),
    (port.RefusedError, "see what the server's log says about the item"),
)
_NO_EWS = frozenset({"301", "302", "307", "308", "404", "405", "not-soap", "bad-answer"})
"""Codes of what answers, and isn't EWS."""


def refused(what: str, error: MailboxError, settings: MailboxServer) -> Line:
    """What the server did not do, and what to do about it."""
    return failed(f"{what}: {error}"[:400], _mend(error, settings))


def unopened(settings: MailboxServer, error: OSError | KeyError) -> Line:
    """A secret or a file of the server's settings that can't be read."""
    name = f"server {settings.name}"
    if isinstance(error, KeyError):
        what = f"{name}: the environment has no variable {error.args[0]}"
        return failed(what, "set it for this command as the service has it, or write {file: …} instead")
    if isinstance(error, ssl.SSLError):
        return failed(f"{name}: {_ca_file(settings)} holds no certificate", "name a PEM file as tls: ca_file")
    if error.strerror is None:
        return failed(f"{name}: {error}", "install it where `stampline` is installed")
    mend = "correct its path in the configuration"
    if isinstance(error, PermissionError):
        mend = "call this as root or as the service's user (sudo -u stampline), and see that this user may read it"
    return failed(f"{name}: {error.filename or _ca_file(settings)} can't be read: {error.strerror}", mend)


def _ca_file(settings: MailboxServer) -> str:
    return str(getattr(getattr(settings, "tls", None), "ca_file", None) or "a file")


def _mend(error: MailboxError, settings: MailboxServer) -> str:
    match error:
        case port.SignInError():
            return _of_sign_in(settings)
        case port.AccessDeniedError():
            return _of_rights(settings)
        case port.NoMailboxError():
            return _of_address(settings)
        case port.EndpointDownError() if isinstance(settings, EwsMailboxes) and (mend := _of_url(error, settings)):
            return mend
    return next((mend for kind, mend in _MENDS if isinstance(error, kind)), "see what the server's log says")


def _of_sign_in(settings: MailboxServer) -> str:
    if getattr(settings, "oauth", None) is not None:
        return "correct oauth: tenant, client_id and the secret or certificate, as the app registration has them"
    return "correct user, password or sign_in; see whether the account is locked, disabled or expired"


def _of_rights(settings: MailboxServer) -> str:
    match settings:
        case EwsMailboxes() | GraphMailboxes():
            script = f"`stampline sentitems grant --script --server {settings.name}`"
            return f"run what {script} writes, or leave the sender out of `senders`; a change takes its time"
        case ImapMailboxes():
            return "see whether the mailbox is there, and let the account open it: docs/imap.md"
    return "give the service's user the right to read and write the Maildir"


def _of_address(settings: MailboxServer) -> str:
    where = "`serves`" if isinstance(settings, EwsMailboxes | GraphMailboxes | ImapMailboxes) else "`folder`"
    return f"see whether the address is right, and whether the mailbox is on this server ({where})"


def _of_url(error: MailboxError, settings: EwsMailboxes) -> str:
    if not settings.url:
        return "write the server's address as `url`: https://HOST/EWS/Exchange.asmx; or have Autodiscover found in DNS"
    return "correct `url`: https://HOST/EWS/Exchange.asmx" if error.code in _NO_EWS else ""
