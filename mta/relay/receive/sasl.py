"""SMTP AUTH (RFC 4954): what PLAIN (RFC 4616) and LOGIN say, octet by octet. Who that is, `sign_in` finds out."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mta.config.accounts_file import account_key
from mta.model.saslprep import saslprep

LINE_MAX = 12_288
"""Octets of a line with its CRLF, RFC 4954 §4."""
PASSWORD_MAX_OCTETS = 1024
MECHANISMS = ("PLAIN", "LOGIN")

NOT_BASE64 = b"501 5.5.2 This is not base64\r\n"
CANCELLED = b"501 5.7.0 Authentication cancelled\r\n"
LINE_TOO_LONG = b"500 5.5.6 Authentication exchange line is too long\r\n"
UNKNOWN_MECHANISM = b"504 5.5.4 Mechanism not known: PLAIN and LOGIN are\r\n"
WRONG = b"535 5.7.8 Authentication credentials invalid\r\n"

_USER_NAME = b"Username:"
_PASSWORD = b"Password:"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client claims; prepared by SASLprep."""

    name: str
    """As an account key."""
    password: str = field(repr=False)


class SaslError(Exception):
    """The exchange ends without credentials; `reply` says why."""

    def __init__(self, reply: bytes) -> None:
        super().__init__(reply.decode().rstrip())
        self.reply = reply


class BusyError(Exception):
    """Not tried: too many sign-ins wait, or this client guessed wrong too often; the text says which."""


Challenge = Callable[[bytes], Awaitable[bytes]]
"""Says 334 with a challenge in base64, and gives the line that comes back, without its CRLF."""


async def read_credentials(mechanism: str, initial: bytes | None, challenge: Challenge) -> Credentials:
    """Lead the exchange to its end. `initial` is the initial response as it was written. Raises SaslError."""
    if mechanism == "PLAIN":
        return _plain(_decoded(initial if initial is not None else await challenge(b"")))
    name = _decoded(initial if initial is not None else await challenge(b64encode(_USER_NAME)))
    return _prepared(name, _decoded(await challenge(b64encode(_PASSWORD))))


def _decoded(line: bytes) -> bytes:
    if line == b"*":
        raise SaslError(CANCELLED)
    if len(line) + 2 > LINE_MAX:
        raise SaslError(LINE_TOO_LONG)
    if line == b"=":  # an initial response that is empty
        return b""
    try:
        return b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise SaslError(NOT_BASE64) from None


def _plain(message: bytes) -> Credentials:
    """authorization identity, NUL, authentication identity, NUL, password."""
    parts = message.split(b"\0")
    if len(parts) != 3:
        raise SaslError(WRONG)
    acting_for, name, password = parts
    credentials = _prepared(name, password)
    if acting_for and _name_key(acting_for) != credentials.name:
        raise SaslError(WRONG)  # nobody acts for others
    return credentials


def _prepared(name: bytes, password: bytes) -> Credentials:
    if len(password) > PASSWORD_MAX_OCTETS:
        raise SaslError(WRONG)
    try:
        return Credentials(_name_key(name), saslprep(password.decode()))
    except ValueError:
        raise SaslError(WRONG) from None


def _name_key(name: bytes) -> str:
    try:
        return account_key(name.decode())
    except ValueError:
        raise SaslError(WRONG) from None
