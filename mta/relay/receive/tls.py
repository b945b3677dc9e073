"""The server's side of TLS."""

from __future__ import annotations

import ssl
from pathlib import Path


def server_context(
    certificate: Path, key: Path | None = None, *, asks_clients: bool = False, client_ca_file: Path | None = None
) -> ssl.SSLContext:
    """A context for TLS 1.2 and later. `certificate` is PEM with its chain; `key` may stand in the same file.

    `asks_clients`: clients are asked for a certificate, and may do without; it counts where it is valid for a client by
    the authorities of `client_ca_file`, else the system's (`verified_names`). Raises OSError, ValueError or
    ssl.SSLError where files can't be read or don't belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if asks_clients:
        from mta.relay.receive.asking_tls import AskingContext  # its library takes a while to load

        context = AskingContext(ssl.PROTOCOL_TLS_SERVER)
        context.ask(certificate, key or certificate, client_ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_cert_chain(certificate, key, password=_no_password)
    return context


def verified_names(tls: object) -> tuple[str, ...]:
    """The names in the client's certificate; () where it has shown none, or none that counts.

    `tls` is what a transport's `get_extra_info("ssl_object")` gives.
    """
    names = getattr(tls, "verified_names", None)
    return names() if names is not None else ()


def failure_text(error: OSError) -> str:
    """Why TLS failed, as an administrator reads it."""
    reason = getattr(error, "reason", "")  # which those that were not made by OpenSSL lack
    if isinstance(error, ssl.SSLError) and reason:
        name = reason.lower().replace("_", " ")
        _, is_alert, alert = name.partition(" alert ")
        return f"the client says: {alert}" if is_alert else name
    if isinstance(error, TimeoutError) or "longer than" in str(error):
        return "the handshake was not finished in time"
    if isinstance(error, (ConnectionError, ssl.SSLError)):
        return "the client left in the handshake"
    return str(error)


def _no_password() -> str:
    raise ValueError("the key is protected by a passphrase")
