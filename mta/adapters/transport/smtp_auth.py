"""SMTP AUTH as a client (RFC 4954): PLAIN (RFC 4616), or LOGIN where the server has nothing better."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    user: str
    password: bytes = field(repr=False)
    in_clear_text: bool = False
    """They may be sent without TLS."""

    def taken_out_of(self, text: str) -> str:
        """What a server said, for the log; only its code where it repeats what it must not."""
        secrets = [self.password, b64encode(self.password), _plain(self)]
        is_repeated = any(secret.decode("ascii", "replace") in text for secret in secrets)
        return text.partition(" ")[0] if is_repeated else text


def _plain(credentials: Credentials) -> bytes:
    return b64encode(b"\0%b\0%b" % (credentials.user.encode(), credentials.password))


@dataclass(frozen=True, slots=True)
class Exchange:
    """The command, and what to answer to each 334 after it; all with line ends."""

    command: bytes = field(repr=False)
    answers: tuple[bytes, ...] = field(repr=False)


def exchange(credentials: Credentials, offered: frozenset[bytes]) -> Exchange | None:
    """How to log in with one of the mechanisms offered (upper case), None where there is no way."""
    user, password = credentials.user.encode(), credentials.password
    if b"PLAIN" in offered:
        response = _plain(credentials)
        return Exchange(b"AUTH PLAIN %b\r\n" % response, (response + b"\r\n",))
    if b"LOGIN" in offered:
        return Exchange(b"AUTH LOGIN\r\n", (b64encode(user) + b"\r\n", b64encode(password) + b"\r\n"))
    return None
