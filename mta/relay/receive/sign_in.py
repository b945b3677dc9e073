"""Whether a name and a password belong together: slow hashes in few threads, few guesses, and a short memory.

- An unknown name costs as much as a known one: its password is tried against somebody's hash.
- What was right is right for some minutes without hashing, for a printer signs in for each mail. Remembered is a keyed
  hash of name, password and stored hash, so a changed file is heeded at once.
- Wrong guesses count by client and name, and by client, over all workers; past a limit nothing is tried for a while.
  Who has signed in from that client of late is kept out by guesses at that name alone: a printer has a neighbour.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b

import bcrypt
from argon2.exceptions import Argon2Error
from argon2.low_level import Type, verify_secret

from mta.config.accounts_file import Account
from mta.relay.receive.sasl import BusyError, Credentials
from mta.shared_counts import SharedCounts

AT_ONCE = 2
"""Threads for all listeners of a process: each may take the memory that a hash asks for."""
WAITING_MAX = 64
REMEMBERED_S = 300.0
REMEMBERED_MAX = 2000
GUESSES_PERIOD_S = 900.0
GUESSES_PER_NAME = 10
GUESSES_PER_CLIENT = 50
KNOWN_THERE_S = 86_400.0


class SignIn:
    """One listener's accounts."""

    def __init__(self, accounts: Mapping[str, Account], counts: SharedCounts, listener: str) -> None:
        self.replace(accounts)
        self._counts = counts
        self._listener = listener
        self._secret = os.urandom(32)
        self._right: OrderedDict[bytes, float] = OrderedDict()

    def replace(self, accounts: Mapping[str, Account]) -> None:
        """Go by these accounts from now on."""
        self._accounts = accounts
        self._names = tuple(accounts)

    def has(self, account: Account) -> bool:
        """Whether it is still there, with the same password."""
        known = self._accounts.get(account.key)
        return known is not None and known.hash == account.hash

    async def verify(self, credentials: Credentials, client: str) -> Account | None:
        """The account, or None where name and password don't belong together.

        `client` is what wrong guesses are counted by. Raises BusyError.
        """
        of_name = self._counts.key(self._listener, "guess", client, credentials.name)
        of_client = self._counts.key(self._listener, "guess", client)
        known_there = self._counts.key(self._listener, "signed in", client, credentials.name)
        limits = [(of_name, GUESSES_PER_NAME)]
        if not self._counts.rate(known_there, KNOWN_THERE_S):
            limits.append((of_client, GUESSES_PER_CLIENT))
        for key, most in limits:
            if self._counts.rate(key, GUESSES_PERIOD_S) >= most:
                raise BusyError("too many wrong passwords from this client")
        account = self._accounts.get(credentials.name)
        tried = account or self._somebody(credentials.name)
        if tried is not None and (await self._is_right(tried, credentials)) and account is not None:
            self._counts.take(known_there, 1, KNOWN_THERE_S)
            return account
        for key in (of_name, of_client):
            self._counts.add(key, GUESSES_PERIOD_S)
        return None

    def known_name(self, credentials: Credentials) -> str:
        """The account's name as the file has it; "" where there is none of that name."""
        account = self._accounts.get(credentials.name)
        return account.name if account is not None else ""

    def _somebody(self, name: str) -> Account | None:
        """Always the same account for an unknown name, so that it takes the time of a known one."""
        if not self._names:
            return None
        digest = blake2b(name.encode(), digest_size=8, key=self._secret).digest()
        return self._accounts[self._names[int.from_bytes(digest, "little") % len(self._names)]]

    async def _is_right(self, account: Account, credentials: Credentials) -> bool:
        proof = hmac.digest(
            self._secret, b"\0".join(part.encode() for part in (credentials.name, credentials.password, account.hash)),
            "sha256",
        )  # fmt: skip
        now = time.monotonic()
        if self._right.get(proof, 0.0) > now:
            return True
        if not await _POOL.run(account.hash, credentials.password):
            return False
        if account.key == credentials.name:
            self._right[proof] = now + REMEMBERED_S
            self._right.move_to_end(proof)
            if len(self._right) > REMEMBERED_MAX:
                self._right.popitem(last=False)
        return True


class _Pool:
    """The threads that hash, begun when first needed; more than WAITING_MAX don't wait for them."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._waiting = 0

    async def run(self, written: str, password: str) -> bool:
        """Raises BusyError."""
        if self._waiting >= WAITING_MAX:
            raise BusyError("too many sign-ins at once")
        self._threads = self._threads or ThreadPoolExecutor(AT_ONCE, "sign-in")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, is_password, written, password)
        finally:
            self._waiting -= 1


_POOL = _Pool()


def is_password(written: str, password: str) -> bool:
    """Whether the hash (argon2id or bcrypt) is the password's. Takes long, and no lock of the interpreter."""
    secret = password.encode()
    try:
        if written.startswith("$2"):
            return bcrypt.checkpw(secret, written.encode())
        return verify_secret(written.encode(), secret, Type.ID)
    except (Argon2Error, ValueError):  # bcrypt takes 72 octets at most
        return False
