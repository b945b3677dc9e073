"""HTTP sign-in, as IIS does it for EWS: Basic (RFC 7617), NTLM ([MS-NTHT]) and Bearer (RFC 6750)."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import spnego
import spnego.channel_bindings
from spnego.exceptions import SpnegoError

from tests.peers.ews.access import Account, Accounts
from tests.peers.ews.bearer import Tokens

_OFFERS = {"basic": 'Basic realm="localhost"', "ntlm": "NTLM", "bearer": "Bearer"}


@dataclass(slots=True)
class Connection:
    """What a connection has signed in as: NTLM signs in connections, not requests ([MS-NTHT] 1.3)."""

    certificate_hash: bytes = b""
    """SHA-256 of the server's certificate: channel bindings `tls-server-end-point` (RFC 5929)."""
    account: Account | None = None
    handshake: Any = None
    user: str = ""


@dataclass(frozen=True, slots=True)
class Denied:
    """401, and what to offer."""

    offers: list[str] = field(default_factory=list)


class SignIn:
    def __init__(self, accounts: Accounts, folder: Path, tokens: Tokens | None) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._file = folder / "ntlm-users"
        self.write_users()
        os.environ["NTLM_USER_FILE"] = str(self._file)

    def write_users(self) -> None:
        """The passwords where pyspnego looks for them."""
        lines = [f"{_domain(name)}:{_local(name)}:{account.password}" for name, account in _users(self._accounts)]
        self._file.write_text("\n".join(lines) + "\n")

    def check(self, header: str, connection: Connection, offers: tuple[str, ...]) -> Account | Denied:
        """Who it is, or what to answer instead."""
        scheme, _, token = header.partition(" ")
        scheme = scheme.lower()
        if not header and connection.account is not None:
            return connection.account
        account: Account | None = None
        if scheme == "ntlm" and "ntlm" in offers:
            challenge = self._ntlm(token.strip(), connection)
            if challenge:
                return Denied([f"NTLM {challenge}"])
            account = connection.account
        elif scheme == "basic" and "basic" in offers:
            account = self._basic(token.strip())
        elif scheme == "bearer" and "bearer" in offers and self._tokens is not None:
            account = self._tokens.account(token.strip(), self._accounts)
        return account or Denied([_OFFERS[offer] for offer in offers])

    def _basic(self, token: str) -> Account | None:
        try:
            user, colon, password = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return self._accounts.sign_in(user, password) if colon else None

    def _ntlm(self, token: str, connection: Connection) -> str:
        """The challenge to answer with; "" when the handshake has ended, well or not."""
        try:
            message = base64.b64decode(token, validate=True)
        except binascii.Error:
            message = b""
        kind = int.from_bytes(message[8:12], "little") if message.startswith(b"NTLMSSP\0") else 0
        connection.account = None
        if kind == 1:
            connection.handshake = spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
            return base64.b64encode(connection.handshake.step(message)).decode()
        if kind == 3 and connection.handshake is not None:
            connection.account = self._finish(message, connection)
            connection.handshake = None
        return ""

    def _finish(self, message: bytes, connection: Connection) -> Account | None:
        account = self._accounts.named(_user_of(message))
        bindings = spnego.channel_bindings.GssChannelBindings(
            application_data=b"tls-server-end-point:" + connection.certificate_hash
        )
        try:
            connection.handshake.step(message, channel_bindings=bindings)  # Extended Protection, as when it is required
        except (SpnegoError, ValueError):
            return self._accounts.settle(account, is_right=False) if account else None
        return self._accounts.settle(account, is_right=connection.handshake.complete) if account else None


def _users(accounts: Accounts) -> list[tuple[str, Account]]:
    return [(name, account) for name, account in accounts.by_name.items() if account.password]


def _domain(name: str) -> str:
    return name.partition("\\")[0] if "\\" in name else ""


def _local(name: str) -> str:
    return name.rpartition("\\")[2]


def _user_of(message: bytes) -> str:
    """Domain and user that an AUTHENTICATE_MESSAGE names ([MS-NLMP] 2.2.1.3), in Unicode as all clients do."""

    def payload(at: int) -> str:
        length, offset = (
            int.from_bytes(message[at : at + 2], "little"),
            int.from_bytes(message[at + 4 : at + 8], "little"),
        )
        return message[offset : offset + length].decode("utf-16-le", "replace")

    domain, user = payload(28), payload(36)
    return f"{domain}\\{user}" if domain else user
