"""The files of one listener that may change while it runs: certificate, key, authorities, accounts."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from mta.config.accounts_file import Account, read_accounts
from mta.config.listener_schema import Listener
from mta.config.plain_files import require_plain
from mta.relay.receive.tls import server_context


@dataclass(frozen=True, slots=True)
class ListenerFiles:
    """What was read, whole."""

    ssl_context: ssl.SSLContext | None
    accounts: Mapping[str, Account] | None
    expires: str
    """The certificate's last day, YYYY-MM-DD; "" without one."""


def paths_of(listener: Listener) -> tuple[Path, ...]:
    """What is read for it."""
    tls = listener.tls
    files = (tls.certificate, tls.key, tls.client_ca_file) if tls.mode != "none" else ()
    return tuple(path for path in (*files, listener.accounts_file) if path is not None)


def read_files(listener: Listener) -> ListenerFiles:
    """All or nothing. Raises OSError, ValueError, ssl.SSLError or ConfigurationError."""
    tls = listener.tls
    for path in paths_of(listener):
        require_plain(path)
    context, expires = None, ""
    if tls.mode != "none" and tls.certificate is not None:
        context = server_context(
            tls.certificate, tls.key, asks_clients=asks_for_certificates(listener), client_ca_file=tls.client_ca_file
        )
        expires = expires_on(tls.certificate)
    accounts = read_accounts(listener.accounts_file) if listener.accounts_file is not None else None
    return ListenerFiles(context, accounts, expires)


def asks_for_certificates(listener: Listener) -> bool:
    """Whether clients are asked to show one: where it can matter."""
    return listener.peer == "exchange-online" or any(peer.certificates for peer in listener.clients)


def expires_on(certificate: Path) -> str:
    """The last day of the first certificate in a PEM file. Raises OSError or ValueError."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc.date().isoformat()
