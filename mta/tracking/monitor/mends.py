"""What is wrong between us and a monitored mailbox, as words that say how to mend it."""

from __future__ import annotations

from mta.config.tracking_schema import (
    EwsMailbox,
    GraphMailbox,
    ImapMailbox,
    MaildirMailbox,
    MonitoredMailbox,
    Pop3Mailbox,
)
from mta.ports import mailbox as port

_NOT_OPENED = "not-opened"
"""Code of a SignInError of ours: a secret or a file that the configuration names can't be read."""
_NOT_INSTALLED = "not-installed"
_NO_AUTHORITY = "authority-unreachable"
_MENDS: tuple[tuple[type[port.MailboxError], str], ...] = (
    (port.EndpointBusyError, "the server limits us, or is starting: see its throttling policy"),
    (port.EndpointOverloadedError, "the server has too many connections of this account: see what else uses it"),
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
        case port.TlsFailedError():
            return _of_tls(error, settings)
        case port.EndpointDownError(code=code) if code == _NO_AUTHORITY:
            return "tokens come from there: correct the address under oauth; see whether DNS and firewall let us out"
        case port.EndpointDownError():
            return f"{_address_of(settings)}; see whether the server runs, and whether a firewall stands between"
        case port.NoMailboxError():
            return "see whether mailbox and `folder` are there, and written as the server has them"
    return next((mend for kind, mend in _MENDS if isinstance(error, kind)), "see the traceback in this log")


def not_opened(error: OSError | KeyError) -> port.SignInError:
    """What kept us from opening a mailbox at all; the text names the file or variable."""
    if isinstance(error, KeyError):
        return port.SignInError(_NOT_OPENED, f"the environment has no variable {error.args[0]}")
    if error.strerror is None:
        return port.SignInError(_NOT_INSTALLED, str(error))
    return port.SignInError(_NOT_OPENED, f"{error.filename}: {error.strerror}" if error.filename else error.strerror)


def _of_sign_in(error: port.SignInError, settings: MonitoredMailbox) -> str:
    if error.code == _NOT_INSTALLED:
        return "install it where `stampline` is installed"
    if error.code == _NOT_OPENED:
        return "see that the file or variable is there, and that the service's user may read it"
    if isinstance(settings, MaildirMailbox):
        return "give the service's user the right to read and write the Maildir"
    if getattr(settings, "oauth", None) is not None:
        return (
            "correct what stands under oauth, or renew its secret, token or certificate: as the app registration says"
        )
    return "correct user, password or sign_in; see whether the account is locked, disabled or expired"


def _of_rights(settings: MonitoredMailbox) -> str:
    match settings:
        case EwsMailbox() | GraphMailbox():
            script = f"`stampline mailbox grant {settings.name} --script`"
            return f"let an administrator of Exchange run what {script} writes; a change takes its time"
        case MaildirMailbox():
            return "give the service's user the right to read and write the Maildir"
    return "see whether the mailbox is there, and let the account open it"


def _of_tls(error: port.TlsFailedError, settings: MonitoredMailbox) -> str:
    by_lines = isinstance(settings, ImapMailbox | Pop3Mailbox)
    if "mismatch" in error.detail.lower():
        where = "`host`, or as tls: verify_name" if by_lines else "`url`"
        return f"write the name that the certificate has into {where}"
    if "WRONG_VERSION_NUMBER" in error.detail:
        return "no TLS is spoken there: correct the port" + (", or write tls: {mode: starttls}" if by_lines else "")
    if error.code == "no-starttls":
        return "correct the port, or write tls: {mode: implicit}"
    return "name the certificate's authority as tls: ca_file, or renew the server's certificate"


def _address_of(settings: MonitoredMailbox) -> str:
    if isinstance(settings, ImapMailbox | Pop3Mailbox):
        return "correct `host`, `port` and tls: mode"
    if isinstance(settings, EwsMailbox) and not settings.url:
        return "write `url`: https://HOST/EWS/Exchange.asmx, or have Autodiscover found in DNS"
    return "correct `url`" if getattr(settings, "url", "") else "see whether DNS and a proxy let us out"
