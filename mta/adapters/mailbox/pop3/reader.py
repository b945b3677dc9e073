"""A monitored mailbox on a POP3 server, as the port `mta.ports.mailbox_reader`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mta.adapters.mailbox.access import Access
from mta.adapters.mailbox.pop3.client import Client
from mta.adapters.mailbox.pop3.maildrop import Maildrop
from mta.adapters.mailbox.session import Session
from mta.adapters.mailbox.stream import Stream
from mta.adapters.mailbox.unreadable import Unreadable
from mta.config.tracking_schema import Pop3Mailbox
from mta.ports.mailbox_reader import WaitingMessage

_PORTS = (995, 110)


class Pop3Reader:
    """Fulfils `mta.ports.mailbox_reader.MailboxReader`. A message's `ref` is its unique-id (UIDL).

    There are neither marks nor folders: what was processed is deleted, what is set aside goes into a Maildir of ours.
    Nothing goes before the session has ended: until then a broken connection leaves everything as it was.
    """

    def __init__(self, settings: Pop3Mailbox, *, set_aside_folder: Path) -> None:
        """Raises OSError or KeyError if a secret or a file can't be read."""
        self._after = settings.after
        self._set_aside_folder = set_aside_folder
        self._access = Access(settings, ports=_PORTS)
        self._session = Session(self._connected, name="pop3")
        self._unreadable = Unreadable()

    async def close(self) -> None:
        self._session.close()
        self._access.close()

    async def sign_in(self) -> str:
        return await self._session.run(lambda maildrop: f"{maildrop.client.greeting} at {self._access.place}")

    async def folders(self) -> Sequence[str]:
        return await self._session.run(lambda _: ["INBOX"])

    async def waiting(self, limit: int) -> Sequence[WaitingMessage]:
        return await self._session.run(lambda maildrop: maildrop.waiting(limit))

    async def fetch(self, ref: str, largest: int) -> bytes:
        return await self._session.run(lambda maildrop: self._fetch(maildrop, ref, largest))

    async def mark_read(self, ref: str) -> None:
        """Which is to delete it here."""
        await self.delete(ref)

    async def delete(self, ref: str) -> None:
        await self._session.run(lambda maildrop: maildrop.delete(ref))

    async def move(self, ref: str, folder: str) -> None:
        """Kept unless it is where processed ones go, which are deleted."""
        if folder == self._after.folder and folder != self._after.set_aside:
            await self.delete(ref)
            return
        key = f"{self._access.user}\0{self._access.place}\0{ref}"
        await self._session.run(lambda maildrop: maildrop.set_aside(ref, self._set_aside_folder, key))

    async def end_session(self, *, purge: bool) -> None:
        """`purge` or not: POP3 knows nothing between deleted and gone."""
        await self._session.end(lambda maildrop: maildrop.leave())

    def _fetch(self, maildrop: Maildrop, ref: str, largest: int) -> bytes:
        with self._unreadable.reading(ref):
            return maildrop.fetch(ref, largest)

    def _connected(self, opened: Callable[[Stream], None]) -> Maildrop:
        access = self._access
        client = Client(
            access.host, access.port, name=access.name, implicit=access.implicit, context=access.context,
            timeout_s=access.timeout_s, opened=opened,
        )  # fmt: skip
        try:
            access.sign_in(client.sign_in_by_password, client.sign_in_by_token)
            return Maildrop(client)
        except BaseException:
            client.close()
            raise
