"""The senders' Sent Items in the demonstration: the items that their clients keep, and what becomes of them."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path

from mta.cli.demo_checks import Copy, Treatment, stamp_faults
from mta.cli.demo_messages import DemoMessage
from mta.config.mailbox_schema import MaildirMailboxes
from mta.config.schema import Configuration

_POLL_S = 0.05
_FIELDS_OF_TRANSPORT = ("received", "dkim-signature", "x-stampline-processed")


@dataclass(frozen=True, slots=True)
class SentFolder:
    """Where senders' sent items lie."""

    mailboxes: str
    """`{domain}` and `{local}` stand for the owner's."""
    name: str

    @classmethod
    def of(cls, configuration: Configuration) -> SentFolder | None:
        """That of the configuration's Maildirs, None where it has none."""
        for _, server in configuration.mailbox_servers:
            if isinstance(server, MaildirMailboxes):
                return cls(str(server.folder), server.sent_folder)
        return None

    def path(self, sender: str) -> Path:
        local, _, domain = sender.partition("@")
        return Path(self.mailboxes.replace("{domain}", domain).replace("{local}", local)) / self.name

    def keep(self, message: DemoMessage) -> None:
        """What the sender's client does: its copy, with Bcc, as read."""
        folder = self.path(message.sender)
        for each in ("cur", "new", "tmp"):
            (folder / each).mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{time.time_ns() // 1000}.demo.{socket.gethostname()}:2,S"
        (folder / "cur" / name).write_bytes(original(message))

    def items(self, message: DemoMessage) -> list[Path]:
        """The items of the folder that are this message."""
        wanted = b"message-id: " + message.message_id.lower().encode()
        folder = self.path(message.sender)
        found = []
        for path in sorted([*folder.glob("cur/*"), *folder.glob("new/*")]):
            try:
                head = path.read_bytes().partition(b"\r\n\r\n")[0]
            except FileNotFoundError:  # replaced meanwhile
                continue
            if wanted in head.lower():
                found.append(path)
        return found


def original(message: DemoMessage) -> bytes:
    """The message as the sender's client keeps it."""
    bcc = b"Bcc: " + ", ".join(message.hidden).encode() + b"\r\n" if message.hidden else b""
    return bcc + message.content


def is_stamped(treatments: Mapping[str, Treatment]) -> bool:
    """Whether rules have changed what somebody got."""
    return any(treatment.actions and not treatment.withheld for treatment in treatments.values())


async def settled(folder: SentFolder, stamped: Sequence[DemoMessage], *, within_s: float) -> None:
    """Wait until each of these stands there once, as something else than the sender's client has kept."""
    deadline = time.monotonic() + within_s
    waiting = list(stamped)
    while waiting and time.monotonic() < deadline:
        waiting = [message for message in waiting if not _is_replaced(folder, message)]
        if waiting:
            await asyncio.sleep(_POLL_S)


def _is_replaced(folder: SentFolder, message: DemoMessage) -> bool:
    items = folder.items(message)
    try:
        return len(items) == 1 and items[0].read_bytes() != original(message)
    except FileNotFoundError:
        return False


def item_faults(folder: SentFolder, message: DemoMessage, signature: str, *, stamped: bool) -> Iterator[str]:
    """Everything that is wrong with what the sender finds."""
    items = folder.items(message)
    if len(items) != 1:
        yield f"{len(items)} items in Sent Items"
        return
    content = items[0].read_bytes()
    if not stamped:
        if content != original(message):
            yield "the sender's item was changed without a reason"
        return
    found = message_from_bytes(content, policy=policy.default)
    if content == original(message):
        yield "the sender does not find what was sent"
    if message.hidden and str(found["bcc"] or "") != ", ".join(message.hidden):
        yield "Sent Items has lost the Bcc"
    yield from (f"Sent Items tells of {name}" for name in _FIELDS_OF_TRANSPORT if name in found)
    yield from stamp_faults(Copy(message, message.sender, items[0], content), signature)
