"""What is wrong between us and a monitored mailbox, as words that say how to mend it."""

from __future__ import annotations

from mta.config.tracking_schema import EwsMailbox, GraphMailbox, MaildirMailbox, MonitoredMailbox
from mta.ports import mailbox as port

NOT_OPENED = "not-opened"
"""Code of a SignInError of ours: a secret or a file that the configuration names can't be read."""
_MENDS: tuple[tuple[type[port.MailboxError], str], ...] = (
    (port.TlsFailedError, "name the certificate's authority as tls: ca_file, or renew the server's certificate"),
    (port.EndpointBusyError, "the server limits us, or is starting: see its throttling policy"),
    (port.EndpointOverloadedError, "the server has too many connections of this account: see what else uses it"),
    (port.EndpointDownError, "see whether the server runs, and whether a firewall or proxy stands between"),
    (port.MailboxUnavailableError, "the mailbox is being moved or its database is away: it is tried again"),
    (port.QuotaError, "the mailbox is full: make room or raise its quota"),
    (port.OutcomeUnknownError, "see what breaks the connection off: the server, a proxy between, or `timeout`"),
    (port.RefusedError, "see what the server's log says"),
)


def mend_of(error: Exception, settings: MonitoredMailbox) -> str:
    """What to do about it."""
    match error:
        case port.SignInError():
            return _of_sign_in(error, settings)
        case port.AccessDeniedError():
            return _of_rights(settings)
        case port.NoMailboxError():
            return "see whether mailbox and `folder` are there, and written as the server has them"
    return next((mend for kind, mend in _MENDS if isinstance(error, kind)), "see the traceback in this log")


def _of_sign_in(error: port.SignInError, settings: MonitoredMailbox) -> str:
    if error.code == NOT_OPENED:
        return "see that the file or variable is there, and that the service's user may read it"
    if isinstance(settings, MaildirMailbox):
        return "give the service's user the right to read and write the Maildir"
    if getattr(settings, "oauth", None) is not None:
        return "renew the secret, token or certificate under oauth, as the app registration has it"
    return "correct user, password or sign_in; see whether the account is locked, disabled or expired"


def _of_rights(settings: MonitoredMailbox) -> str:
    match settings:
        case EwsMailbox() | GraphMailbox():
            return "give the account or the app full access to the mailbox; a change takes its time"
        case MaildirMailbox():
            return "give the service's user the right to read and write the Maildir"
    return "see whether the mailbox is there, and let the account open it"
