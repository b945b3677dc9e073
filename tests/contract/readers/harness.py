"""What the contract of monitored mailboxes needs of each kind: a server, mailboxes, other eyes and hands, and faults.

A new kind gets a class that fulfils `Harness`, and a line in `kinds`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from email import message_from_bytes, policy
from enum import Enum
from itertools import count
from typing import Any, Protocol

from mta.ports.mailbox_reader import MailboxReader

_numbers = count(1)


class Fault(Enum):
    """What can be made to go wrong, and is what to expect of `sign_in` then."""

    PASSWORD = "password"
    """Wrong password, secret or token. SignInError."""
    UNTRUSTED = "untrusted"
    """A certificate of an unknown authority. TlsFailedError."""
    DOWN = "down"
    """Nobody answers. EndpointDownError."""
    NO_FOLDER = "no-folder"
    """The folder to read isn't there. NoMailboxError."""


class Trait(Enum):
    """What not every kind has."""

    SAME_BYTES = "same-bytes"
    """A message is given as it came, octet by octet; else the server writes it anew."""
    FOLDERS = "folders"
    """And marks of what was read; without them processed messages are always deleted, others set aside elsewhere."""
    UNPURGED = "unpurged"
    """What was deleted stays where it is unless it is purged, and isn't waiting any more."""
    SERVER = "server"
    """There is a server that can be restarted."""


@dataclass(frozen=True, slots=True)
class Lying:
    """A message as its user sees it, by other eyes than our adapter's."""

    message_id: str
    is_read: bool = False


class Harness(Protocol):
    """One server, used by many tests: each takes a mailbox of its own."""

    traits: frozenset[Trait]
    faults: frozenset[Fault]

    def add_mailbox(self) -> str:
        """A new, empty mailbox; its address."""
        ...

    def open(self, mailbox: str, **settings: Any) -> MailboxReader:
        """The adapter, by `open_reader`, for its inbox; `settings` are further ones, such as `after` and `folder`."""
        ...

    def deliver(self, mailbox: str, data: bytes) -> None:
        """A message arrives in the inbox; CRLF line ends."""
        ...

    def lying(self, mailbox: str, folder: str = "") -> list[Lying]:
        """What is in the inbox, or in a folder (or, without folders, where set-aside ones are), oldest first.

        With those that are deleted but not purged.
        """
        ...

    def take_away(self, mailbox: str, message_id: str) -> None:
        """The user's own program deletes a message of the inbox for good."""
        ...

    def fault(self, fault: Fault, mailbox: str) -> AbstractContextManager[MailboxReader]:
        """The adapter, while this is wrong."""
        ...

    def restart(self) -> None:
        """The server ends, with all connections, and is there again when this returns."""
        ...

    def close(self) -> None:
        """End the server."""
        ...


def message(subject: str = "Printer on fire", body: bytes = b"It burns.\r\n") -> bytes:
    """One with a Message-ID of its own, CRLF line ends."""
    return (
        b"From: Jane <jane@example.com>\r\nTo: desk@example.com\r\nSubject: " + subject.encode() + b"\r\n"
        b"Message-ID: <" + f"reader-{next(_numbers)}@example.com".encode() + b">\r\n"
        b"Date: Mon, 02 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body
    )


def message_id(data: bytes) -> str:
    """With its brackets."""
    return str(message_from_bytes(data, policy=policy.default)["Message-ID"])
