"""Why no session with a next hop came about. All but `NoRouteError` are temporary: it is not the message's fault."""

from __future__ import annotations

import os
import ssl

from mta.model.reply import MailError, Reply, TemporaryError


class ConnectError(TemporaryError):
    """Not reached, refused at the greeting, no TLS where it is required."""

    def __init__(self, reply: Reply, remote: str, words: str = "") -> None:
        super().__init__(reply)
        self.remote = remote
        self.words = words

    def again(self) -> ConnectError:
        """The same, to be kept or raised for somebody else: an error holds all that was at hand where it was raised."""
        return type(self)(self.reply, self.remote, self.words)


class TlsHandshakeError(ConnectError):
    """STARTTLS was agreed and the handshake failed."""


class LoginRefusedError(ConnectError):
    """The next hop does not take our user and password: another try with the same is of no use."""


class NoRouteError(MailError):
    """The domain takes no mail, by the word of DNS: permanent."""


def words_of(error: BaseException) -> str:
    """An error of the operating system or of OpenSSL in a few ASCII words."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)  # asyncio has words of its own, which don't tell what happened
    text = str(error.strerror or error) if isinstance(error, OSError) else str(error)
    return text.encode("ascii", "replace").decode() or type(error).__name__
