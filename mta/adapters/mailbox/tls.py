"""TLS towards mailbox servers that speak HTTPS: whose certificates are believed, and which failures are of TLS."""

from __future__ import annotations

import ssl

from mta.config.mailbox_schema import Trust

_NO_FAILURES = (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""Of connections that end, and of waiting."""


def client_context(trust: Trust) -> ssl.SSLContext:
    """For connections under these settings. Raises OSError if `ca_file` can't be read or holds no certificate."""
    context = ssl.create_default_context(cafile=trust.ca_file)
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def tls_failure(exc: BaseException) -> str | None:
    """What TLS had against the connection, where that is why `exc` was raised; else None."""
    cause: BaseException | None = exc
    for _ in range(8):
        if cause is None:
            return None
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _NO_FAILURES):
            return cause.reason or "TLS failed"
        cause = cause.__cause__ or cause.__context__
    return None
