"""A session: the messages that were there when it began, and what becomes of them when it ends."""

from __future__ import annotations

from pathlib import Path

from mta.adapters.mailbox.mime_item import as_crlf
from mta.adapters.mailbox.pop3.client import Client
from mta.adapters.mailbox.pop3.set_aside import set_aside
from mta.adapters.mailbox.stream import TooMuchError
from mta.ports.mailbox import ItemGoneError, MailboxError, RefusedError
from mta.ports.mailbox_reader import WaitingMessage

_MESSAGES_MAX = 100_000
"""More are not looked at before these have gone."""
_SET_ASIDE_MAX = 2_000_000_000
"""Octets; more is left where it is."""


class Maildrop:
    """On a signed-in connection. All of it raises MailboxError."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._numbers: dict[str, list[int]] = {}
        """By unique-id, oldest first; of those not deleted. Copies of one message may share one (RFC 1939 §7)."""
        self._sizes: dict[int, int] = {}
        known: set[int] = set()
        for number, unique_id in client.unique_ids():
            if number not in known and len(known) < _MESSAGES_MAX:
                known.add(number)
                self._numbers.setdefault(unique_id, []).append(number)
        if known:
            self._sizes.update((number, size) for number, size in client.sizes() if number in known)

    @property
    def is_broken(self) -> bool:
        return self.client.is_broken

    def close(self) -> None:
        self.client.close()

    def waiting(self, limit: int) -> list[WaitingMessage]:
        firsts = sorted((numbers[0], unique_id) for unique_id, numbers in self._numbers.items())
        return [WaitingMessage(unique_id, self._sizes.get(number, 0)) for number, unique_id in firsts[:limit]]

    def fetch(self, ref: str, largest: int) -> bytes:
        number = self._number(ref)
        if (size := self._sizes.get(number, 0)) > largest:
            raise RefusedError("too-large", f"a message of {size} octets")
        pieces, octets = [], 0
        try:
            for piece in self.client.retrieve(number, _on_the_wire(largest)):
                pieces.append(piece)
                octets += len(piece)
                if octets > largest:
                    raise RefusedError("too-large", "the message is larger than the server says")
        except MailboxError as exc:
            if isinstance(exc.__cause__, TooMuchError):
                raise RefusedError("too-large", "the message is larger than the server says") from exc
            raise
        return as_crlf(b"".join(pieces))

    def delete(self, ref: str) -> None:
        try:
            number = self._number(ref)
        except ItemGoneError:
            return
        self.client.delete(number)
        del self._numbers[ref][0]
        if not self._numbers[ref]:
            del self._numbers[ref]

    def set_aside(self, ref: str, folder: Path, key: str) -> None:
        """On our disk before it is deleted there; of any size, as no more than a piece of it stands in memory."""
        try:
            number = self._number(ref)
        except ItemGoneError:
            return
        if (size := self._sizes.get(number, 0)) > _SET_ASIDE_MAX:
            raise RefusedError("too-large", f"a message of {size} octets")
        set_aside(folder, key, self.client.retrieve(number, _on_the_wire(_SET_ASIDE_MAX)))
        self.delete(ref)

    def leave(self) -> None:
        self.client.quit()

    def _number(self, ref: str) -> int:
        if ref not in self._numbers:
            raise ItemGoneError("gone", "the message is not there")
        return self._numbers[ref][0]


def _on_the_wire(largest: int) -> int:
    """Octets of a message with dot-stuffing, where each line is nothing but a dot."""
    return largest * 4 // 3 + 64_000
