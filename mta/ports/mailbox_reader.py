"""One monitored mailbox, as every kind of mailbox server offers it. Errors are those of `mta.ports.mailbox`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message in the folder that isn't processed yet."""

    ref: str
    """Names it on this server for as long as it lies in this folder: UIDVALIDITY.UID, UIDL, an item's id, a file."""
    size_octets: int = 0
    """0 where the server doesn't tell before."""
    received_at: datetime | None = None


class MailboxReader(Protocol):
    """A folder of one mailbox. Calls come one at a time, and are bounded in time. Each may raise any MailboxError.

    A session lasts from the first call to `end_session`: one poll. It can be begun again afterwards.
    """

    async def sign_in(self) -> str:
        """Connect, sign in and open the folder; gives what answered, in a few words for an administrator.

        Raises NoMailboxError where the folder isn't there.
        """
        ...

    async def folders(self) -> Sequence[str]:
        """The mailbox's folders, as they are written in the configuration; only the one where there are no folders."""
        ...

    async def waiting(self, limit: int) -> Sequence[WaitingMessage]:
        """The first messages that wait, oldest first: with `mark-read` those unread, else all. `limit` at most."""
        ...

    async def fetch(self, ref: str, largest: int) -> bytes:
        """The message as it came, CRLF line ends; marks nothing. Raises ItemGoneError, and RefusedError above
        `largest` octets, without having loaded many more."""
        ...

    async def mark_read(self, ref: str) -> None: ...

    async def delete(self, ref: str) -> None:
        """For good, once the session has ended. A message that is gone is no error, here and in the others."""
        ...

    async def move(self, ref: str, folder: str) -> None:
        """Into a folder that is made where it isn't there. Whole or not at all, as far as the server lets us."""
        ...

    async def end_session(self, *, purge: bool) -> None:
        """Sign out. `purge`: what we deleted goes for good now (IMAP: EXPUNGE by UID; POP3: QUIT)."""
        ...

    async def close(self) -> None:
        """End connections and threads, whatever state they are in."""
        ...


@runtime_checkable
class PutsAwayTogether(Protocol):
    """A MailboxReader whose server does with many messages in one request what it does with one."""

    async def put_away(self, refs: Sequence[str], do: str, folder: str) -> None:
        """`mark-read`, `delete` or `move` to the folder, as the methods of that name. Any error leaves open for which
        of them it was done: it may be asked for again, for each by itself."""
        ...
