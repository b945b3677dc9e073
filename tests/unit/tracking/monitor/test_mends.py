"""What an administrator is told to do about a mailbox that can't be read: what is wrong, not its neighbour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from mta.config.tracking_schema import MonitoredMailbox
from mta.ports import mailbox as port
from mta.tracking.monitor.mends import mend_of, not_opened

_KEY = {"env": "KEY"}
_OAUTH = {"tenant": "example.com", "client_id": "1", "client_secret": _KEY}
_ACCOUNT = {"user": "u", "password": _KEY}
KINDS: dict[str, dict[str, Any]] = {
    "imap": {"host": "mail.example.com", "password": _KEY},
    "pop3": {"host": "mail.example.com", "password": _KEY},
    "ews": {"url": "https://mail.example.com/EWS/Exchange.asmx", **_ACCOUNT},
    "autodiscover": {"kind": "ews", **_ACCOUNT},
    "graph": {"oauth": _OAUTH},
    "maildir": {"path": "/var/mail/help"},
}


def _mailbox(kind: str) -> MonitoredMailbox:
    settings = {"name": "help", "kind": kind, "address": "help@example.com", **KINDS[kind]}
    mailbox: MonitoredMailbox = TypeAdapter(MonitoredMailbox).validate_python(settings)
    return mailbox


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("imap", port.EndpointDownError("broken", "Name or service not known"), "correct `host`, `port` and tls: mode"),
        ("ews", port.EndpointDownError("400", "is this the address of EWS?"), "correct `url`"),
        ("autodiscover", port.EndpointDownError("unreachable"), "write `url`"),
        ("graph", port.EndpointDownError("unreachable"), "DNS and a proxy"),
        ("graph", port.EndpointDownError("authority-unreachable"), "the address under oauth"),
        ("imap", port.EndpointDownError("authority-unreachable"), "the address under oauth"),
        ("pop3", port.TlsFailedError("tls", "WRONG_VERSION_NUMBER"), "no TLS is spoken there"),
        ("imap", port.TlsFailedError("tls", "Hostname mismatch, …"), "tls: verify_name"),
        ("ews", port.TlsFailedError("tls", "Hostname mismatch, …"), "`url`"),
        ("imap", port.TlsFailedError("no-starttls"), "implicit"),
        ("imap", port.TlsFailedError("tls", "unable to get local issuer certificate"), "tls: ca_file"),
        ("ews", port.AccessDeniedError("ErrorImpersonateUserDenied"), "`stampline mailbox grant help --script`"),
        ("graph", port.SignInError("AADSTS700016"), "oauth"),
        ("maildir", port.AccessDeniedError("EACCES"), "the service's user"),
        ("imap", not_opened(KeyError("GONE")), "the file or variable is there"),
        ("ews", not_opened(OSError("sign_in: kerberos needs more")), "install it"),
        ("imap", port.NoMailboxError("no-folder"), "`folder`"),
        ("imap", RuntimeError("ours"), "traceback"),
    ],
)
def test_the_mend_names_what_is_to_be_corrected(kind: str, error: Exception, told: str) -> None:
    assert told in mend_of(error, _mailbox(kind))


def test_what_could_not_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone") as caught:
        (tmp_path / "gone").read_bytes()
    assert not_opened(caught.value).detail == f"{tmp_path}/gone: No such file or directory"
    assert "GONE" in not_opened(KeyError("GONE")).detail
